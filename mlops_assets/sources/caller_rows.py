"""Rows to predict, a chunk at a time: from a JSON, CSV or Parquet file, or a query of a database.

What stands beside the inputs, such as a key, is kept for the answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, get_args
from urllib.parse import urlsplit

from mlops_assets.core.columns import Columns, from_rows, from_table
from mlops_assets.dataset import DatasetSpec
from mlops_assets.errors import BadTable, InputError, SourceError
from mlops_assets.sources.database import Database, Refused
from mlops_assets.sources.normalise import normalise
from mlops_assets.sources.other_formats import array_of
from mlops_assets.sources.places import Absent, File, Place
from mlops_assets.sources.remote import open_place
from mlops_assets.sources.retries import Retry, stepwise_without_chain, without_chain

if TYPE_CHECKING:
    import pyarrow as pa
    import sqlalchemy as sa


CHUNK_ROWS = 50_000
LABEL = "the query"  # what messages call the rows of a database
Form = Literal["json", "csv", "parquet"]
_FORMS: tuple[Form, ...] = get_args(Form)
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
        self._inputs = spec.as_callers_write()
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
        inputs, present = self._inputs, set(table.column_names)
        sources = {alias: next((n for n in (alias, self._names.get(alias)) if n in present), None) for alias in inputs}
        if absent := [alias for alias, name in sources.items() if name is None]:
            raise InputError(f"{label}: missing column(s): {', '.join(absent)} (needed: {', '.join(inputs)})")
        values = {alias: table[name] for alias, name in sources.items()}
        typed = normalise(values, self._spec, label, written=self._inputs)
        columns = from_table(typed, inputs)
        for name in table.column_names:
            if name not in sources.values():
                typed = typed.append_column(name, table[name])
        return Chunk(columns, typed)

    def _of_json(self, stream: BinaryIO, label: str) -> Chunk:
        import pyarrow as pa

        columns = from_rows(_json_rows(stream, label), self._spec)
        kinds = {"integer": pa.int64(), "number": pa.float64(), "text": pa.string(), "time": pa.timestamp("us")}
        types = {alias: kinds[column.type] for alias, column in self._inputs.items()}
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
    from pyarrow import csv

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


@without_chain
def rows_of_file(
    uri: str, reader: ChunkReader, spec: DatasetSpec, cache: Path, *, timeout: float, retries: int
) -> Generator[Chunk, None, None]:
    """The rows of a .json, .csv or .parquet file; `spec` knows what messages must not show.

    Raises InputError or BadTable where the file is not such rows, and SourceError where it cannot be had.
    """
    name = (urlsplit(uri).path if "://" in uri else uri).lower()
    form = next((form for form in _FORMS if name.endswith(f".{form}")), None)
    if form is None:
        raise InputError("the file's name must end in .json, .csv or .parquet")
    if "@" in urlsplit(uri).netloc:
        raise InputError("the file's URL must hold no user and no password: it would be kept with the run")
    place = open_place(uri, spec.redact(uri), cache, timeout, Retry(retries))
    file = File(uri, "the file of rows")
    version = place.version(file)
    if isinstance(version, Absent):
        raise SourceError(f"{file.label} is {version.value}: correct its path, as the run sees it")
    return stepwise_without_chain(_chunks(place, file, version, reader, form))


def _chunks(place: Place, file: File, version: str, reader: ChunkReader, form: Form) -> Generator[Chunk, None, None]:
    with place.open(file, version) as stream:
        yield from reader.file(stream, form, file.label)


def stream_query(database: Database, query: str, chunk_rows: int) -> Generator[pa.Table, None, None]:
    """Tables of up to `chunk_rows` rows, in the order of the query; none where it has no row. Raises SourceError."""
    import sqlalchemy as sa

    statement = sa.text(query.strip().rstrip(";").replace(":", r"\:"))  # a colon would start a parameter
    return stepwise_without_chain(_query_chunks(database, statement, chunk_rows))


def stream_table(database: Database, name: str, chunk_rows: int) -> Generator[pa.Table, None, None]:
    """The same of a table or view, `schema.table` where needed, in whatever order the database gives."""
    import sqlalchemy as sa

    schema, _, table = name.rpartition(".")
    statement: sa.Select[Any] = sa.select(sa.literal_column("*")).select_from(sa.table(table, schema=schema or None))
    return stepwise_without_chain(_query_chunks(database, statement, chunk_rows))


def _query_chunks(database: Database, statement: sa.Executable, chunk_rows: int) -> Generator[pa.Table, None, None]:
    import pyarrow as pa

    try:
        with database.stream(statement, chunk_rows, LABEL) as chunks:
            for chunk in chunks:
                yield pa.table(dict(zip(chunk[0]._fields, map(array_of, zip(*chunk, strict=True)), strict=True)))
    except Refused as refusal:
        raise BadTable(f"{LABEL}: the database cannot read it ({refusal.reason}): correct it or its rights") from None
