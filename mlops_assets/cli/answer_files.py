"""Tables written to a CSV or Parquet file as they come; the file has its name only once it is whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_assets.errors import InputError, StorageError

if TYPE_CHECKING:
    import pyarrow as pa


def check_name(path: Path) -> None:
    """Raise InputError where the name says neither CSV nor Parquet."""
    if path.suffix not in _WRITERS:
        raise InputError(f"{path} must end in .csv or .parquet")


def write_tables(tables: Iterable[pa.Table], path: Path) -> int:
    """Write all tables and give the number of rows; an error leaves what was there before as it was.

    Raises StorageError, InputError where there is no row or a column changes its type, and what `tables` raises.
    """
    if not path.parent.is_dir():
        raise StorageError(f"{path} cannot be written: {path.parent} is no folder")
    unfinished = path.with_name(f".{path.name}.part")
    try:
        rows = _write(tables, unfinished, _WRITERS[path.suffix])
        if not rows:
            raise InputError("there is no row to predict")
        unfinished.replace(path)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror or error}") from None
    finally:
        unfinished.unlink(missing_ok=True)
    return rows


def _write(tables: Iterable[pa.Table], path: Path, open_writer: Callable[..., AbstractContextManager[Any]]) -> int:
    rows, schema, writer = 0, None, None
    try:
        for table in tables:
            if writer is None:
                schema = _settled(table.schema)
                writer = open_writer(path, schema)
            writer.write_table(_cast(table, schema))
            rows += len(table)
    finally:
        if writer is not None:
            writer.close()
    return rows


def _settled(schema: pa.Schema) -> pa.Schema:
    """A column that is empty so far gets a type: it may be filled later."""
    import pyarrow as pa

    fields = [field.with_type(pa.string()) if pa.types.is_null(field.type) else field for field in schema]
    return pa.schema(fields)


def _cast(table: pa.Table, schema: pa.Schema) -> pa.Table:
    import pyarrow as pa

    try:
        return table.cast(schema)
    except (pa.ArrowException, ValueError):
        changed = [number for number, (a, b) in enumerate(zip(table.schema, schema, strict=False), 1) if a != b]
        told = ", ".join(map(str, changed)) or "some"
        raise InputError(f"column {told} of the rows changes its type on the way: give it one type") from None


def _csv_writer(path: Path, schema: pa.Schema) -> AbstractContextManager[Any]:
    from pyarrow.csv import CSVWriter

    return CSVWriter(path, schema)


def _parquet_writer(path: Path, schema: pa.Schema) -> AbstractContextManager[Any]:
    from pyarrow.parquet import ParquetWriter

    return ParquetWriter(path, schema, compression="zstd")


_WRITERS = {".csv": _csv_writer, ".parquet": _parquet_writer}
