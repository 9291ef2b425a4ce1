"""CSV files of any dialect. Plain ones are read by Arrow as they are; of others a plain copy is made in memory."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import IO, TYPE_CHECKING, Any

from mlops_assets.dataset import DatasetSpec, Dialect
from mlops_assets.errors import BadTable
from mlops_assets.sources.diagnosis import damaged, kind_told, no_header, not_in
from mlops_assets.sources.normalise import alike, locate
from mlops_assets.sources.raw import Opened, Raw
from mlops_assets.sources.values import MISSING

if TYPE_CHECKING:
    import pyarrow as pa

HEAD = 1 << 20  # bytes in which a header ends


def read_csv(opened: Opened, dialect: Dialect, spec: DatasetSpec, label: str) -> Raw:
    """The columns that the spec reads: numbers as such where they are written plainly, else texts.

    Raises BadTable, or ArrowInvalid and UnicodeError for `why_not` to tell.
    """
    import pyarrow as pa

    header = _header(opened, dialect, label)
    if not _any_present(header, spec) and not alike(header, spec, spec.used_columns()):
        raise no_header(header, dialect, spec, label)
    names = locate(header, spec, label)
    types = _types(spec, dialect, names)
    texts = dict.fromkeys(types, pa.string())
    # A value may be of another type: then texts are read, and each column says which it cannot use. Or a quoted text
    # may hold a line break where Arrow cuts a file into parts: looked for only then, since it costs time.
    attempts = [(types, False), (texts, False), (types, True), (texts, True)]
    for number, (column_types, breaks) in enumerate(attempts, 1):
        try:
            table, ragged = _parsed(opened, dialect, header, column_types, breaks)
            break
        except pa.ArrowInvalid:
            if number == len(attempts):
                raise
    return Raw(table, partial(_line_of, opened, dialect), ragged)


def read_texts(opened: Opened, dialect: Dialect, label: str) -> Raw:
    """All columns as the texts that they are, under the names that stand in the file. Raises as `read_csv` does."""
    import pyarrow as pa

    header = _header(opened, dialect, label)
    if twice := next((name for name in header if header.count(name) > 1), None):
        raise BadTable(f"{label}: {header.count(twice)} columns are called '{twice}': rename one in the table")
    table, ragged = _parsed(opened, dialect, header, dict.fromkeys(header, pa.string()), True)
    return Raw(table, partial(_line_of, opened, dialect), ragged)


def _line_of(opened: Opened, dialect: Dialect, row: int, *, ragged_too: bool = False) -> int:
    """The line of the file on which a row begins: comments and texts with line breaks may stand above it."""
    width = len(dialect.header)
    number = -1 if dialect.header else -2  # the header is a row too
    last = 0
    with opened() as inner, suppress(csv.Error):  # a text longer than any: the row before it
        for line, values in _records(_plain(inner, dialect).read().decode("utf-8-sig", "replace"), dialect):
            width = width or len(values)
            number += bool(ragged_too or dialect.ragged == "refuse" or len(values) == width)
            if number == row:
                return line
            last = line
    return last


def _records(text: str, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    """The values of each row that is not empty, with the line on which it begins. Raises csv.Error."""
    rows = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=dialect.delimiter,
        quotechar=dialect.quote or None,
        escapechar=dialect.escape,
        quoting=csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE,
    )
    line = 1
    for values in rows:
        if values:
            yield line, values
        line = rows.line_num + 1


def why_not(opened: Opened, dialect: Dialect, form: str, label: str) -> BadTable:
    """Why a file that was unpacked is no table of this dialect. `form`: what it should be, in words."""
    with opened() as inner:
        content = inner.read()
    try:
        content.decode(dialect.encoding)
    except UnicodeError as error:
        return not_in(dialect, content, error, label)
    ragged = _first_ragged_row(opened, dialect)
    line = _line_of(opened, dialect, ragged.number - (1 if dialect.header else 2), ragged_too=True) if ragged else 0
    if dialect.quote and (ragged.text if ragged else content.decode(dialect.encoding)).count(dialect.quote) % 2:
        where = f" in row {line:,}" if ragged else ""
        return BadTable(
            f"{label}: a quoted text{where} does not end: correct it, or set source.quote to '' where {dialect.quote} "
            "is a character like others"
        )
    if ragged:
        return BadTable(
            f"{label}: row {line:,} has {ragged.actual_columns} of {ragged.expected_columns} columns: correct it, "
            "or leave out such rows, counted, by source.ragged: drop"
        )
    return damaged(form, label)


def _first_ragged_row(opened: Opened, dialect: Dialect) -> Any:
    """Arrow's account of the first row with too few or too many values; None where there is none."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    found: list[Any] = []

    def note(row: Any) -> str:
        found.append(row)
        return "skip"

    read = arrow_csv.ReadOptions(use_threads=False, column_names=list(dialect.header) or None)  # else without numbers
    with suppress(pa.ArrowInvalid), opened() as inner:
        parse = _parse_options(dialect, True, note)
        with arrow_csv.open_csv(_plain(inner, dialect), read, parse) as rows:
            for _ in rows:
                if found:
                    break
    return found[0] if found else None


