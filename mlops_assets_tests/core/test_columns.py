"""Columns: what tables, frames and JSON rows become, and what is said of a value that cannot be used."""

import datetime as dt

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mlops_assets.core.columns import concatenate, from_frame, from_lists, from_rows, from_table, length, row_hash, take
from mlops_assets.errors import InputError

GOOD = {"at": "2024-03-01T07:30:00", "town": "Ay", "zone": 3, "size": 12.5}


@pytest.fixture
def spec(make_spec):
    return make_spec()


def one(spec, **values):
    """The columns of one row, as plain values by alias."""
    return {alias: column.tolist()[0] for alias, column in from_rows([GOOD | values], spec).items()}


def test_a_table_gives_floats_times_and_objects_with_gaps_kept():
    table = pa.table(
        {
            "zone": pa.array([1, None], pa.int64()),
            "size": pa.array([None, 2.5], pa.float64()),
            "at": pa.array([dt.datetime(2024, 1, 1), None], pa.timestamp("us")),
            "town": pa.array(["Ay", None]),
        }
    )
    columns = from_table(table, ["zone", "size", "at", "town"])
    np.testing.assert_array_equal(columns["zone"], [1.0, np.nan])
    np.testing.assert_array_equal(columns["size"], [np.nan, 2.5])
    np.testing.assert_array_equal(columns["at"], np.array(["2024-01-01", "NaT"], "datetime64[us]"))
    assert columns["town"].tolist() == ["Ay", None]
    assert [column.dtype.str for column in columns.values()] == ["<f8", "<f8", "<M8[us]", "|O"]


def test_whole_numbers_beyond_what_floats_hold_are_rounded_not_refused():
    column = from_table(pa.table({"id": [2**60 + 1, 5]}), ["id"])["id"]
    assert column.tolist() == [2.0**60, 5.0]


def test_rows_frames_and_tables_of_the_same_values_are_the_same_columns(spec):
    table = pa.table(
        {
            "at": pa.array([dt.datetime(2024, 3, 1, 7, 30), None], pa.timestamp("us")),
            "town": ["Ay", None],
            "zone": pa.array([3, None], pa.int64()),
            "size": pa.array([12.5, None], pa.float64()),
        }
    )
    from_arrow = from_table(table, spec.inputs())
    empty = dict.fromkeys(GOOD)
    for columns in (from_rows([GOOD, empty], spec), from_rows([GOOD, {}], spec), from_frame(table.to_pandas(), spec)):
        assert list(columns) == list(from_arrow)
        for alias, expected in from_arrow.items():
            assert columns[alias].dtype == expected.dtype
            np.testing.assert_array_equal(columns[alias], expected)


def test_no_rows_are_columns_of_length_zero(spec):
    columns = from_rows([], spec)
    assert length(columns) == 0
    assert [column.dtype.kind for column in columns.values()] == ["M", "O", "f", "f"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2024-03-01", dt.datetime(2024, 3, 1)),
        ("2024-03-01 07:30", dt.datetime(2024, 3, 1, 7, 30)),
        ("2024-03-01T07:30:00Z", dt.datetime(2024, 3, 1, 7, 30)),
        ("2024-03-01T07:30:00+02:00", dt.datetime(2024, 3, 1, 5, 30)),
        (dt.datetime(2024, 3, 1, 7), dt.datetime(2024, 3, 1, 7)),
        (dt.date(2024, 3, 1), dt.datetime(2024, 3, 1)),
        (pd.Timestamp("2024-03-01T07:30", tz="Asia/Tokyo"), dt.datetime(2024, 2, 29, 22, 30)),
        ("9999-12-31T23:59:59", dt.datetime(9999, 12, 31, 23, 59, 59)),
        ("0001-01-01", dt.datetime(1, 1, 1)),
        (pd.NaT, None),
        ("", None),
        (None, None),
    ],
)
def test_times_are_read_as_iso_8601_and_an_offset_is_turned_into_utc(spec, given, expected):
    assert one(spec, at=given)["at"] == expected


def test_an_offset_is_turned_into_the_wall_clock_of_the_columns_zone(make_spec, tiny):
    columns = tiny["columns"] | {"at": {"type": "time", "timezone": "America/New_York"}}
    spec = make_spec(columns=columns)
    at = ["2024-03-01T12:30:00Z", "2024-07-01T12:30:00Z", "2024-07-01T12:30:00"]
    expected = np.array(["2024-03-01T07:30", "2024-07-01T08:30", "2024-07-01T12:30"], "datetime64[us]")
    np.testing.assert_array_equal(from_rows([GOOD | {"at": value} for value in at], spec)["at"], expected)
    frame = pd.DataFrame({"at": pd.to_datetime(at[:2]), "town": "Ay", "zone": 1, "size": 1.0})
    np.testing.assert_array_equal(from_frame(frame, spec)["at"], expected[:2])


