"""A file's bytes, unpacked, and the table that a parser makes of them, under the file's own names."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Literal

from mlops_assets.errors import BadTable

if TYPE_CHECKING:
    import pyarrow as pa

Packing = Literal["zip", "gz", "zst", "bz2", "xz"]
Opened = Callable[[], AbstractContextManager[IO[bytes]]]  # the unpacked bytes, from the start


_OPEN: dict[str, Any] = {"gz": gzip.open, "bz2": bz2.open, "xz": lzma.open}  # of many overloads


@dataclass(frozen=True)
class Raw:
    """A table, where in the file a row of it stands, by its number from 0, and how many rows were left out."""

    table: pa.Table
    line_of: Callable[[int], int] = (1).__add__
    ragged: int = 0


def opener(stream: BinaryIO, packed: Packing | None, label: str) -> Opened:
    """Gives the unpacked bytes, as often as it is asked. `label` is what messages call the file."""

    @contextmanager
    def opened() -> Iterator[IO[bytes]]:
        stream.seek(0)
        if packed is None:
            yield stream
        elif packed == "zst":
            yield io.BytesIO(_decompressed(stream))
        elif packed == "zip":
            with _only_member(stream, label) as inner:
                yield inner
        else:
            with _OPEN[packed](stream) as inner:
                yield inner

    return opened


def _decompressed(stream: BinaryIO) -> bytes:
    import pyarrow as pa

    with pa.CompressedInputStream(pa.BufferReader(stream.read()), "zstd") as inner:
        content: bytes = inner.read()
    return content


@contextmanager
def _only_member(stream: BinaryIO, label: str) -> Iterator[IO[bytes]]:
    with zipfile.ZipFile(stream) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        if len(names) != 1:
            raise BadTable(f"{label} is a .zip of {len(names)} files: it must hold one")
        with archive.open(names[0]) as member:
            yield member
