"""Arithmetic of periods: of every length, and of no other."""

from datetime import datetime, timedelta
from typing import get_args

import numpy as np
import pytest
from hypothesis import strategies as st

from mlops_assets.core.prepare.splitting import period_numbers
from mlops_assets.dataset.periods import Cadence, Every, fields_in
from mlops_assets_tests.properties import for_all

cadences = st.sampled_from([Cadence(every) for every in get_args(Every)])
moments = st.datetimes(datetime(1800, 1, 8), datetime(2200, 1, 1))


@for_all(cadence=cadences, moment=moments)
def test_a_moment_lies_in_its_period_and_in_no_other(cadence, moment):
    period = cadence.of(moment)
    assert cadence.start(period) <= moment < cadence.end(period)
    assert cadence.of(cadence.start(period)) == period == cadence.read(period)
    assert cadence.of(cadence.end(period) - timedelta(microseconds=1)) == period


@for_all(cadence=cadences, moment=moments)
def test_a_period_ends_where_the_next_one_starts(cadence, moment):
    period = cadence.of(moment)
    following = cadence.after(period)
    assert cadence.end(period) == cadence.start(following)
    assert cadence.between(period, following) == [period, following]
    assert cadence.between(following, period) == []


@for_all(cadence=cadences, one=moments, other=moments)
def test_names_sort_as_times_do_and_numpy_reads_them(cadence, one, other):
    names = [cadence.of(one), cadence.of(other)]
    starts = [cadence.start(name) for name in names]
    assert (names[0] < names[1], names[0] == names[1]) == (starts[0] < starts[1], starts[0] == starts[1])
    assert [np.datetime64(name).astype("datetime64[us]").item() for name in names] == starts


@for_all(cadence=cadences, moment=moments, steps=st.integers(0, 40))
def test_numbers_of_periods_count_them(cadence, moment, steps):
    period = later = cadence.of(moment)
    for _ in range(steps):
        later = cadence.after(later)
    times = np.array([moment, cadence.start(later)], "datetime64[us]")
    first, last = period_numbers(times, cadence.every)
    assert last - first == steps
    assert len(cadence.between(period, later)) == steps + 1


@for_all(cadence=cadences, moment=moments)
def test_the_season_before_is_a_year_back_and_on_the_same_day_of_the_week(cadence, moment):
    period = cadence.of(moment)
    before = cadence.year_before(period)
    if cadence.every == "year":
        assert before is None
        return
    start, then = cadence.start(period), cadence.start(before)
    assert timedelta(days=364) <= start - then <= timedelta(days=366)
    if cadence.every in ("hour", "day", "week"):
        assert (start.weekday(), start.hour) == (then.weekday(), then.hour)
    else:
        assert start.month == then.month


@pytest.mark.parametrize(
    ("every", "text", "name"),
    [
        ("hour", "2024-01-31T05", "2024-01-31T05"),
        ("day", "2024-02-29", "2024-02-29"),
        ("week", "2024-W05", "2024-01-29"),
        ("week", "2020-W53", "2020-12-28"),
        ("week", "2024-01-29", "2024-01-29"),
        ("month", "2024-12", "2024-12"),
        ("quarter", "2024-Q4", "2024-10"),
        ("quarter", "2024-04", "2024-04"),
        ("year", "2024", "2024"),
    ],
)
def test_people_write_periods_in_these_ways(every, text, name):
    assert Cadence(every).read(text) == name


@pytest.mark.parametrize(
    ("every", "text", "example"),
    [
        ("hour", "2024-01-31", "2024-01-31T05"),
        ("hour", "2024-01-31T24", "2024-01-31T05"),
        ("day", "2023-02-29", "2024-01-31"),
        ("day", "2024-1-5", "2024-01-31"),
        ("week", "2024-01-31", "2024-01-29 .a Monday. or 2024-W05"),
        ("week", "2024-W53", "2024-01-29 .a Monday. or 2024-W05"),
        ("month", "2024-13", "2024-01"),
        ("quarter", "2024-05", "2024-04 .its start. or 2024-Q2"),
        ("quarter", "2024-Q5", "2024-04 .its start. or 2024-Q2"),
        ("year", "24", "2024"),
    ],
)
def test_what_is_no_period_is_shown_with_an_example(every, text, example):
    with pytest.raises(ValueError, match=f"'{text}' is no {every}: write one as {example}"):
        Cadence(every).read(text)


def test_a_year_has_52_or_53_weeks_and_no_day_lies_in_two():
    weeks = Cadence("week").between("2020-01-06", "2021-01-04")
    assert (len(weeks), weeks[-2:]) == (53, ["2020-12-28", "2021-01-04"])
    days = [
        day for week in weeks for day in Cadence("day").between(week, Cadence("week").end(week).date().isoformat())[:-1]
    ]
    assert len(days) == len(set(days)) == 53 * 7


@pytest.mark.parametrize(
    ("every", "uri", "period", "filled"),
    [
        ("hour", "{yyyy}/{mm}/{dd}/{hh}.csv", "2024-01-31T05", "2024/01/31/05.csv"),
        ("day", "s3://b/{yyyy}/{mm}/{dd}.parquet", "2024-01-31", "s3://b/2024/01/31.parquet"),
        ("week", "{iso_yyyy}-W{ww}.csv", "2024-12-30", "2025-W01.csv"),
        ("month", "{period}.csv", "2024-01", "2024-01.csv"),
        ("quarter", "{yyyy}Q{q}.csv", "2024-10", "2024Q4.csv"),
        ("year", "a_{yyyy}_{other}.csv", "2024", "a_2024_{other}.csv"),
    ],
)
def test_a_uri_is_filled_with_the_parts_of_a_period(every, uri, period, filled):
    assert Cadence(every).lacks(uri) is None
    assert Cadence(every).filled(uri, period) == filled


def test_a_uri_that_two_periods_would_share_lacks_something():
    assert Cadence("day").lacks("{yyyy}-{mm}.csv") == "{dd}"
    assert Cadence("hour").lacks("{yyyy}{mm}{dd}.csv") == "{hh}"
    assert Cadence("week").lacks("{yyyy}-{ww}.csv") == "{iso_yyyy}"  # the last days of a year may be in week 1
    assert fields_in("a/{yyyy}/{other}/{period}") == ["yyyy", "period"]


def test_gaps_are_the_periods_that_are_not_there_between_others():
    assert Cadence("day").missing(["2024-02-27", "2024-03-02"]) == ["2024-02-28", "2024-02-29", "2024-03-01"]
    assert Cadence("week").missing(["2024-01-29"]) == Cadence("week").missing([]) == []


def test_months_of_a_period_are_those_it_has_days_in():
    assert Cadence("week").months_in("2024-01-29") == [1, 2]
    assert Cadence("quarter").months_in("2024-10") == [10, 11, 12]
    assert Cadence("year").months_in("2024") == [*range(1, 13)]
    assert Cadence("hour").months_in("2024-01-31T23") == [1]
