"""What the rows of a month look like, column by column; read once for each stored table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mlops_assets.core.cleaning import ROW_ID

if TYPE_CHECKING:
    import pyarrow as pa

QUANTILES = {"low": 0.1, "median": 0.5, "high": 0.9}


def profile(table: pa.Table) -> Iterator[dict[str, Any]]:
    """A row for each column: rows, share of missing values, distinct values, and of numbers mean and quantiles."""
    for name in table.column_names:
        if name != ROW_ID:
            yield {"column": name, "rows": table.num_rows} | _of_column(table.column(name))


def _of_column(values: pa.ChunkedArray) -> dict[str, Any]:
    import pyarrow as pa
    import pyarrow.compute as pc

    count = len(values) or 1
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_finite(values), values, None)  # a NaN is missing too
    told = {"missing": values.null_count / count, "distinct": pc.count_distinct(values).as_py()}
    if pa.types.is_integer(values.type) or pa.types.is_floating(values.type):
        found = pc.quantile(values, list(QUANTILES.values())).to_pylist()
        told |= dict(zip(QUANTILES, found, strict=True)) | {"mean": pc.mean(values).as_py()}
    return told
