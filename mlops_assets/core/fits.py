"""Whether clean rows fit their schema beyond doubt: on Arrow's columns as they are, at a tenth of pandera's cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlops_assets.core.cleaning import ROW_ID, TARGET, kept_columns
from mlops_assets.core.schemas import required_columns
from mlops_assets.dataset import DatasetSpec, RowRule

if TYPE_CHECKING:
    import pyarrow as pa


def surely_fits(spec: DatasetSpec, table: pa.Table) -> bool:
    """Whether a clean table fits `clean_schema(spec)`; where this says no, only `validate` knows, and says why."""
    required = {ROW_ID, TARGET, *required_columns(spec)}
    return (
        table.num_rows > 0
        and dict(zip(table.schema.names, table.schema.types, strict=True)) == _types(spec)
        and not any(table.column(alias).null_count for alias in required if alias in table.schema.names)
        and _is_ascending(table.column(ROW_ID).to_numpy())
        and _are_kept(spec, table.column(TARGET).to_numpy())
        and all(_keeps(rule, table.column(rule.column)) for rule in spec.rows if rule.column in table.schema.names)
    )


def _types(spec: DatasetSpec) -> dict[str, pa.DataType]:
    import pyarrow as pa

    types = {"integer": pa.int64(), "number": pa.float64(), "text": pa.string(), "time": pa.timestamp("us")}
    kept = {alias: types[spec.columns[alias].type] for alias in kept_columns(spec)}
    return {ROW_ID: pa.int64(), **kept, TARGET: pa.float64()}


def _is_ascending(places: np.ndarray) -> bool:
    return places[0] >= 0 and bool((places[1:] > places[:-1]).all())


def _are_kept(spec: DatasetSpec, y: np.ndarray) -> bool:
    low, high = spec.target.keep or (-np.inf, np.inf)
    return bool(low <= y.min() and y.max() <= high)  # neither is so of NaN


def _keeps(rule: RowRule, values: pa.ChunkedArray) -> bool:
    """Whether no value breaks the rule; an empty one does not, nor does a column of them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if rule.one_of or rule.none_of:
        found = set(pc.unique(values).drop_null().to_pylist())
        if not found.isdisjoint(rule.none_of or ()) or (rule.one_of and not found.issubset(rule.one_of)):
            return False
    if (rule.min is None and rule.max is None) or values.null_count == len(values):
        return True
    if pa.types.is_floating(values.type) and pc.any(pc.is_nan(values)).as_py():
        return False
    low, high = (end.as_py() for end in pc.min_max(values).values())
    return (rule.min is None or low >= rule.min) and (rule.max is None or high <= rule.max)
