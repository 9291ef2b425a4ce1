"""What a table in a body would take, read from its headers before anything of it is unpacked.

Compression lets a thousand bytes stand for a gigabyte. Arrow says in the header of each record batch how many rows it
has, and before each compressed buffer how large that is unpacked; Parquet says both before each page. The readers
allocate by these very numbers, so they can be gone by, and not by the sums in Parquet's footer, which nobody checks.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlops_assets.serving.errors import ApiError
from mlops_assets.serving.json_rows import too_many_rows

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

SMALL_UNPACKED = 120_000_000  # bytes; so much any body may take once it is unpacked
TIMES_UNPACKED = 16  # the size of the body, beside that
LONGEST_TEXT = 1_000  # bytes of a value
_CODE, _NUMBER, _TEXT = 16, 16, 80  # bytes that a value takes on its way: of a dictionary, a number, any other
_CODES = (2, 8)  # PLAIN_DICTIONARY and RLE_DICTIONARY
_DELTA_TEXTS = 7  # DELTA_BYTE_ARRAY: each text begins as the one before, so a page may unpack to any size


@dataclass
class Claims:
    """What a body claims so far; `most` is what it may."""

    most_rows: int
    most: int
    rows: int = 0
    unpacked: int = 0

    @classmethod
    def of(cls, body: bytes, most_rows: int) -> Claims:
        return cls(most_rows, SMALL_UNPACKED + TIMES_UNPACKED * len(body))

    def add(self, rows: int = 0, unpacked: int = 0) -> None:
        """Raises ApiError where it is too much, ValueError where it cannot be."""
        if rows < 0 or unpacked < 0:
            raise ValueError("a size is negative")
        self.rows += rows
        self.unpacked += unpacked
        if self.rows > self.most_rows:
            raise too_many_rows(self.rows, self.most_rows)
        if self.unpacked > self.most:
            message = f"unpacked, the table takes more than {self.most / 1e6:.0f} MB: send fewer rows at once"
            raise ApiError(413, "too_large", message)

    def add_columns(self, types: Sequence[pa.DataType]) -> None:
        """What all rows take as values of Python and NumPy; raises ValueError for a type that is none of a value."""
        self.add(unpacked=sum(self.rows * _weight(kind) for kind in types))


def _weight(kind: pa.DataType) -> int:
    from pyarrow import types

    if types.is_dictionary(kind):
        _weight(kind.value_type)
        return _CODE
    if types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_temporal(kind):
        return _NUMBER
    # Not views, lists and run ends: these stand for the same bytes again and again.
    if types.is_string(kind) or types.is_large_string(kind) or types.is_decimal(kind) or types.is_null(kind):
        return _TEXT
    raise ValueError(f"columns of type {kind!s:.60} are not taken")


def refuse_long_texts(table: pa.Table) -> None:
    """Raise ApiError where a text is longer than one in a request may be: a dictionary can put it into every row."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for name, column in zip(table.column_names, table.columns, strict=True):
        for chunk in column.chunks:
            texts = chunk.dictionary if isinstance(chunk, pa.DictionaryArray) else chunk
            if pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type):
                longest = pc.max(pc.binary_length(texts)).as_py() or 0
                if longest > LONGEST_TEXT:
                    message = f"{name} holds a text of {longest:,} bytes: at most {LONGEST_TEXT:,} are taken"
                    raise ApiError(422, "invalid_input", message, field=name)


# Arrow


def check_stream(body: pa.Buffer, claims: Claims) -> None:
    """Look through the messages of an Arrow stream; raises ApiError, and ValueError where it is none.

    Four bytes that are damaged can end a stream early: rows behind its end would be lost without a word.
    """
    import pyarrow as pa

    source = pa.BufferReader(body)
    for message in pa.ipc.MessageReader.open_stream(source):
        if message.type in ("record batch", "dictionary"):
            header = _Flat.root(memoryview(message.metadata))
            batch = header.table(2)  # Message: version, type of the header, header
            if message.type == "dictionary":
                batch = batch.table(1)  # DictionaryBatch: id, data
            if message.type == "record batch":
                claims.add(rows=batch.number(0, "q"))
            else:
                claims.add(unpacked=_TEXT * batch.number(0, "q"))
            claims.add(unpacked=sum(_unpacked(batch, memoryview(message.body))))
    if left := body.size - source.tell():
        raise ValueError(f"its rows end {left:,} bytes too early")


def _unpacked(batch: _Flat, body: memoryview) -> Iterator[int]:
    """The size of each buffer of a RecordBatch (length, nodes, buffers, compression)."""
    is_compressed = batch.has(3)
    for offset, length in batch.pairs(2):
        if not (is_compressed and length):
            yield length
            continue
        if offset < 0 or offset + 8 > len(body):
            raise ValueError("a buffer lies outside of its message")
        size: int = struct.unpack_from("<q", body, offset)[0]
        yield length if size == -1 else size


