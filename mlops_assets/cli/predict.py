"""`predict`: rows from a file or a database, answered by the champion."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mlops_assets.core.model.answers import FLAGS
from mlops_assets.dataset import SqlSource
from mlops_assets.errors import InputError, SettingsError, StorageError, TrackingError
from mlops_assets.project import Project, open_project
from mlops_assets.settings import environment
from mlops_assets.sources import caller_rows
from mlops_assets.sources.caller_rows import Chunk, ChunkReader, Form
from mlops_assets.sources.database import Database
from mlops_assets.sources.retries import Retry

if TYPE_CHECKING:
    import pyarrow as pa

    from mlops_assets.core.model.answers import Answers
    from mlops_assets.core.model.model import Model
    from mlops_assets.resources.mlflow.version import Version


ONE_OF_TWO = "give either a file of rows or --sql with a query"


@dataclass(frozen=True)
class Question:
    """What to predict: a file, or a query of the database whose URL an environment variable holds."""

    path: Path | None
    query: str | None
    database: str | None


def predict_rows(question: Question, output: Path | None, number: int | None) -> None:
    """Print an answer a line as JSON, or write the rows with their answers to a file."""
    if (question.path is None) == (question.query is None):
        raise InputError(ONE_OF_TWO)
    if output:
        check_name(output)
    project = open_project()
    version = project.registry.version(number) if number else project.registry.champion()
    if version is None:
        raise TrackingError(f"{project.spec.name} has no champion yet: run the pipeline first (mlops-assets run)")
    model = project.registry.load(version.number)
    answered = _answered(model, _chunks(project, model, question))
    if output:
        rows = write_tables((_with_answers(chunk.table, answers, version) for chunk, answers in answered), output)
        print(f"{rows:,} predictions of version {version.number} ({version.model_type}) are in {output}")
    else:
        for _, answers in answered:
            _print(answers, version, project.target.unit)


def _answered(model: Model, chunks: Iterator[Chunk]) -> Iterator[tuple[Chunk, Answers]]:
    """Each chunk with its answers; raises InputError naming the first row that lacks what it must have."""
    done = 0
    for chunk in chunks:
        yield chunk, model.answer_complete(chunk.columns, done)
        done += chunk.table.num_rows


def _chunks(project: Project, model: Model, question: Question) -> Iterator[Chunk]:
    columns = project.spec.columns
    names = {alias: project.spec.source_name(alias) for alias in model.spec.inputs() if alias in columns}
    reader = ChunkReader(model.spec, names)
    if question.path is not None:
        return _file(reader, question.path)
    if question.query is None:
        raise InputError(ONE_OF_TWO)
    from mlops_assets.sources.caller_rows import LABEL, stream_query

    tables = stream_query(_database(project, question.database), question.query, caller_rows.CHUNK_ROWS)
    return reader.tables(tables, LABEL)


def _file(reader: ChunkReader, path: Path) -> Iterator[Chunk]:
    """The rows of a file by the ending of its name; of any other, and of `-`, which is standard input, JSON."""
    if str(path) == "-":
        yield from reader.file(BytesIO(sys.stdin.read().encode()), "json", "standard input")
        return
    if not path.is_file():
        raise InputError(f"{path} does not exist: give a .json, .csv or .parquet file, or - for standard input")
    with path.open("rb") as stream:
        yield from reader.file(stream, _FORMS.get(path.suffix, "json"), str(path))


def _database(project: Project, name: str | None) -> Database:
    source, settings = project.spec.source, project.settings
    if name:
        url = environment().get(name)
    elif isinstance(source, SqlSource):
        url = source.url
    else:
        raise InputError(f"the source of {project.spec.name} is no database: name the variable with --database")
    if not url:
        raise SettingsError(f"--database names the environment variable {name}, which is not set")
    return Database(url, settings.http_timeout, Retry(settings.http_retries), name or "source.url")


def _with_answers(table: pa.Table, answers: Answers, version: Version) -> pa.Table:
    """Answers take the place of columns of the same names, which a file that was answered before has."""
    columns = answers.arrow(version.number) | {kind: _joined(answers, kind) for kind in FLAGS}
    table = table.drop_columns([name for name in columns if name in table.column_names])
    for name, values in columns.items():
        table = table.append_column(name, values)
    return table


def _joined(answers: Answers, kind: str) -> pa.Array:
    """The flagged inputs of each row as a text, which a CSV can hold; null where there is none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    names = answers.names(kind)
    text = pc.binary_join(names, ",")
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)


def _print(answers: Answers, version: Version, unit: str) -> None:
    about = {"unit": unit, "model_type": version.model_type, "model_version": version.number}
    for answer in answers.rows():
        numbers = {name: None if x != x else x for name, x in answer._asdict().items() if name != "classes"}
        print(json.dumps(numbers | (answer.classes._asdict() if answer.classes else {}) | about))


class Writer(Protocol):
    """What PyArrow's writers of CSV and of Parquet have alike."""

    def write_table(self, table: pa.Table) -> None: ...

    def close(self) -> None: ...


def _csv_writer(path: Path, schema: pa.Schema) -> Writer:
    from pyarrow.csv import CSVWriter

    writer: Writer = CSVWriter(path, schema)
    return writer


def _parquet_writer(path: Path, schema: pa.Schema) -> Writer:
    from pyarrow.parquet import ParquetWriter

    writer: Writer = ParquetWriter(path, schema, compression="zstd")
    return writer


_WRITERS = {".csv": _csv_writer, ".parquet": _parquet_writer}
_FORMS: dict[str, Form] = {".csv": "csv", ".parquet": "parquet"}


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


def _write(tables: Iterable[pa.Table], path: Path, open_writer: Callable[[Path, pa.Schema], Writer]) -> int:
    rows, schema = 0, None
    writer: Writer | None = None
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
        columns = ", ".join(map(str, changed)) or "some"
        raise InputError(f"column {columns} of the rows changes its type on the way: give it one type") from None
