"""Why a file cannot be read: what it is instead, and which key says so."""

from __future__ import annotations

from collections.abc import Sequence

from mlops_assets.dataset import DatasetSpec, Dialect
from mlops_assets.errors import BadTable

_MOST_SHOWN = 40  # characters of a line in an error
# How files begin whose format is another, and what to do.
_MARKS = {
    b"PAR1": "is a Parquet file: set source.format to parquet",
    b"ARROW1": "is an Arrow file: set source.format to arrow",
    b"FEA1": "is an Arrow file: set source.format to arrow",
    b"\xd0\xcf\x11\xe0": "is an Excel workbook: set source.format to excel",
    b"\x1f\x8b": "is packed: its name must end in .gz",
    b"\x28\xb5\x2f\xfd": "is packed: its name must end in .zst",
    b"SQLite format 3": "is a SQLite database: read it by a source of kind sql",
    b"<!DOCTYPE": "is an HTML page, not a table: does its address ask for a login?",
    b"<html": "is an HTML page, not a table: does its address ask for a login?",
    b"{": "is JSON: set source.format to json",
    b"[{": "is JSON: set source.format to json",
}
_BYTE_ORDER = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


def kind_told(head: bytes, dialect: Dialect) -> str | None:
    """What the first bytes say that is no CSV file of this dialect; None where they say nothing."""
    if not head.strip():
        return "cannot be read: the file is empty"
    if head.startswith(b"PK\x03\x04"):
        if b"xl/" in head or b"[Content_Types].xml" in head:
            return "is an Excel workbook: set source.format to excel"
        return "is packed: its name must end in .zip"
    for mark, told in _MARKS.items():
        if head.startswith(mark):
            return told
    is_wide = dialect.encoding.lower().replace("_", "-").startswith(("utf-16", "utf-32", "utf16", "utf32"))
    if not is_wide and (head[:2] in _BYTE_ORDER or b"\x00" in head[:4096]):
        return f"is not {dialect.encoding.upper()} at row 1: set source.encoding, to utf-16 by its first bytes"
    return None


def damaged(form: str, label: str) -> BadTable:
    """Nothing tells what it is; `form`: what it should be, in words."""
    return BadTable(f"{label} is damaged, or is not a file of the format {form}")


def not_in(dialect: Dialect, content: bytes, error: UnicodeError, label: str) -> BadTable:
    """The bytes are not of the dialect's encoding."""
    start = error.start if isinstance(error, UnicodeDecodeError) else 0
    row = content[:start].count(b"\n") + 1
    byte = f" (byte 0x{content[start]:02x})" if start < len(content) else ""
    other = "to its own, such as latin-1 or cp1252" if dialect.encoding.lower() == "utf-8" else "to another"
    return BadTable(f"{label} is not {dialect.encoding.upper()} at row {row:,}{byte}: set source.encoding {other}")


def no_header(header: Sequence[str], dialect: Dialect, spec: DatasetSpec, label: str) -> BadTable:
    """None of the columns that the spec reads is in the line that should name them."""
    line = f"{label}: line {dialect.skip_rows + 1:,}"
    most = max(";\t|,", key=header[0].count)
    if len(header) == 1 and most != dialect.delimiter and header[0].count(most) >= len(spec.used_columns()) - 1 > 0:
        return BadTable(f"{line} has one column, and holds {most!r}: set source.delimiter to {most!r}")
    names = [name for alias in spec.used_columns() for name in spec.source_names(alias)]
    text = dialect.delimiter.join(header)
    shown = "" if any(map(spec.hides, names)) else f" (`{text[:_MOST_SHOWN]}{'...' if text[_MOST_SHOWN:] else ''}`)"
    return BadTable(
        f"{line}{shown} is no header, for it names no column of the YAML: leave out the lines above it by "
        "source.skip_rows or source.comment, name the columns of a file without one in source.header, "
        "or correct columns.<alias>.from"
    )
