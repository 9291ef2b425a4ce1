"""Rows to predict, a chunk at a time: from a JSON, CSV or Parquet file, or a query of a database.

What stands beside the inputs, such as a key, is kept for the answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from mlops_assets.core.columns import Columns, from_rows, from_table
from mlops_assets.dataset import DatasetSpec
from mlops_assets.errors import InputError
from mlops_assets.sources.tables import normalise

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK_ROWS = 50_000
Form = Literal["json", "csv", "parquet"]
_CONTENT = re.compile(r"(got \d+): .*")  # where a parser quotes a line, which may be of any file


@dataclass(frozen=True)
class Chunk:
    """Some rows: the model's inputs as columns, and a table of these with what stood beside them."""

    columns: Columns
    table: pa.Table


class ChunkReader:
    """Reads rows for one model.

    `spec` is the model's; `names` has the source's name of an input where that is another: both names are taken.
    """

    def __init__(self, spec: DatasetSpec, names: dict[str, str]) -> None:
        self._spec = spec
        self._inputs = spec.model_copy(update={"columns": {alias: spec.columns[alias] for alias in spec.inputs()}})
        self._names = names

    def file(self, stream: BinaryIO, form: Form, label: str) -> Iterator[Chunk]:
        """The rows of a file; `label` is what messages call it. Raises InputError or BadTable."""
        import pyarrow as pa

        if form == "json":
            yield self._of_json(stream, label)
            return
        try:
            yield from self.tables(_READ[form](stream), label)
        except (OSError, pa.ArrowException) as error:
            reason = _CONTENT.sub(r"\1", str(error).splitlines()[0])
            raise InputError(f"{label} is not a .{form} table: {reason}") from None

    def tables(self, tables: Generator[pa.Table, None, None], label: str) -> Iterator[Chunk]:
        """The same of tables; `label` is what messages call them. Raises InputError or BadTable."""
        done = 0
        with closing(tables):  # an error here must not leave a connection open there
            for table in tables:
                yield self._of_table(table, f"{label}, rows {done + 1:,} to {done + len(table):,}")
                done += len(table)

    def _of_table(self, table: pa.Table, label: str) -> Chunk:
        inputs, present = self._inputs.columns, set(table.column_names)
        found = {alias: next((n for n in (alias, self._names.get(alias)) if n in present), None) for alias in inputs}
        if absent := [alias for alias, name in found.items() if name is None]:
            raise InputError(f"{label}: missing column(s): {', '.join(absent)} (needed: {', '.join(inputs)})")
        typed = normalise({alias: table[name] for alias, name in found.items()}, self._inputs, label)
        columns = from_table(typed, inputs)
        for name in table.column_names:
            if name not in found.values():
                typed = typed.append_column(name, table[name])
        return Chunk(columns, typed)

    def _of_json(self, stream: BinaryIO, label: str) -> Chunk:
        import pyarrow as pa

        columns = from_rows(_json_rows(stream, label), self._spec)
        kinds = {"integer": pa.int64(), "number": pa.float64(), "text": pa.string(), "time": pa.timestamp("us")}
        types = {alias: kinds[column.type] for alias, column in self._inputs.columns.items()}
        arrays = {alias: _arrow(values, types[alias]) for alias, values in columns.items()}
        return Chunk(columns, pa.table(arrays))


def _arrow(values: Any, kind: pa.DataType) -> pa.Array:
    import pyarrow as pa

    try:
        return pa.array(values, kind, from_pandas=True)
    except pa.ArrowInvalid:  # an infinite or huge number in the place of a whole one
        return pa.array(values, from_pandas=True)


def _json_rows(stream: BinaryIO, label: str) -> list[dict[str, Any]]:
    try:
        document = json.load(stream)
    except (ValueError, OSError) as error:
        raise InputError(f"{label} is not JSON: {error}") from None
    rows = document if isinstance(document, list) else [document]
    if not rows or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{label} must hold an object, or a list of objects, one a row")
    return rows


def _csv_tables(stream: BinaryIO) -> Generator[pa.Table, None, None]:
    """All values as the text that they are, for the rules of sources to read: 007 is no number."""
    import pyarrow as pa
    import pyarrow.csv as csv

    with csv.open_csv(stream) as reader:
        names = reader.schema.names
    stream.seek(0)
    options = csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False)
    with csv.open_csv(stream, convert_options=options) as reader:
        for batch in reader:
            yield pa.table(batch)


def _parquet_tables(stream: BinaryIO) -> Generator[pa.Table, None, None]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(stream) as file:
        for batch in file.iter_batches(CHUNK_ROWS):
            yield pa.table(batch)


_READ = {"csv": _csv_tables, "parquet": _parquet_tables}
