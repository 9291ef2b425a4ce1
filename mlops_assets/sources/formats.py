"""Parquet and CSV files, plain or packed, read into typed tables; only the spec's columns are read."""

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, BinaryIO, Literal, get_args
from urllib.parse import urlsplit

from mlops_assets.dataset import DatasetSpec, FilesSource, PackageSource
from mlops_assets.errors import BadTable, SpecError
from mlops_assets.sources.normalise import MISSING, check_names, csv_types, normalise

if TYPE_CHECKING:
    import pyarrow as pa


STREAM_ROWS = 2**16
Kind = Literal["parquet", "csv"]
Packing = Literal["zip", "gz"]
_KINDS: tuple[Kind, ...] = get_args(Kind)
_PACKINGS: tuple[Packing, ...] = get_args(Packing)


@dataclass(frozen=True)
class Format:
    """How a file's bytes become rows."""

    kind: Kind
    delimiter: str = ","
    packed: Packing | None = None

    def __str__(self) -> str:
        kind = "Parquet" if self.kind == "parquet" else f"UTF-8 CSV with delimiter '{self.delimiter}'"
        return f"{kind}, packed as .{self.packed}" if self.packed else kind


def format_of(source: FilesSource | PackageSource, name: str) -> Format:
    """The format that the source states, or that the name ends in. Raises SpecError where neither tells."""
    name = (urlsplit(name).path if "://" in name else name).lower()
    packed = next((ending for ending in _PACKINGS if name.endswith(f".{ending}")), None)
    inner = name.removesuffix(f".{packed}")
    kind = source.format or next((kind for kind in _KINDS if inner.endswith(f".{kind}")), None)
    if kind is None:
        raise SpecError("the name of the source's file tells no format: set source.format to parquet or csv")
    return Format(kind, source.delimiter, packed)


def read_rows(stream: BinaryIO, form: Format, spec: DatasetSpec, label: str) -> "pa.Table":
    """The typed rows of a file. Raises BadTable with `label` in front."""
    import pyarrow as pa

    read = _read_parquet if form.kind == "parquet" else _read_csv
    damage = (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError, EOFError, RuntimeError)
    try:
        raw = read(stream, form, spec, label)
    except (*damage, zlib.error, zipfile.BadZipFile):
        raise BadTable(f"{label} is damaged, or is not a file of the format {form}") from None
    return normalise({alias: raw[spec.source_name(alias)] for alias in spec.used_columns()}, spec, label)


def stream_rows(stream: BinaryIO, form: Format, spec: DatasetSpec, label: str) -> Iterator["pa.Table"]:
    """The rows of `read_rows` in the parts that the file has; as one where it is no plain Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if form.kind != "parquet" or form.packed:
        yield read_rows(stream, form, spec, label)
        return
    columns = list(csv_types(spec))
    try:
        file = pq.ParquetFile(stream)
        check_names(file.schema_arrow.names, spec, label)
        for raw in map(pa.table, file.iter_batches(STREAM_ROWS, columns=columns, use_threads=False)):
            yield normalise({alias: raw[spec.source_name(alias)] for alias in spec.used_columns()}, spec, label)
    except (BadTable, pa.ArrowException, OSError):
        stream.seek(0)
        read_rows(stream, form, spec, label)  # tells what is wrong, counted over the whole file
        raise


def _read_parquet(stream: BinaryIO, form: Format, spec: DatasetSpec, label: str) -> "pa.Table":
    import pyarrow.parquet as pq

    with _unpacked(stream, form, label) as inner:
        file = pq.ParquetFile(inner)
        check_names(file.schema_arrow.names, spec, label)
        return file.read(columns=list(csv_types(spec)))


def _read_csv(stream: BinaryIO, form: Format, spec: DatasetSpec, label: str) -> "pa.Table":
    import pyarrow as pa
    from pyarrow import csv

    parse = csv.ParseOptions(delimiter=form.delimiter)
    types = csv_types(spec)

    def parsed(column_types: "dict[str, pa.DataType]") -> "pa.Table":
        stream.seek(0)
        options = csv.ConvertOptions(include_columns=list(types), column_types=column_types, null_values=list(MISSING))
        with _unpacked(stream, form, label) as inner:
            return csv.read_csv(inner, parse_options=parse, convert_options=options)

    try:
        return parsed(types)
    except pa.ArrowKeyError:
        stream.seek(0)
        with _unpacked(stream, form, label) as inner:
            check_names(csv.open_csv(inner, parse_options=parse).schema.names, spec, label)
        raise
    except pa.ArrowInvalid:  # a value has another type: read texts, and let each column say which it cannot use
        return parsed(dict.fromkeys(types, pa.string()))


@contextmanager
def _unpacked(stream: BinaryIO, form: Format, label: str) -> Iterator[IO[bytes] | gzip.GzipFile]:
    if form.packed == "zip":
        with _only_member(stream, label) as member:
            yield member
    elif form.packed == "gz":
        with gzip.open(stream) as inner:
            yield inner
    else:
        yield stream


@contextmanager
def _only_member(stream: BinaryIO, label: str) -> Iterator[IO[bytes]]:
    with zipfile.ZipFile(stream) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        if len(names) != 1:
            raise BadTable(f"{label} is a .zip of {len(names)} files: it must hold one")
        with archive.open(names[0]) as member:
            yield member