def _header(opened: Opened, dialect: Dialect, label: str) -> Sequence[str]:
    """The names of the columns. Raises BadTable where the bytes are no text, or none at all."""
    with opened() as inner:
        head = inner.read(HEAD)
    if told := kind_told(head, dialect):
        raise BadTable(f"{label} {told}")
    if dialect.header:
        return dialect.header
    with opened() as inner:
        plain = _plain(io.BytesIO(head) if _is_plain(dialect) else inner, dialect)
        text = plain.read(HEAD).decode("utf-8-sig", "replace")
    try:
        header = next((names for _, names in _records(text, dialect)), None)
    except csv.Error:  # a value longer than any
        raise BadTable(
            f"{label}: a quoted text in the header does not end: correct it, or set source.quote to ''"
        ) from None
    if header is None:
        raise BadTable(f"{label}: the file is empty below what source.skip_rows and source.comment leave out")
    if any("\ufffd" in name for name in header):
        head.decode()  # raises
    return header


def _any_present(header: Sequence[str], spec: DatasetSpec) -> bool:
    bare = {name.strip() for name in header}
    return any(name.strip() in bare for alias in spec.used_columns() for name in spec.source_names(alias))


def _types(spec: DatasetSpec, dialect: Dialect, names: dict[str, str]) -> dict[str, pa.DataType]:
    """Types to parse the columns as, by their names in the file; times come as text, for their offsets."""
    import pyarrow as pa

    types: dict[str, pa.DataType] = {}
    for alias, column in spec.written().items():
        has_marks = bool(spec.columns[alias].missing_values)
        kind = column.type if column.is_plain and not has_marks else "text"
        parsed = {"integer": pa.int64(), "number": pa.float64()}.get(kind, pa.string())
        for name in spec.source_names(alias):
            types[names[name]] = parsed if types.get(names[name], parsed) == parsed else pa.string()
    return types


def _parsed(
    opened: Opened, dialect: Dialect, header: Sequence[str], types: dict[str, pa.DataType], breaks: bool
) -> tuple[pa.Table, int]:
    """The table of these columns, and how many ragged rows were left out."""
    from pyarrow import csv as arrow_csv

    dropped: list[None] = []

    def drop(_: Any) -> str:
        dropped.append(None)
        return "skip"

    nothing = [*MISSING, *dialect.missing]
    convert = arrow_csv.ConvertOptions(include_columns=list(types), column_types=types, null_values=nothing)
    read = arrow_csv.ReadOptions(column_names=list(dialect.header) or None)
    parse = _parse_options(dialect, breaks, drop if dialect.ragged == "drop" else None)
    with opened() as inner:
        return arrow_csv.read_csv(_plain(inner, dialect), read, parse, convert), len(dropped)


def _parse_options(dialect: Dialect, breaks: bool, handler: Any) -> Any:
    from pyarrow import csv as arrow_csv

    return arrow_csv.ParseOptions(
        delimiter=dialect.delimiter,
        quote_char=dialect.quote or False,
        escape_char=dialect.escape or False,
        newlines_in_values=breaks,
        invalid_row_handler=handler,
    )


def _is_plain(dialect: Dialect) -> bool:
    is_utf8 = dialect.encoding.lower().replace("_", "-") in ("utf-8", "utf8", "utf-8-sig")
    return is_utf8 and not dialect.skip_rows and not dialect.comment


def _plain(stream: IO[bytes], dialect: Dialect) -> IO[bytes]:
    """The same table in UTF-8, an empty line for each that is left out. Raises UnicodeError where it is of another
    encoding.
    """
    if _is_plain(dialect):
        return stream
    text = stream.read().decode("utf-8-sig" if dialect.encoding.lower() in ("utf-8", "utf8") else dialect.encoding)
    start = 0
    for _ in range(dialect.skip_rows):
        start = text.find("\n", start) + 1 or len(text)
    text = "\n" * dialect.skip_rows + text[start:]
    if dialect.comment:
        text = _without_comments(text, dialect.comment, dialect.quote)
    return io.BytesIO(text.encode())


def _without_comments(text: str, comment: str, quote: str) -> str:
    """Nothing in place of lines that begin with the mark; a quoted text may hold one that does."""
    line = rf"^{re.escape(comment)}[^\n]*"
    if not quote:
        return re.sub(line, "", text, flags=re.MULTILINE)
    mark = re.escape(quote)
    return re.sub(rf"({mark}[^{mark}]*{mark})|{line}", lambda found: found[1] or "", text, flags=re.MULTILINE)
