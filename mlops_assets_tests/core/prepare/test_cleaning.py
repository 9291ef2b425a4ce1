"""Clean rows: what each rule drops, what is kept, and periods that cannot be used."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from mlops_assets.core.prepare.cleaning import ROW_ID, TARGET, clean, kept_columns
from mlops_assets.dataset import load_dataset
from mlops_assets.dataset.checks import RESERVED
from mlops_assets.errors import DataError

ROWS = [
    {"at": dt.datetime(2024, 1, 5), "town": "Ay", "zone": 1, "size": 1.0, "price": 10.0},
    {"at": dt.datetime(2024, 1, 6), "town": "Bree", "zone": 2, "size": 2.0, "price": 5_000.0},
    {"at": None, "town": "Ay", "zone": 1, "size": 1.0, "price": 10.0},
    {"at": dt.datetime(2024, 2, 1), "town": "Ay", "zone": 1, "size": 1.0, "price": 10.0},
    {"at": dt.datetime(2024, 1, 31, 23, 59, 59), "town": None, "zone": None, "size": None, "price": 1000.0},
    {"at": dt.datetime(2024, 1, 7), "town": "Cork", "zone": 3, "size": 300.0, "price": None},
    {"at": dt.datetime(2024, 1, 8), "town": "Cork", "zone": 3, "size": 300.0, "price": float("inf")},
    {"at": dt.datetime(2024, 1, 9), "town": "Cork", "zone": 3, "size": 300.0, "price": 1.0},
]
SCHEMA = pa.schema(
    {"at": pa.timestamp("us"), "town": pa.string(), "zone": pa.int64(), "size": pa.float64(), "price": pa.float64()}
)


def table(rows=ROWS):
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def test_rows_keep_their_place_and_what_each_rule_dropped_is_counted(make_spec):
    cleaned = clean(make_spec(), table(), "2024-01")
    assert cleaned.table[ROW_ID].to_pylist() == [0, 4, 7]
    assert cleaned.table[TARGET].to_pylist() == [10, 1000, 1]
    assert cleaned.dropped == {
        "time is known": 1,
        "time lies in this period": 1,
        "target is known": 2,
        "target is in 1..1000": 1,
    }


def test_only_inputs_and_the_time_are_kept_beside_place_and_target(make_spec):
    cleaned = clean(make_spec(), table(), "2024-01")
    assert cleaned.table.column_names == [ROW_ID, "at", "town", "zone", "size", TARGET]
    assert cleaned.table.select(["at", "zone"]).schema == table().select(["at", "zone"]).schema


def test_no_alias_can_take_the_name_of_a_column_that_cleaning_adds():
    assert set(RESERVED) == {ROW_ID, TARGET}


def test_what_is_known_only_after_the_event_does_not_reach_clean_data():
    taxi = load_dataset("nyc_green_taxi", {})
    assert "dropoff_at" in taxi.used_columns()
    assert "dropoff_at" not in kept_columns(taxi)


def test_the_key_of_a_snapshot_is_kept(make_spec):
    spec = make_spec(source={"kind": "files", "uri": "all.csv"}, time=None, key=["price", "zone"])
    assert kept_columns(spec) == ["at", "town", "zone", "size", "price"]
    assert clean(spec, table(), "snapshot").table.num_rows == 5


def test_rows_of_other_periods_stay_where_the_spec_says_so(make_spec):
    time = {"column": "at", "first": "2024-01", "keep_other_periods": True}
    cleaned = clean(make_spec(time=time), table(), "2024-01")
    assert cleaned.table[ROW_ID].to_pylist() == [0, 3, 4, 7]
    assert "time lies in this period" not in cleaned.dropped


@pytest.mark.parametrize(
    ("rule", "kept"),
    [
        ({"column": "size", "min": 1.5}, [4, 7]),
        ({"column": "size", "max": 2}, [0, 4]),
        ({"column": "size", "min": 1, "max": 300, "not_null": True}, [0, 7]),
        ({"column": "town", "not_null": True}, [0, 7]),
        ({"column": "at", "not_null": True}, [0, 4, 7]),
        ({"column": "town", "one_of": ["Ay", "Nowhere"]}, [0, 4]),
        ({"column": "town", "none_of": ["Ay"], "not_null": True}, [7]),
        ({"column": "zone", "one_of": [3]}, [4, 7]),
        ({"column": "zone", "none_of": [3, 4]}, [0, 4]),
    ],
    ids=str,
)
def test_rules_drop_what_breaks_them_and_let_missing_values_pass_unless_told(make_spec, rule, kept):
    cleaned = clean(make_spec(rows=[{"name": "ours", **rule}]), table(), "2024-01")
    assert cleaned.table[ROW_ID].to_pylist() == kept
    assert cleaned.dropped["ours"] == 3 - len(kept)


def test_rules_of_one_name_are_counted_together(make_spec):
    rules = [{"name": "ours", "column": "size", "max": 2}, {"name": "ours", "column": "town", "not_null": True}]
    cleaned = clean(make_spec(rows=rules), table(), "2024-01")
    assert (cleaned.table[ROW_ID].to_pylist(), cleaned.dropped["ours"]) == ([0], 2)


def test_the_minutes_between_two_times_are_the_target(make_spec, tiny):
    spec = make_spec(
        columns=tiny["columns"] | {"end": {"type": "time"}},
        target={"minutes_between": ["at", "end"], "keep": [1, 60]},
    )
    start = dt.datetime(2024, 1, 31, 23, 50)
    ends = [start + dt.timedelta(minutes=m) for m in (-5, 0.5, 1, 20.25, 60, 60.01)] + [None]
    rows = pa.table(
        table([ROWS[0] | {"at": start}] * len(ends)).to_pydict() | {"end": ends},
        schema=SCHEMA.append(pa.field("end", pa.timestamp("us"))),
    )
    cleaned = clean(spec, rows, "2024-01")
    assert cleaned.table[TARGET].to_pylist() == [1, 20.25, 60]
    assert (cleaned.dropped["target is known"], cleaned.dropped["target is in 1..60"]) == (1, 3)


def test_clean_rows_of_real_flights_are_those_that_flew(flights):
    spec = load_dataset("nyc_flights", {})
    period = flights["departure_at"].to_numpy().astype("datetime64[M]").astype(str)
    cleaned = clean(spec, flights, "2013-02")
    air_time = np.nan_to_num(flights["air_time"].to_numpy())
    np.testing.assert_array_equal(cleaned.table[ROW_ID], np.flatnonzero((period == "2013-02") & (air_time >= 10)))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "2024-01 has no rows: check the source"),
        ([ROWS[5]], r"2024-01 has no row with a target \(price all empty\)"),
        ([ROWS[1], ROWS[3]], r"2024-01 has no row that passes the rules \(dropped: time lies in this period 1, target"),
    ],
)
def test_a_period_that_cannot_be_used_says_why(make_spec, rows, message):
    with pytest.raises(DataError, match=message):
        clean(make_spec(), table(rows), "2024-01")
