"""Files of every format, plain or packed, read into typed tables; only the spec's columns are read."""

from __future__ import annotations

import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, get_args
from urllib.parse import urlsplit

from mlops_assets.dataset import DatasetSpec, Dialect, FilesSource, PackageSource
from mlops_assets.dataset.parts import FileFormat
from mlops_assets.errors import BadTable, SpecError
from mlops_assets.sources.delimited import read_csv, why_not
from mlops_assets.sources.diagnosis import damaged
from mlops_assets.sources.normalise import by_alias, locate, normalise
from mlops_assets.sources.other_formats import read_arrow, read_excel, read_json, read_parquet
from mlops_assets.sources.raw import Opened, Packing, Raw, opener

if TYPE_CHECKING:
    import pyarrow as pa


STREAM_ROWS = 2**16
RAGGED = b"ragged rows"  # in a table's metadata: how many rows of the file were left out
ENDINGS: dict[str, FileFormat] = {
    "parquet": "parquet",
    "pq": "parquet",
    "csv": "csv",
    "tsv": "csv",
    "json": "json",
    "jsonl": "json",
    "ndjson": "json",
    "xlsx": "excel",
    "xlsm": "excel",
    "xls": "excel",
    "xlsb": "excel",
    "ods": "excel",
    "arrow": "arrow",
    "feather": "arrow",
    "ipc": "arrow",
}
_NAMES: dict[FileFormat, str] = {
    "parquet": "Parquet",
    "json": "JSON, an object a line or a list of them",
    "excel": "an Excel workbook",
    "arrow": "Arrow",
}
_READ: dict[FileFormat, Callable[[Opened, Dialect, DatasetSpec, str], Raw]] = {
    "parquet": lambda opened, _, spec, label: read_parquet(opened, spec, label),
    "csv": read_csv,
    "json": lambda opened, _, __, label: read_json(opened, label),
    "excel": lambda opened, dialect, _, label: read_excel(opened, dialect, label),
    "arrow": lambda opened, *_: read_arrow(opened),
}


@dataclass(frozen=True)
class Format:
    """How a file's bytes become rows."""

    kind: FileFormat
    dialect: Dialect = field(default_factory=Dialect)
    packed: Packing | None = None

    def __str__(self) -> str:
        written = f"{self.dialect.encoding.upper()} CSV with delimiter {self.dialect.delimiter!r}"
        kind = _NAMES.get(self.kind, written)
        return f"{kind}, packed as .{self.packed}" if self.packed else kind


def format_of(source: FilesSource | PackageSource, name: str) -> Format:
    """The format that the source states, or that the name ends in. Raises SpecError where neither tells."""
    name = (urlsplit(name).path if "://" in name else name).lower()
    packed = next((ending for ending in get_args(Packing) if name.endswith(f".{ending}")), None)
    ending = name.removesuffix(f".{packed}").rpartition(".")[2]
    kind = source.format or ENDINGS.get(ending)
    if kind is None:
        kinds = ", ".join(get_args(FileFormat))
        raise SpecError(f"the name of the source's file tells no format: set source.format to one of {kinds}")
    dialect = Dialect.model_validate({key: getattr(source, key) for key in Dialect.model_fields})
    if ending == "tsv" and "delimiter" not in source.model_fields_set:
        dialect = dialect.model_copy(update={"delimiter": "\t"})
    return Format(kind, dialect, packed)


def read_rows(stream: BinaryIO, form: Format, spec: DatasetSpec, label: str) -> pa.Table:
    """The typed rows of a file. Raises BadTable with `label` in front."""
    opened = opener(stream, form.packed, label)
    try:
        raw = _READ[form.kind](opened, form.dialect, spec, label)
    except damage():
        raise _why(opened, form, label) from None
    names = locate(raw.table.column_names, spec, label)
    rows = normalise(by_alias(raw.table, names, spec), spec, label, line_of=raw.line_of)
    return rows.replace_schema_metadata({RAGGED: str(raw.ragged)}) if raw.ragged else rows


def damage() -> tuple[type[Exception], ...]:
    """What parsers raise where bytes are not what they should be."""
    import pyarrow as pa

    unpacking = (OSError, EOFError, RuntimeError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)
    return (pa.ArrowException, UnicodeError, *unpacking)


def _why(opened: Opened, form: Format, label: str) -> BadTable:
    try:
        return why_not(opened, form.dialect, str(form), label) if form.kind == "csv" else damaged(str(form), label)
    except damage():
        return damaged(str(form), label)


def ragged_rows(table: pa.Table) -> int:
    """How many rows of the file that a table comes from had too few or too many values, and were left out."""
    return int((table.schema.metadata or {}).get(RAGGED, 0))


def stream_rows(stream: BinaryIO, form: Format, spec: DatasetSpec, label: str) -> Iterator[pa.Table]:
    """The rows of `read_rows` in the parts that the file has; as one where it is no plain Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if form.kind != "parquet" or form.packed:
        yield read_rows(stream, form, spec, label)
        return
    try:
        file = pq.ParquetFile(stream)
        names = locate(file.schema_arrow.names, spec, label)
        for raw in map(pa.table, file.iter_batches(STREAM_ROWS, columns=list(names.values()), use_threads=False)):
            yield normalise(by_alias(raw, names, spec), spec, label)
    except (BadTable, pa.ArrowException, OSError):
        stream.seek(0)
        read_rows(stream, form, spec, label)  # tells what is wrong, counted over the whole file
        raise
