"""Why a file cannot be read: what it is instead, and which key says so."""

from __future__ import annotations

from collections.abc import Sequence

from mlops_assets.dataset import DatasetSpec, Dialect
from mlops_assets.dataset.parts import FileFormat
from mlops_assets.errors import BadTable

_MOST_SHOWN = 40  # characters of a line in an error
# How files begin that are of another format.
_FORMATS: dict[bytes, FileFormat] = {
    b"PAR1": "parquet",
    b"ARROW1": "arrow",
    b"FEA1": "arrow",
    b"\xff\xff\xff\xff": "arrow",
    b"\xd0\xcf\x11\xe0": "excel",
    b"{": "json",
    b"[{": "json",
}
_NAMED = {"parquet": "a Parquet file", "arrow": "an Arrow file", "excel": "an Excel workbook", "json": "JSON"}
_PACKED = {b"\x1f\x8b": "gz", b"\x28\xb5\x2f\xfd": "zst", b"BZh": "bz2", b"\xfd7zXZ": "xz", b"PK\x03\x04": "zip"}
_PAGE = "an HTML page, not a table: does its address ask for a login?"
_OTHERS = {
    b"sqlite format 3": "a SQLite database: read it by a source of kind sql",
    b"<!doctype": _PAGE,
    b"<html": _PAGE,
    b"<?xml": "XML, not a table: write its rows to a CSV file",
    b"%pdf": "a PDF document, not a table: ask for the numbers in it as a CSV or Excel file",
    b"\x89png": "a picture, not a table",
    b"\xff\xd8\xff": "a picture, not a table",
    b"gif8": "a picture, not a table",
    b"\x89hdf": "an HDF5 file: write its table to Parquet, as pandas does by to_parquet",
    b"\x93numpy": "a NumPy array: write it to Parquet, with names for its columns",
    b"\x80\x04": "a Python pickle, which is code and is not opened: write its table to Parquet",
    b"\x80\x05": "a Python pickle, which is code and is not opened: write its table to Parquet",
    b"orc": "an ORC file: write it to Parquet",
    b"obj\x01": "an Avro file: write it to Parquet",
    b"7z\xbc\xaf": "packed by 7-Zip, which is not read: unpack it",
    b"rar!": "packed by RAR, which is not read: unpack it",
    b"version https://git-lfs": "a note of Git LFS in place of the file: fetch it by git lfs pull",
}
_WIDE = ("utf-16", "utf-32", "utf16", "utf32")
_ZEROS = 0.3  # of the bytes at one place of four: wide letters
_BY_ZEROS: dict[tuple[bool, ...], str] = {
    (False, True, False, True): "utf-16-le",
    (True, False, True, False): "utf-16-be",
    (False, True, True, True): "utf-32-le",
    (True, True, True, False): "utf-32-be",
}
_CONTROL = bytes({*range(32)} - {*b"\t\n\r\f\x1a\x1b"})
_CONTROLS = 0.02  # of all bytes: no text


def format_told(head: bytes) -> FileFormat | None:
    """The format that the first bytes of an unpacked file tell, where it is one that is read here, and no CSV."""
    if head.startswith(b"PK\x03\x04") and (b"xl/" in head or b"[Content_Types].xml" in head or b"opendocument" in head):
        return "excel"
    return next((kind for mark, kind in _FORMATS.items() if head.lstrip().startswith(mark)), None)


def wide_encoding(head: bytes) -> str | None:
    """The encoding of two or four bytes a letter that the first bytes tell; None where they are narrower."""
    if head[:4] in (b"\xff\xfe\0\0", b"\0\0\xfe\xff"):
        return "utf-32"
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    looked = head[:4096]
    zeros = [looked[place::4].count(0) / max(1, len(looked[place::4])) for place in range(4)]
    many = tuple(share > _ZEROS for share in zeros)
    return _BY_ZEROS.get(many)


def kind_told(head: bytes, dialect: Dialect) -> str | None:
    """What the first bytes say that is no CSV file of this dialect; None where they say nothing."""
    if not head.strip():
        return "cannot be read: the file is empty"
    if kind := format_told(head):
        return f"is {_NAMED[kind]}: set source.format to {kind}"
    if ending := next((ending for mark, ending in _PACKED.items() if head.startswith(mark)), None):
        return f"is packed: its name must end in .{ending}"
    start = head[:100].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if other := next((other for mark, other in _OTHERS.items() if start.startswith(mark)), None):
        return f"is {other}"
    if not dialect.encoding.lower().replace("_", "-").startswith(_WIDE):
        if wide := wide_encoding(head):
            return f"is not {dialect.encoding.upper()} at row 1: set source.encoding, to {wide} by its first bytes"
        if sum(map(head[:4096].count, _CONTROL)) > _CONTROLS * len(head[:4096]):
            return "is no text, and of no format that is read here: write its rows to CSV or Parquet"
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