@pytest.mark.parametrize(
    ("given", "expected"),
    [("Ay", "Ay"), (3, "3"), (3.0, "3"), (3.5, "3.5"), ("", None), (None, None), (float("nan"), None), (" ", " ")],
)
def test_texts_are_kept_and_an_empty_one_is_missing_as_in_sources(spec, given, expected):
    assert one(spec, town=given)["town"] == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [(3, 3.0), ("3", 3.0), (1e300, 1e300), ("inf", np.inf), (10**30, 1e30), ("", np.nan), (None, np.nan), (True, 1.0)],
)
def test_numbers_are_floats_and_an_empty_one_is_missing(spec, given, expected):
    np.testing.assert_equal(one(spec, size=given)["size"], expected)


@pytest.mark.parametrize(
    ("alias", "value", "message"),
    [
        ("at", "tomorrow", "at must be an ISO 8601 time: Invalid isoformat string: 'tomorrow'"),
        ("at", "now", "at must be an ISO 8601 time: Invalid isoformat string: 'now'"),
        ("at", "2024-02-30", "at must be an ISO 8601 time: day is out of range for month"),
        ("at", "0001-01-01T00:00+01:00", "at must be an ISO 8601 time: date value out of range"),
        ("at", [1], "at must be an ISO 8601 time: Invalid isoformat string: '[1]'"),
        ("size", "big", "size must be a number: 'big' is not one"),
        ("size", "1_000", "size must be a number: '1_000' is not one"),
        ("size", " ", "size must be a number: ' ' is not one"),
        ("size", {"a": 1}, "size must be a number: dict is not one"),
        ("size", dt.date(2024, 3, 1), "size must be a number: date is not one"),
        ("size", 10**400, "size must be a number: int too large to convert to float"),
        ("zone", 3.5, "zone must be a whole number: 3.5 is not whole"),
        ("zone", "x", "zone must be a whole number: 'x' is not one"),
        ("zone", "3.5", "zone must be a whole number: 3.5 is not whole"),
        ("town", ["Ay"], "town must be text: list is not a text"),
        ("town", {"a": 1}, "town must be text: dict is not a text"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_with_its_column(spec, alias, value, message):
    with pytest.raises(InputError) as error:
        from_rows([GOOD, GOOD | {alias: value}], spec)
    assert str(error.value) == f"row 1: {message}"
    assert (error.value.row, error.value.field) == (1, alias)
    with pytest.raises(InputError) as error:
        from_lists({alias: [None, None, value]}, spec)
    assert (error.value.row, error.value.field) == (2, alias)
    assert message in str(error.value)


def test_a_message_about_a_huge_value_stays_short(spec):
    with pytest.raises(InputError) as error:
        from_rows([GOOD | {"size": "9" * 100_000 + "x"}], spec)
    assert len(str(error.value)) < 300


def test_a_part_of_a_whole_number_is_found_beside_missing_ones(spec):
    with pytest.raises(InputError, match="zone must be a whole number: 1.5 is not whole"):
        from_rows([GOOD | {"zone": None}, GOOD | {"zone": 1.5}], spec)


def test_an_unknown_name_is_told_with_its_row_and_the_inputs(spec):
    with pytest.raises(InputError) as error:
        from_rows([GOOD, GOOD | {"price": 3, "colour": "red"}], spec)
    assert str(error.value) == "row 1: price, colour is not an input (inputs: at, town, zone, size)"
    assert (error.value.row, error.value.field) == (1, "price")


def test_lists_of_values_are_the_columns_of_the_same_rows(spec):
    rows = [GOOD, {"town": "Bree", "size": None}, {"at": "2024-03-01T07:30Z", "town": ""}]
    lists = {alias: [row.get(alias) for row in rows] for alias in GOOD}
    assert_equal_columns(from_lists(lists, spec), from_rows(rows, spec))
    assert_equal_columns(from_lists({"size": [1, 2]}, spec), from_rows([{"size": 1}, {"size": 2}], spec))
    assert length(from_lists({}, spec)) == 0


def test_lists_of_different_lengths_and_unknown_names_are_told(spec):
    with pytest.raises(InputError, match="the same number of values: size has 2, zone has 1"):
        from_lists({"size": [1, 2], "zone": [1]}, spec)
    with pytest.raises(InputError, match="price is not an input") as error:
        from_lists({"size": [1], "price": [1]}, spec)
    assert (error.value.row, error.value.field) == (None, "price")


ODD = {
    "numbers": [0, -0.0, 3, 3.0, 3.5, -7, 1e300, 2**53 + 1, 2**63, float("inf"), float("-inf"), float("nan"), None],
    "flags": [True, False, None],
    "texts": ["", "3", "3.0", " 4 ", "1e3", "inf", "-Infinity", "nan", "big", "Ay", "NA", "007", "1_0", "\x00", None],
    "times": [
        "2024-03-01",
        "2024-03-10T02:30",
        "2024-11-03T01:30-04:00",
        "2024-W10-1",
        "20240301",
        "2024-03-01T07:30:00.123456789Z",
        "0001-01-01",
        "9999-12-31T23:59:59.999999",
        dt.datetime(2024, 3, 1, 7, 30, tzinfo=dt.UTC),
        dt.date(2024, 3, 1),
        None,
    ],
    "objects": [[], [1], {}, {"a": 1}, b"x", 1j, dt.timedelta(1)],
}


@pytest.mark.parametrize("alias", GOOD)
@pytest.mark.parametrize("kind", ODD)
def test_rows_and_frames_agree_on_every_odd_value(make_spec, tiny, alias, kind):
    """Also in frames in which pandas found a type for the values: numbers, flags, texts, times."""
    columns = tiny["columns"] | {"at": {"type": "time", "timezone": "America/New_York"}}
    spec = make_spec(columns=columns)
    for value in ODD[kind]:
        by_row = outcome(lambda value=value: from_rows([GOOD | {alias: value}] * 2, spec)[alias])
        for dtype in (object, None):
            frame = pd.DataFrame([GOOD, GOOD]).assign(**{alias: pd.Series([value, value], dtype=dtype)})
            by_frame = outcome(lambda frame=frame: from_frame(frame, spec)[alias])
            assert by_frame == by_row, (value, dtype)


def outcome(convert):
    """What a conversion gives, in a form that compares, or that it refuses."""
    try:
        values = convert()
    except InputError:
        return "refused"
    assert values.dtype.str in ("<f8", "<M8[us]", "|O")
    return repr(values.tolist()), values.dtype.str


def assert_equal_columns(found, expected):
    assert list(found) == list(expected)
    for alias, values in expected.items():
        assert found[alias].dtype == values.dtype
        np.testing.assert_array_equal(found[alias], values)


@pytest.mark.parametrize("row", ["Ay", 3, ["Ay"], None])
def test_a_row_that_is_no_object_is_told_by_its_number(spec, row):
    with pytest.raises(InputError, match="row 1 is not an object of names and values"):
        from_rows([GOOD, row], spec)


def test_absent_columns_of_a_frame_are_listed(spec):
    with pytest.raises(InputError) as error:
        from_frame(pd.DataFrame({"at": ["2024-01-01"], "size": [1.0], "other": [1]}), spec)
    assert str(error.value) == "missing column(s): town, zone (needed: at, town, zone, size)"


def test_times_in_the_place_of_a_number_are_not_read_as_nanoseconds(spec):
    frame = pd.DataFrame([GOOD]).assign(size=pd.to_datetime(["2024-01-01"]))
    with pytest.raises(InputError, match="size must be a number: these are times"):
        from_frame(frame, spec)
    with pytest.raises(InputError, match="at must be an ISO 8601 time"):
        from_frame(pd.DataFrame([GOOD]).assign(at=1.7e9), spec)


def test_row_hashes_are_uniform(flights):
    place = row_hash(from_table(flights, flights.column_names), seed=7)
    assert place.min() >= 0 and place.max() < 1
    counts = np.bincount((place * 20).astype(int), minlength=20)
    expected = len(place) / 20
    chi_squared = ((counts - expected) ** 2 / expected).sum()
    assert chi_squared < 43.8  # the 99.9 % quantile with 19 degrees of freedom


def test_a_row_hash_depends_on_the_rows_values_and_the_seed_alone(make_columns):
    columns = make_columns(500)
    order = np.random.default_rng(3).permutation(500)
    place = row_hash(columns, seed=7)
    np.testing.assert_array_equal(row_hash(take(columns, order), seed=7), place[order])
    np.testing.assert_array_equal(row_hash(concatenate([columns, make_columns(100, seed=1)]), seed=7)[:500], place)
    assert not np.isin(row_hash(columns, seed=8), place).any()


@pytest.mark.parametrize("alias", ["at", "town", "zone", "size"])
def test_a_row_hash_sees_every_column(make_columns, alias):
    columns = make_columns(500)
    other = columns | {alias: np.roll(columns[alias], 1)}
    differ = np.array([a != b and not (a != a and b != b) for a, b in zip(columns[alias], other[alias], strict=True)])
    moved = row_hash(columns, seed=7) != row_hash(other, seed=7)
    np.testing.assert_array_equal(moved, differ)
