"""What holds of all rows, however they come."""

import math
from datetime import datetime, timedelta, timezone

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from mlops_assets.core.columns import (
    concatenate,
    evenly_spread,
    from_frame,
    from_lists,
    from_rows,
    is_missing,
    length,
    row_hash,
    take,
)
from mlops_assets.dataset import DatasetSpec
from mlops_assets.errors import InputError
from mlops_assets_tests.properties import JSON, for_all
from mlops_assets_tests.tiny import TINY, random_columns

SPEC = DatasetSpec.model_validate(TINY)
OFFSETS = st.none() | st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
TIMES = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=OFFSETS)
VALUES = {
    "at": st.none() | TIMES | TIMES.map(datetime.isoformat),
    "town": st.none() | st.text(max_size=5) | st.integers(-(10**6), 10**6),
    "zone": st.none() | st.integers(-(2**53), 2**53) | st.integers(-99, 99).map(float) | st.integers(0, 99).map(str),
    "size": st.none() | st.floats() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False).map(repr),
}
ROWS = st.lists(st.fixed_dictionaries({}, optional=VALUES), max_size=8)


def same(one, other):
    assert list(one) == list(other)
    for alias, values in one.items():
        assert values.dtype == other[alias].dtype
        np.testing.assert_array_equal(values, other[alias], err_msg=alias)


@for_all(200, rows=ROWS)
def test_rows_lists_and_frames_are_the_same_columns(rows):
    lists = {alias: [row.get(alias) for row in rows] for alias in SPEC.inputs()}
    columns = from_rows(rows, SPEC)
    same(columns, from_lists(lists, SPEC))
    same(columns, from_frame(pd.DataFrame(lists, dtype=object), SPEC))
    types = {alias: values.dtype.str for alias, values in columns.items()}
    assert types == {"at": "<M8[us]", "town": "|O", "zone": "<f8", "size": "<f8"}


@for_all(rows=ROWS)
def test_a_row_is_the_same_alone_and_among_others(rows):
    columns = from_rows(rows, SPEC)
    for place, row in enumerate(rows):
        same(from_rows([row], SPEC), take(columns, slice(place, place + 1)))


@for_all(rows=ROWS)
def test_a_value_is_missing_where_none_was_given(rows):
    for alias, values in from_rows(rows, SPEC).items():
        given = [row.get(alias) for row in rows]
        assert is_missing(values).tolist() == [
            value is None or value == "" or (isinstance(value, float | str) and _is_nan(value, alias))
            for value in given
        ]


def _is_nan(value, alias):
    return alias != "town" and alias != "at" and math.isnan(float(value))


@for_all(
    500, rows=st.lists(st.dictionaries(st.sampled_from([*SPEC.inputs(), "price"]), JSON, max_size=4) | JSON, max_size=3)
)
def test_whatever_json_holds_is_columns_or_an_error_that_names_the_row(rows):
    try:
        columns = from_rows(rows, SPEC)
    except InputError as error:
        assert 0 <= error.row < len(rows) and str(error).startswith(f"row {error.row}")
    else:
        assert list(columns) == list(SPEC.inputs()) and length(columns) == len(rows)


@for_all(lists=st.dictionaries(st.sampled_from([*SPEC.inputs(), "price"]), st.lists(JSON, max_size=3), max_size=4))
def test_whatever_lists_hold_is_columns_or_an_error(lists):
    try:
        columns = from_lists(lists, SPEC)
    except InputError as error:
        assert str(error)
    else:
        assert {len(values) for values in columns.values()} == {max(map(len, lists.values()), default=0)}


@for_all(count=st.integers(0, 60), cuts=st.sets(st.integers(0, 60)), seed=st.integers(0, 2**64 - 1))
def test_parts_joined_are_the_whole_and_the_hash_of_a_row_is_its_own(count, cuts, seed):
    columns = random_columns(count)
    ends = sorted({0, count, *(cut for cut in cuts if cut < count)})
    parts = [take(columns, slice(start, end)) for start, end in zip(ends, [*ends[1:], count], strict=True)]
    same(concatenate(parts), columns)
    hashes = row_hash(columns, seed)
    assert ((hashes >= 0) & (hashes < 1)).all()
    np.testing.assert_array_equal(np.concatenate([row_hash(part, seed) for part in parts]), hashes)


@for_all(count=st.integers(0, 10_000), most=st.integers(1, 500))
def test_rows_that_are_evenly_spread_start_at_the_first_and_lie_equally_far_apart(count, most):
    places = evenly_spread(count, most)
    assert len(places) == min(count, most)
    if count:
        steps = np.diff(places, append=count)
        assert places[0] == 0 and steps.min() >= 1 and steps.max() - steps.min() <= 1
