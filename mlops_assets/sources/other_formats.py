"""Parquet, Arrow, JSON and Excel files as tables under their own names."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from mlops_assets.dataset import DatasetSpec, Dialect
from mlops_assets.errors import BadTable, SourceError
from mlops_assets.sources.normalise import locate
from mlops_assets.sources.raw import Opened, Raw

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def read_parquet(opened: Opened, spec: DatasetSpec, label: str) -> Raw:
    import pyarrow.parquet as pq

    with opened() as inner:
        file = pq.ParquetFile(inner)
        names = locate(file.schema_arrow.names, spec, label)
        return Raw(file.read(columns=list(names.values())))


def read_arrow(opened: Opened) -> Raw:
    """A file or a stream of Arrow, or a Feather file of either version."""
    import pyarrow as pa
    from pyarrow import feather

    with opened() as inner:
        content = pa.BufferReader(inner.read())
    try:
        return Raw(feather.read_table(content))
    except pa.ArrowInvalid:
        content.seek(0)
        with pa.ipc.open_stream(content) as stream:
            return Raw(stream.read_all())


def read_json(opened: Opened, label: str) -> Raw:
    """An object a line, or one list of objects; what an object lacks is missing."""
    import orjson

    with opened() as inner:
        content = inner.read().strip()
    if not content:
        raise BadTable(f"{label} cannot be read: the file is empty")
    lines = [content] if content.startswith(b"[") else content.splitlines()
    rows: list[Any] = []
    places: list[int] = []
    for number, line in enumerate(lines, 1):
        try:
            value = orjson.loads(line) if line.strip() else []
        except orjson.JSONDecodeError as error:
            raise BadTable(f"{label} is no JSON in row {number:,}: {str(error).partition(':')[0]}") from None
        found = value if isinstance(value, list) else [value]
        rows += found
        places += [number] * len(found) if len(lines) > 1 else range(1, len(found) + 1)
    if wrong := next((number for number, row in enumerate(rows, 1) if not isinstance(row, dict)), None):
        raise BadTable(f"{label}: row {wrong:,} is no JSON object of names and values")
    names = dict.fromkeys(name for row in rows for name in row)
    return Raw(_table(names, [[row.get(name) for row in rows] for name in names]), places.__getitem__)


def read_excel(opened: Opened, dialect: Dialect, label: str) -> Raw:
    """The one sheet of a workbook, or the one that is named; cells keep their types."""
    with workbook_of(opened, label) as book:
        sheet = _sheet([str(name) for name in book.sheet_names], dialect.sheet, label)
        cells = cells_of(book, sheet)
    kept = [number for number, row in enumerate(cells) if number >= dialect.skip_rows and not is_blank(row)]
    if not kept and not dialect.header:
        raise BadTable(f"{label}: the sheet is empty")
    header = dialect.header or [str(cell) for cell in cells[kept.pop(0)]]
    columns = zip(*(cells[number] for number in kept), strict=True) if kept else [[] for _ in header]
    return Raw(_table(header, [list(column) for column in columns]), lambda row: kept[row] + 1)


@contextmanager
def workbook_of(opened: Opened, label: str) -> Iterator[pd.ExcelFile]:
    """The workbook, open. Raises SourceError without the extra, BadTable where it cannot be read."""
    try:
        from python_calamine import CalamineError
    except ImportError:
        raise SourceError(f"{label}: Excel files need an extra: pip install 'mlops-assets[excel]'") from None
    import pandas as pd

    with opened() as inner:
        content = io.BytesIO(inner.read())
    try:
        with pd.ExcelFile(content, engine="calamine") as book:
            yield book
    except CalamineError:
        raise BadTable(f"{label} is no Excel workbook that can be opened: is it damaged, or locked?") from None


def cells_of(book: pd.ExcelFile, sheet: str) -> list[list[Any]]:
    """The rows of a sheet, from its first line on."""
    rows: list[list[Any]] = book.parse(sheet, header=None, dtype=object, keep_default_na=False).to_numpy().tolist()
    return rows


def is_blank(row: Sequence[Any]) -> bool:
    return all(cell is None or cell == "" for cell in row)


def _sheet(names: Sequence[str], wanted: str | None, label: str) -> str:
    listed = ", ".join(names)
    if wanted is None and len(names) > 1:
        raise BadTable(f"{label} has {len(names)} sheets ({listed}): set source.sheet to one of them")
    if wanted is not None and wanted not in names:
        raise BadTable(f"{label} has no sheet of the name in source.sheet (sheets: {listed})")
    return wanted or names[0]


def _table(names: Sequence[str] | dict[str, None], columns: Sequence[Sequence[Any]]) -> pa.Table:
    import pyarrow as pa

    return pa.Table.from_arrays([array_of(values) for values in columns], names=list(names))


def array_of(values: Sequence[Any]) -> pa.ChunkedArray:
    """A column of Python's values; what Arrow has no one type for becomes text, for `normalise` to judge."""
    import pyarrow as pa

    try:
        return pa.chunked_array([pa.array(values)])
    except (TypeError, ValueError, OverflowError):
        return pa.chunked_array([pa.array([_text(value) for value in values])])


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return value.isoformat(" ")
    return value.isoformat() if isinstance(value, date) else str(value)
