"""Features: the calendar against pandas on real times, derived numbers, and values that no one should send."""

from typing import get_args

import numpy as np
import pandas as pd
import pytest

from mlops_assets.core.columns import from_table
from mlops_assets.core.features.derive import calendar_parts, derive
from mlops_assets.dataset import Calendar, Features, load_dataset
from mlops_assets.dataset.parts import DERIVATIONS, DerivedFunction
from mlops_assets.errors import SpecError

PARTS = ("hour", "weekday", "month", "minute_of_day", "minute_of_week", "holiday")
US = Calendar(parts=PARTS, country="US")


def times(*texts):
    return np.array(texts, "datetime64[us]")


def derived(function, *inputs, **more):
    """The values of one derived number."""
    names = ["a", "b"][: len(inputs)]
    features = Features(derived={"x": {"function": function, "of": names}}, **more)
    return derive(features, dict(zip(names, inputs, strict=True)))["x"]


def assert_like_pandas(values):
    expected = pd.Series(values).dt
    day = expected.hour * 60 + expected.minute
    got = calendar_parts(values, US)
    np.testing.assert_array_equal(got["hour"], expected.hour)
    np.testing.assert_array_equal(got["weekday"], expected.weekday)
    np.testing.assert_array_equal(got["month"], expected.month)
    np.testing.assert_array_equal(got["minute_of_day"], day)
    np.testing.assert_array_equal(got["minute_of_week"], expected.weekday * 1440 + day)


def test_calendar_parts_of_real_flights_are_those_of_pandas(flights):
    assert_like_pandas(flights["departure_at"].to_numpy())


def test_calendar_parts_of_real_trips_are_those_of_pandas(taxi_month):
    spec = load_dataset("nyc_green_taxi", {})
    assert_like_pandas(from_table(taxi_month(spec, "2024-02"), ["pickup_at"])["pickup_at"])


def test_calendar_parts_before_1970_and_at_the_edges_of_days_are_those_of_pandas():
    edges = times(
        "1969-12-31T23:59:59", "1900-01-01", "1970-01-01", "2024-02-29T23:59:59.999999", "2200-12-31T00:00:01"
    )
    assert_like_pandas(edges)


def test_a_missing_time_has_missing_parts_and_harms_no_other():
    both = calendar_parts(times("NaT", "2024-07-04T10:20"), US)
    alone = calendar_parts(times("2024-07-04T10:20"), US)
    for part in PARTS:
        assert np.isnan(both[part][0])
        assert both[part][1] == alone[part][0]


def test_no_times_have_no_parts():
    assert {part: len(values) for part, values in calendar_parts(times(), US).items()} == dict.fromkeys(PARTS, 0)


def test_holidays_are_those_of_the_country():
    days = times("2024-01-01T00:00", "2024-07-04T23:59", "2024-07-14T12:00", "2024-12-25T08:00", "2024-12-26T08:00")
    assert calendar_parts(days, US)["holiday"].tolist() == [1, 1, 0, 1, 0]
    french = calendar_parts(days, Calendar(parts=["holiday"], country="FR"))["holiday"]
    assert french.tolist() == [1, 0, 1, 1, 0]


def test_stray_years_change_no_holiday_of_the_others():
    days = times("2024-07-04", "0001-01-01", "2024-07-05", "20000-01-01", "-5000-07-04", "NaT")
    np.testing.assert_array_equal(calendar_parts(days, US)["holiday"], [1, 0, 0, 0, 0, np.nan])


def test_a_country_without_known_holidays_is_named():
    with pytest.raises(SpecError, match="no holidays are known of the country 'XX'"):
        calendar_parts(times("2024-01-01"), Calendar(parts=["holiday"], country="XX"))


def test_clock_minutes_read_hhmm():
    hhmm = np.array([0.0, 5, 517, 1345, 2359, 2400, np.nan])
    np.testing.assert_array_equal(derived("clock_minutes", hhmm), [0, 5, 317, 825, 1439, 1440, np.nan])


def test_clock_minutes_between_go_over_midnight():
    start, end = np.array([2350.0, 1000, 1, 2359, np.nan]), np.array([10.0, 1130, 0, 2400, 5])
    np.testing.assert_array_equal(derived("clock_minutes_between", start, end), [20, 90, 1439, 1, np.nan])


def test_minutes_between_times_keep_sign_and_fractions():
    start = times("2024-01-01T00:00", "2024-01-01T00:10", "NaT", "2024-01-01")
    end = times("2024-01-01T00:00:30", "2024-01-01", "2024-01-01", "NaT")
    np.testing.assert_array_equal(derived("minutes_between", start, end), [0.5, -10, np.nan, np.nan])


def test_numbers_that_cannot_be_derived_are_missing():
    a, b = np.array([1.0, 1, 0, np.nan, -1, np.inf]), np.array([0.0, 4, 0, 1, np.inf, np.inf])
    np.testing.assert_array_equal(derived("ratio", a, b), [np.nan, 0.25, np.nan, np.nan, 0, np.nan])
    np.testing.assert_array_equal(derived("difference", a, b), [1, -3, 0, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(derived("log", a), [0, 0, np.nan, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(derived("clock_minutes", a)[[0, 5]], [1, np.nan])


def test_derived_numbers_are_clipped_where_the_spec_says_so():
    a, b = np.array([1.0, 500, -500]), np.zeros(3)
    clipped = derived("difference", a, b, numeric={"x": {"clip": [0, 100]}})
    np.testing.assert_array_equal(clipped, [1, 100, 0])


@pytest.mark.parametrize("clip", [None, (0.0, np.inf), (0.0, 40.0)])
def test_absurd_numbers_stay_within_single_precision_and_infinity_is_missing(clip):
    a = np.array([1e300, -1e300, np.inf, -np.inf, np.nan, 3.0])
    values = derive(Features(numeric={"a": {"clip": clip}}), {"a": a})["a"]
    with np.errstate(over="raise"):
        single = values.astype(np.float32)
    assert np.isnan(single).tolist() == [False, False, True, True, True, False]
    assert single[0] > single[5] == 3 > single[1]


def test_overflow_on_the_way_to_a_derived_number_is_missing():
    huge = np.array([1e308, 1.0])
    np.testing.assert_array_equal(derived("difference", huge, -huge), [np.nan, 2])
    np.testing.assert_array_equal(derived("ratio", huge, np.array([1e-300, 4.0])), [np.nan, 0.25])


def test_every_named_feature_is_derived_and_inputs_are_left_alone(make_spec, make_columns):
    spec, columns = make_spec(), make_columns(50)
    before = {alias: values.copy() for alias, values in columns.items()}
    features = derive(spec.features, columns)
    assert set(features) == {"size", "at_hour", "at_weekday", "town", "zone"}
    for alias, values in before.items():
        np.testing.assert_array_equal(columns[alias], values)


def test_an_input_that_is_only_part_of_a_derived_number_is_no_feature():
    features = Features(derived={"x": {"function": "log", "of": ["a"]}})
    assert list(derive(features, {"a": np.ones(1)})) == ["x"]


def test_every_function_that_a_dataset_may_name_says_what_it_takes_and_is_there():
    assert set(DERIVATIONS) == set(get_args(DerivedFunction))
    for function, (kind, count) in DERIVATIONS.items():
        values = times("2024-03-01T07:30") if kind == "time" else np.array([1345.0])
        assert np.isfinite(derived(function, *[values] * count)).all()
