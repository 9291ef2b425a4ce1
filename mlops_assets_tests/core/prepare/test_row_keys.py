"""Equal rows have equal keys; a difference anywhere makes another key."""

import numpy as np
import pyarrow as pa
import pytest

from mlops_assets.core.columns import slices
from mlops_assets.core.prepare.row_statistics import repeated, row_keys

TIME = np.datetime64("2024-01-05T10:00", "us")
COLUMNS = {
    "at": pa.array([TIME, TIME + np.timedelta64(1, "us"), None], pa.timestamp("us")),
    "zone": pa.array([0, 1, None], pa.int64()),
    "size": pa.array([0.0, -1.0, None], pa.float64()),
    "town": pa.array(["", "Ulm", None], pa.string()),
}


def grid() -> pa.Table:
    """Every combination of the values of COLUMNS, once each: 81 rows."""
    places = np.stack(np.meshgrid(*[np.arange(3)] * 4), axis=-1).reshape(-1, 4)
    return pa.table({name: values.take(pa.array(places[:, k])) for k, (name, values) in enumerate(COLUMNS.items())})


def test_rows_that_differ_in_any_value_have_keys_of_their_own():
    assert len(set(row_keys(grid()).tolist())) == 81


def test_a_row_has_the_same_key_in_whatever_batch_it_comes():
    table = grid()
    parts = [row_keys(part) for part in slices(table, 7)]
    np.testing.assert_array_equal(np.concatenate(parts), row_keys(table))
    chunked = pa.concat_tables(list(slices(table, 7)))
    np.testing.assert_array_equal(row_keys(chunked), row_keys(table))


def test_rows_that_come_again_are_counted():
    table = grid()
    twice = pa.concat_tables([table, table.slice(3, 10), table.slice(3, 1)])
    assert repeated(row_keys(table)) == 0
    assert repeated(row_keys(twice)) == 11


@pytest.mark.parametrize("scale", [1.0, 0.25, 1024.0])
def test_round_numbers_do_not_collide(scale):
    """Their bits differ in a few places at the top only."""
    numbers = pa.array(np.arange(300) * scale)
    pairs = pa.table(
        {"a": numbers.take(pa.array(np.repeat(np.arange(300), 300))), "b": pa.array(np.tile(numbers, 300))}
    )
    assert repeated(row_keys(pairs)) == 0