class _Flat:
    """A table of FlatBuffers: fields by number, at offsets that its vtable gives. Raises ValueError outside of it."""

    def __init__(self, data: memoryview, at: int) -> None:
        self._data, self._at = data, at
        self._vtable = at - self._read("i", at)
        self._fields = self._read("H", self._vtable) // 2 - 2

    @classmethod
    def root(cls, data: memoryview) -> _Flat:
        if len(data) < 4:
            raise ValueError("a message has no header")
        return cls(data, struct.unpack_from("<I", data)[0])

    def _read(self, kind: str, at: int) -> int:
        if at < 0 or at + struct.calcsize(kind) > len(self._data):
            raise ValueError("a header leads outside of itself")
        value: int = struct.unpack_from("<" + kind, self._data, at)[0]
        return value

    def _place(self, field: int) -> int:
        """Where a field is; 0 where it has its default."""
        offset = self._read("H", self._vtable + 4 + 2 * field) if field < self._fields else 0
        return self._at + offset if offset else 0

    def has(self, field: int) -> bool:
        return self._place(field) > 0

    def number(self, field: int, kind: str) -> int:
        return self._read(kind, place) if (place := self._place(field)) else 0

    def table(self, field: int) -> _Flat:
        if not (place := self._place(field)):
            raise ValueError("a header lacks a part")
        return _Flat(self._data, place + self._read("I", place))

    def pairs(self, field: int) -> Iterator[tuple[int, int]]:
        """The elements of a vector of two 64-bit numbers each."""
        if not (place := self._place(field)):
            return
        start = place + self._read("I", place)
        count = self._read("I", start)
        for at in range(start + 4, start + 4 + 16 * count, 16):
            yield self._read("q", at), self._read("q", at + 8)


# Parquet


def check_parquet(file: pq.ParquetFile, body: memoryview, columns: Sequence[int], claims: Claims) -> None:
    """Look through the pages of some columns of a Parquet file; raises ApiError, and ValueError where it is none."""
    metadata = file.metadata
    for number in range(metadata.num_row_groups):
        claims.add(rows=metadata.row_group(number).num_rows)
    claims.add_columns([file.schema_arrow.field(file.schema.column(column).path).type for column in columns])
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        for column in columns:
            values = 0
            is_text = file.schema.column(column).physical_type == "BYTE_ARRAY"
            for page in _pages(group.column(column), body):
                claims.add(unpacked=page.unpacked)
                values += page.values
                if is_text and page.encoding == _DELTA_TEXTS:
                    raise ValueError("texts in the encoding DELTA_BYTE_ARRAY are not taken: write them as PLAIN")
                if is_text and page.encoding not in _CODES:
                    claims.add(unpacked=_TEXT * (page.values + page.entries))
            if values > claims.most_rows:
                raise too_many_rows(values, claims.most_rows)


@dataclass(frozen=True)
class _Page:
    packed: int
    unpacked: int
    values: int
    encoding: int | None
    entries: int  # of a dictionary


def _pages(chunk: Any, body: memoryview) -> Iterator[_Page]:
    """The headers of all pages of a column chunk, as the reader comes by them."""
    starts = [chunk.data_page_offset, chunk.dictionary_page_offset if chunk.has_dictionary_page else None]
    at = min(start for start in starts if start is not None)
    end = min(at + chunk.total_compressed_size + 100, len(body))  # readers go that far, for files of old writers
    if at < 0:
        raise ValueError("a column lies outside of the file")
    values = 0
    while at < end and values < chunk.num_values:
        page, at = _page(body, at)
        if page.packed < 0:
            raise ValueError("a size is negative")
        at += page.packed
        values += page.values
        yield page


def _page(body: memoryview, at: int) -> tuple[_Page, int]:
    """The header that stands there, and where it ends. PageHeader: 2 and 3 are sizes; 5 and 8 structs of data pages."""
    reader = _Thrift(body, at)
    fields = reader.struct()
    data = fields.get(5) or fields.get(8) or {}
    if not isinstance(data, dict):
        raise ValueError("a page header is damaged")
    encoding = data.get(2 if 5 in fields else 4)
    dictionary = fields.get(7) or {}
    if not isinstance(dictionary, dict):
        raise ValueError("a page header is damaged")
    numbers = [fields.get(3, 0), fields.get(2, 0), data.get(1, 0), dictionary.get(1, 0)]
    if not all(isinstance(number, int) for number in numbers):
        raise ValueError("a page header is damaged")
    packed, unpacked, values, entries = numbers
    return _Page(packed, unpacked, values, encoding, entries), reader.at


class _Thrift:
    """Reads Thrift's compact protocol. Raises ValueError where the bytes end or are none of it."""

    def __init__(self, data: memoryview, at: int) -> None:
        self._data, self.at = data, at

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """Integers and structs by field; what else there is, is passed over."""
        if depth > 8:
            raise ValueError("a page header is too deep")
        fields: dict[int, Any] = {}
        field = 0
        while head := self._byte():
            kind = head & 15
            field = field + (head >> 4) if head >> 4 else self._integer()
            fields[field] = self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if kind in (1, 2):  # true and false stand in the field's head
            return kind == 1
        if kind == 3:
            return self._byte()
        if kind in (4, 5, 6):
            return self._integer()
        if kind == 7:
            self.at += 8
        elif kind == 8:  # bytes, such as the least and largest value
            length = self._varint()
            self.at += length
        elif kind == 12:
            return self.struct(depth + 1)
        else:
            raise ValueError("a page header holds what none has")
        return None

    def _byte(self) -> int:
        if not 0 <= self.at < len(self._data):
            raise ValueError("a page header ends too early")
        self.at += 1
        return self._data[self.at - 1]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
            if shift > 63:
                raise ValueError("a number in a page header is too long")

    def _integer(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
