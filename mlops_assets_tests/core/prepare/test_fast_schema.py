"""What surely fits does fit by the schema; and clean rows as cleaning makes them surely fit."""

import numpy as np
import pyarrow as pa
import pytest

from mlops_assets.core.prepare.cleaning import clean
from mlops_assets.core.prepare.schemas import clean_schema, surely_fits, validate
from mlops_assets_tests.core.prepare.test_schemas import SPEC, clean_table, raw_table

DAY = np.datetime64("2024-01-05T10:00", "us")


def test_clean_rows_surely_fit():
    assert surely_fits(SPEC, clean(SPEC, raw_table(), "2024-01").table)


def test_empty_values_that_the_rules_let_pass_surely_fit():
    table = clean_table(weight=pa.array([None, None, None], pa.float64()), size=pa.array([None] * 3, pa.string()))
    assert surely_fits(SPEC, table)
    assert validate(clean_schema(SPEC), table) == ()


BROKEN = {
    "a place twice": {"row_id": pa.array([0, 2, 2])},
    "a place below zero": {"row_id": pa.array([-1, 2, 3])},
    "no place": {"row_id": pa.array([0, None, 2])},
    "no time": {"sent_at": pa.array([DAY, None, DAY])},
    "a depot that is not one of the known": {"depot": pa.array([1, 2, 4])},
    "no depot": {"depot": pa.array([1, 2, None])},
    "a size that is none": {"size": pa.array(["small", "test", None])},
    "a weight below": {"weight": pa.array([0.05, 1.0, None])},
    "a weight above": {"weight": pa.array([1.0, 30.5, None])},
    "a target below": {"target": pa.array([0.5, 2.0, 3.0])},
    "a target above": {"target": pa.array([1.0, 2.0, 101.0])},
    "a target that is no number": {"target": pa.array([1.0, float("nan"), 3.0])},
    "no target": {"target": pa.array([1.0, None, 3.0])},
    "a whole number as a float": {"depot": pa.array([1.0, 2.0, 3.0])},
    "a column too many": {"more": pa.array([1, 2, 3])},
}


@pytest.mark.parametrize("changes", BROKEN.values(), ids=BROKEN.keys())
def test_what_breaks_the_schema_does_not_surely_fit(changes):
    table = clean_table(**changes)
    assert validate(clean_schema(SPEC), table)
    assert not surely_fits(SPEC, table)


def test_what_it_cannot_tell_is_left_to_the_schema():
    unordered = clean_table(row_id=pa.array([5, 0, 2]))
    assert not surely_fits(SPEC, unordered)
    assert validate(clean_schema(SPEC), unordered) == ()
    assert not surely_fits(SPEC, unordered.slice(0, 0))
    assert not surely_fits(SPEC, unordered.drop_columns("depot"))
