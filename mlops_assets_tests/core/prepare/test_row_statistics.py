"""Rows seen in batches are judged and cleaned as the same rows at once."""

import pyarrow as pa
import pytest

from mlops_assets.core.columns import slices
from mlops_assets.core.prepare.cleaning import Cleaner, clean
from mlops_assets.core.prepare.quality import check_clean, check_raw, judge_clean, judge_raw
from mlops_assets.core.prepare.row_statistics import CleanRows, RawRows
from mlops_assets.errors import DataError

PERIOD = "2024-01"


@pytest.fixture
def spec(make_spec):
    return make_spec(rows=[{"column": "zone", "name": "a zone that is served", "max": 4}])


@pytest.fixture
def table(make_columns) -> pa.Table:
    """600 rows of two periods, some values missing, some rows twice."""
    columns = make_columns(500)
    rows = pa.table({alias: pa.array(values, from_pandas=True) for alias, values in columns.items()})
    rows = rows.set_column(2, "zone", rows["zone"].cast(pa.int64()))
    return pa.concat_tables([rows, rows.slice(0, 100)]).combine_chunks()


def test_raw_rows_in_batches_are_judged_as_at_once(spec, table):
    seen = RawRows(spec, PERIOD)
    for part in slices(table, 70):
        seen.add(part)
    assert judge_raw(spec, seen, PERIOD, {}) == check_raw(spec, table, PERIOD, {})
    assert (seen.rows, seen.repeated) == (600, 100)


def test_rows_cleaned_in_batches_are_those_cleaned_at_once(spec, table):
    cleaner, seen, parts = Cleaner(spec, PERIOD), CleanRows(spec), []
    for part in slices(table, 70):
        parts.append(cleaner.clean(part))
        seen.add(parts[-1])
    cleaner.finish()
    whole = clean(spec, table, PERIOD)
    assert pa.concat_tables(parts).combine_chunks().equals(whole.table)
    assert cleaner.dropped == whole.dropped
    assert cleaner.kept == whole.table.num_rows < 600
    outcomes = check_clean(spec, whole.table, PERIOD, whole.dropped, 600)
    assert judge_clean(spec, seen, PERIOD, cleaner.dropped, 600) == outcomes


def test_what_breaks_a_rule_is_counted_over_all_batches(spec, table):
    seen = CleanRows(spec)
    broken = clean(spec, table, PERIOD).table
    zone = broken.column_names.index("zone")
    broken = broken.set_column(zone, "zone", pa.array([9] * broken.num_rows))
    for part in slices(broken, 70):
        seen.add(part)
    assert seen.problems[0].startswith(f"zone: {broken.num_rows:,} row(s) break")


def test_a_period_of_which_no_batch_has_a_row_left_is_an_error(spec, table):
    cleaner = Cleaner(spec, "2030-01")
    for part in slices(table, 70):
        assert cleaner.clean(part).num_rows == 0
    with pytest.raises(DataError, match="2030-01 has no row that passes the rules"):
        cleaner.finish()
