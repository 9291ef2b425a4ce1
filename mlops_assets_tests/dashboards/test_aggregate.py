"""From rows to numbers: filters, steps of time, groups, aggregations."""

from datetime import timedelta

import pandas as pd
import pytest

from mlops_assets.dashboards.chart_data import aggregate, cut, label, select, series_keys, since, step_for
from mlops_assets.dashboards.spec import Condition, Metric
from mlops_assets_tests.dashboards.conftest import NOW

FRAME = pd.DataFrame(
    {
        "kind": ["a", "b", "a", None],
        "size": [1.0, 2.0, 4.0, None],
        "good": [True, False, True, False],
    }
)


@pytest.mark.parametrize(
    ("column", "condition", "rows"),
    [
        ("kind", {"one_of": ["a"]}, [0, 2]),
        ("kind", {"none_of": ["a"]}, [1, 3]),
        ("kind", {"known": True}, [0, 1, 2]),
        ("kind", {"known": False}, [3]),
        ("kind", {"contains": "A"}, [0, 2]),
        ("size", {"min": 2}, [1, 2]),
        ("size", {"min": 1, "max": 2}, [0, 1]),
        ("good", {"one_of": [True]}, [0, 2]),
        ("size", {"one_of": [4]}, [2]),
    ],
)
def test_rows_are_selected_by_what_their_values_must_be(column, condition, rows):
    assert list(select(FRAME, {column: Condition(**condition)}).index) == rows


@pytest.mark.parametrize(
    ("metric", "by_kind", "of_all"),
    [
        ({}, [2, 1], 4),
        ({"aggregation": "count", "column": "size"}, [2, 1], 3),
        ({"aggregation": "count distinct", "column": "size"}, [2, 1], 3),
        ({"aggregation": "mean", "column": "size"}, [2.5, 2], 7 / 3),
        ({"aggregation": "median", "column": "size"}, [2.5, 2], 2),
        ({"aggregation": "min", "column": "size"}, [1, 2], 1),
        ({"aggregation": "max", "column": "size"}, [4, 2], 4),
        ({"aggregation": "sum", "column": "size"}, [5, 2], 7),
        ({"aggregation": "quantile", "quantile": 0.5, "column": "size"}, [2.5, 2], 2),
        ({"aggregation": "first", "column": "size"}, [1, 2], 1),
        ({"aggregation": "last", "column": "size"}, [4, 2], 4),
        ({"aggregation": "share", "column": "good"}, [1, 0], 0.5),
    ],
)
def test_each_aggregation_gives_its_number_for_groups_and_for_all(metric, by_kind, of_all):
    metric = Metric(**metric)
    assert list(aggregate(FRAME, ["kind"], [metric])[metric.name]) == by_kind
    assert aggregate(FRAME, [], [metric])[metric.name].iloc[0] == pytest.approx(of_all)


def test_texts_have_a_last_one_too():
    assert aggregate(FRAME, [], [Metric(aggregation="last", column="kind")]).iloc[0, 0] == "a"


def test_of_no_rows_there_is_a_count_and_nothing_else():
    none = FRAME.head(0)
    metrics = [Metric(), Metric(aggregation="mean", column="size")]
    assert aggregate(none, [], metrics).iloc[0].to_dict() == {"count": 0, "mean of size": None}
    assert aggregate(none, ["kind"], metrics).empty


@pytest.mark.parametrize(
    ("span", "step"),
    [
        (timedelta(minutes=30), "minute"),
        (timedelta(hours=20), "hour"),
        (timedelta(days=30), "day"),
        (timedelta(days=120), "week"),
        (timedelta(days=400), "month"),
        (timedelta(days=2000), "quarter"),
    ],
)
def test_time_is_cut_by_its_span(span, step):
    assert step_for("auto", NOW - span, NOW) == step
    assert step_for("year", NOW - span, NOW) == "year"


def test_days_are_those_of_the_wall_clock():
    times = pd.Series(pd.to_datetime(["2024-03-01T22:30:00Z", "2024-03-01T23:30:00Z"]))
    assert [str(day.date()) for day in cut(times, "day", "Europe/Berlin")] == ["2024-03-01", "2024-03-02"]
    assert [str(day.date()) for day in cut(times, "day", "UTC")] == ["2024-03-01", "2024-03-01"]


def test_no_time_can_be_cut_too():
    assert cut(pd.Series([], dtype="datetime64[ns, UTC]"), "auto", "UTC").empty


def test_the_rarest_of_too_many_series_become_others():
    frame = pd.DataFrame({"kind": ["a"] * 3 + ["b"] * 2 + ["c"]})
    assert list(series_keys(frame, ["kind"], 2).unique()) == ["a", "others"]
    assert list(series_keys(frame, ["kind"], 3).unique()) == ["a", "b", "c"]


def test_values_of_every_type_can_be_names():
    assert list(label(pd.Series([1.0, 2.5, None]))) == ["1", "2.5", "none"]
    assert list(label(pd.Series([True, False]))) == ["yes", "no"]
    assert list(label(pd.Series(["a", None], dtype=object))) == ["a", "none"]


def test_a_time_range_begins_before_now_or_never():
    assert since("7d", NOW) == NOW - timedelta(days=7)
    assert since("all", NOW) is None
