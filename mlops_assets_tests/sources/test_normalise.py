"""Typing of columns, whatever types a period's file has."""

from datetime import date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from mlops_assets.errors import BadTable, SpecError
from mlops_assets.sources.normalise import normalise, schema

ONE = {
    "value": {"type": "number"},
    "code": {"type": "integer"},
    "name": {"type": "text"},
    "at": {"type": "time"},
}


@pytest.fixture
def typed(make_spec):
    """Gives one column after typing; the others are empty."""

    def typed(alias: str, values: pa.Array, zone: str | None = None) -> list:
        at = {"type": "time"} | ({"timezone": zone} if zone else {})
        spec = make_spec({"kind": "files", "uri": "x.csv"}, columns=ONE | {"at": at})
        columns = {each: pa.chunked_array([pa.nulls(len(values))]) for each in ONE} | {
            alias: pa.chunked_array([values])
        }
        table = normalise(columns, spec, "period 2024-01")
        assert table.schema == schema(spec)
        return table[alias].to_pylist()

    return typed


@pytest.mark.parametrize(
    "values",
    [
        pa.array([3, None], pa.int32()),
        pa.array([3.0, float("nan")]),
        pa.array(["3", ""]),
        pa.array([" 3.0", "NA"], pa.large_string()),
        pa.array([Decimal("3"), None]),
        pa.array(["3", None]).dictionary_encode(),
    ],
    ids=lambda values: str(values.type),
)
def test_integers_of_every_kind_of_file_are_int64(typed, values):
    assert typed("code", values) == [3, None]


@pytest.mark.parametrize("values", [pa.array([3, None]), pa.array([3.0, float("nan")]), pa.array(["3.0", "null"])])
def test_numbers_of_every_kind_of_file_are_float64(typed, values):
    assert typed("value", values) == [3.0, None]


def test_infinite_numbers_stay(typed):
    assert typed("value", pa.array([float("inf"), 1.0])) == [float("inf"), 1.0]


def test_large_integers_in_text_keep_all_digits(typed):
    assert typed("code", pa.array(["9007199254740993", "1.0"])) == [9007199254740993, 1]


@pytest.mark.parametrize("values", [pa.array([7, None]), pa.array([7.0, float("nan")]), pa.array(["7", ""])])
def test_codes_are_the_same_text_whatever_type_a_period_gave_them(typed, values):
    assert typed("name", values) == ["7", None]


def test_text_that_only_looks_missing_stays_in_text_columns(typed):
    assert typed("name", pa.array(["NA", "nan", "007"])) == ["NA", "nan", "007"]


def test_fractions_in_a_text_column_stay_fractions(typed):
    assert typed("name", pa.array([1.5, 2.0])) == ["1.5", "2"]


def test_naive_times_stay_as_they_are(typed):
    noon = datetime(2024, 1, 5, 12)
    assert typed("at", pa.array([noon], pa.timestamp("ns")), zone="America/New_York") == [noon]
    assert typed("at", pa.array(["2024-01-05T12:00:00"]), zone="America/New_York") == [noon]
    assert typed("at", pa.array([date(2024, 1, 5)])) == [datetime(2024, 1, 5)]


def test_times_with_an_offset_become_the_wall_clock_of_the_columns_zone(typed):
    times = pa.array(["2024-01-05T17:00:00Z", "2024-07-05 18:00:00+02", "2024-07-05T12:00:00.5", None])
    wanted = [
        datetime(2024, 1, 5, 12),
        datetime(2024, 7, 5, 12),
        datetime(2024, 7, 5, 12, 0, 0, 500_000),
        None,
    ]
    assert typed("at", times, zone="America/New_York") == wanted
    aware = pa.array([datetime(2024, 1, 5, 17)], pa.timestamp("ms", "Asia/Tokyo"))  # 17:00 is stored as UTC
    assert typed("at", aware, zone="America/New_York") == wanted[:1]


def test_times_with_an_offset_become_utc_without_a_zone(typed):
    assert typed("at", pa.array(["2024-01-05T17:00:00+05:30"])) == [datetime(2024, 1, 5, 11, 30)]


@pytest.mark.parametrize(
    ("alias", "values", "bad"),
    [
        ("code", pa.array([3.0, 3.5, float("inf"), 4.0]), "2 of 4"),
        ("code", pa.array(["3", "3.5", "x"]), "2 of 3"),
        ("code", pa.array([2**63 + 1], pa.uint64()), "1 of 1"),
        ("value", pa.array(["1", "one", "1,5"]), "2 of 3"),
        ("code", pa.array([datetime(2024, 1, 1)]), "1 of 1"),
        ("at", pa.array(["2024-01-05", "2024-02-31", "yesterday", "2024-13-01T00:00:00Z"]), "3 of 4"),
        ("at", pa.array([1704067200]), "1 of 1"),
        ("name", pa.array([[1], [2]]), "2 of 2"),
    ],
)
def test_unreadable_values_are_counted_under_the_alias(typed, alias, values, bad):
    with pytest.raises(BadTable, match=rf"^period 2024-01: column {alias} cannot be read as \w+ in {bad} rows"):
        typed(alias, values)


def test_a_column_of_the_wrong_type_is_not_counted_to_its_end(typed):
    with pytest.raises(BadTable, match="in at least 1,000 of 50,000 rows"):
        typed("value", pa.array(["east"] * 50_000))


def test_an_unknown_time_zone_is_a_spec_error(make_spec):
    columns = ONE | {"at": {"type": "time", "timezone": "Mars/Base"}}
    with pytest.raises(SpecError, match="columns.at: 'Mars/Base' is no time zone"):
        make_spec({"kind": "files", "uri": "x.csv"}, columns=columns)
