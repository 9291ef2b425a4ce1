"""Artefacts on disk: immutable, named by their content, and either whole or not there."""

import hashlib
import io
import os
import re
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from mlops_assets.disks import disk_trouble, free_space
from mlops_assets.errors import StorageError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from typing_extensions import Buffer


DIGITS = 12
TEMPORARY = ".tmp-"
LEFTOVER_SECONDS = 24 * 3600
_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=+-]*")


def check_digest(path: str, digest: str) -> None:
    """Raises StorageError where content with this digest is not what the path names."""
    if digest[:DIGITS] != path.removesuffix(".parquet").rpartition("-")[2]:
        raise StorageError(f"{path} is damaged")


def check_path(path: str) -> str:
    """The same path; raises StorageError where it could lead out of the root, or is no good name for a file."""
    for part in path.split("/"):
        if not _PART.fullmatch(part):
            raise StorageError(f"'{part}' cannot be part of an artefact's path: use letters, digits and . _ = + -")
    return path


def artefact_pattern(name: str) -> re.Pattern[str]:
    """What the artefacts of a name are called, without their folder."""
    return re.compile(re.escape(check_path(name)) + rf"-[0-9a-f]{{{DIGITS}}}(\.parquet)?")


def folder_digest(folder: Path) -> str:
    """SHA-256 over the relative names, sizes and bytes of all files."""
    digest = hashlib.sha256()
    for file in sorted(item for item in folder.rglob("*") if item.is_file()):
        digest.update(f"{file.relative_to(folder).as_posix()}\0{file.stat().st_size}\0".encode())
        digest.update(bytes.fromhex(file_digest(file)))
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class Stored:
    """One artefact: its path below the root with `/` between parts, SHA-256 as hex, and size in bytes."""

    path: str
    digest: str
    size: int


class _HashedFile(io.FileIO):
    """A new file that knows the SHA-256 of what was written to it, so that it need not be read again."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "xb")
        self.digest = hashlib.sha256()

    def write(self, data: "Buffer", /) -> int:
        whole = rest = memoryview(data).cast("B")
        self.digest.update(whole)
        while len(rest):
            rest = rest[super().write(rest) :]
        return len(whole)


class Storage:
    """Tables and folders below one root, as `<folder>/<name>-<digest>`.

    All methods raise StorageError; one that fails while writing leaves what was there before as it was.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def write_table(self, folder: str, name: str, table: "pa.Table") -> Stored:
        """Store a table as Parquet; an equal table gets an equal name."""
        # How a table was put together must not show in its bytes.
        return self.write_batches(folder, name, table.schema, [table.combine_chunks()])

    def write_batches(
        self,
        folder: str,
        name: str,
        schema: "pa.Schema",
        batches: "Iterable[pa.Table | pa.RecordBatch]",
        distinct: Collection[str] = (),
    ) -> Stored:
        """Store rows that come in batches as one Parquet file; only one batch is held in memory.

        `distinct`: numbers of which hardly one occurs twice, which a dictionary would only make slower.
        Equal rows in equal batches get an equal name. An error that `batches` raises by itself passes through.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        # Bytes of whole numbers and times, one place after the other, need no dictionary: half the work, and smaller.
        split = {field.name for field in schema if pa.types.is_integer(field.type) or pa.types.is_timestamp(field.type)}
        split |= {*distinct}
        packed = split | {field.name for field in schema if not pa.types.is_floating(field.type)}
        layout = {
            "compression": {column: "lz4" if column in packed else "none" for column in schema.names},
            "use_dictionary": [column for column in schema.names if column not in split],
            "column_encoding": dict.fromkeys(split, "BYTE_STREAM_SPLIT"),
            "write_statistics": False,  # files are read whole
        }
        with self._temporary(folder, name) as temporary:
            with _HashedFile(temporary) as file:
                with pq.ParquetWriter(file, schema, **layout) as writer:
                    for batch in batches:
                        writer.write(batch)
                os.fsync(file.fileno())
                size, digest = file.tell(), file.digest.hexdigest()
            stored = Stored(f"{folder}/{name}-{digest[:DIGITS]}.parquet", digest, size)
            os.replace(temporary, self._local(stored.path))
        pa.default_memory_pool().release_unused()  # what Arrow keeps of the batches that have passed
        return stored

    def read_table(self, path: str, columns: Sequence[str] | None = None) -> "pa.Table":
        """The table, or the columns asked for in that order; read-only. The digest in the name is checked."""
        with self._parquet(path, columns) as parquet:
            table = parquet.read(columns)
        return table if columns is None else table.select(columns)

    def read_batches(self, path: str, columns: Sequence[str], rows: int) -> "Iterator[pa.Table]":
        """The columns in that order, up to so many rows at a time; only one batch is held in memory."""
        import pyarrow as pa

        with self._parquet(path, columns) as parquet:
            for batch in parquet.iter_batches(rows, columns=list(columns), use_threads=False):
                yield pa.table(batch).select(columns)

    @contextmanager
    def _parquet(self, path: str, columns: Sequence[str] | None) -> "Iterator[pq.ParquetFile]":
        import pyarrow as pa
        import pyarrow.parquet as pq

        target = self._local(path)
        with _reading(path):
            self._check(path, file_digest(target))
            try:
                with pq.ParquetFile(target) as parquet:
                    names = parquet.schema_arrow.names
                    if missing := [name for name in columns or () if name not in names]:
                        raise StorageError(f"{path} has no column {', '.join(missing)} (it has {', '.join(names)})")
                    yield parquet
            except pa.ArrowException as error:
                raise StorageError(f"{path} is not a Parquet file that can be read: {error}") from None

    def write_folder(self, folder: str, name: str, write: Callable[[Path], None]) -> Stored:
        """Store the files that `write` puts into the empty folder it is given.

        An error that `write` raises by itself passes through. An equal folder that is already there is kept.
        """
        with self._temporary(folder, name) as temporary:
            temporary.mkdir()
            write(temporary)
            for item in [*temporary.rglob("*"), temporary]:
                _flush(item)
            digest = folder_digest(temporary)
            size = sum(file.stat().st_size for file in temporary.rglob("*") if file.is_file())
            stored = Stored(f"{folder}/{name}-{digest[:DIGITS]}", digest, size)
            target = self._local(stored.path)
            try:
                os.rename(temporary, target)
            except OSError:
                if not target.is_dir():
                    raise
                if folder_digest(target) != digest:  # damaged since; else an equal folder is there and stays
                    _remove_whole(target)
                    os.rename(temporary, target)
        return stored

    def local_folder(self, path: str) -> Path:
        """Where a stored folder's files can be opened, read-only. The digest in the name is checked."""
        target = self._local(path)
        with _reading(path):
            if not target.is_dir():
                raise FileNotFoundError
            self._check(path, folder_digest(target))
        return target

    def _check(self, path: str, digest: str) -> None:
        """Set an artefact with a wrong digest aside, so that it counts as missing; raises StorageError."""
        try:
            check_digest(path, digest)
        except StorageError as error:
            with suppress(OSError):
                target = self._local(path)
                os.replace(target, target.with_name(_temporary_name()))
            raise StorageError(
                f"{error}, and counts as missing now: materialise the asset that makes it again"
            ) from None

    def exists(self, path: str) -> bool:
        return self._local(path).exists()

    def size(self, path: str) -> int:
        """Bytes of an artefact, all files of a folder together."""
        target = self._local(path)
        with _reading(path):
            files = [file for file in target.rglob("*") if file.is_file()] if target.is_dir() else [target]
            return sum(file.stat().st_size for file in files)

    def has_size(self, path: str, size: int | None) -> bool:
        """Whether an artefact is as large as it was written, as far as that is known: a look that reads no file."""
        return size is None or self.size(path) == size

    def is_whole(self, path: str) -> bool:
        """Whether the artefact is there, undamaged."""
        target = self._local(path)
        try:
            check_digest(path, folder_digest(target) if target.is_dir() else file_digest(target))
        except (OSError, StorageError):
            return False
        return True

    @contextmanager
    def receive(self, path: str) -> Iterator[Path]:
        """A free path for an artefact that was made elsewhere; it gets its name if its digest is right."""
        folder, _, item = path.rpartition("/")
        target = self._local(path)
        with self._temporary(folder, item) as temporary:
            yield temporary
            check_digest(path, folder_digest(temporary) if temporary.is_dir() else file_digest(temporary))
            if target.is_dir():
                if self.is_whole(path):  # another process was first
                    return
                _remove_whole(target)
            os.replace(temporary, target)

    def prune(self, folder: str, name: str, keep: Collection[str], older_than: float = 0) -> None:
        """Remove all artefacts of this name but those in `keep`, and what killed writers left a day ago.

        `older_than`: seconds for which an artefact stays in any case.
        """
        artefact = artefact_pattern(name)
        place = self._local(folder)
        now = time.time()
        with self._disk(f"old artefacts of {folder}/{name} cannot be removed"):
            for item in list(place.iterdir()) if place.is_dir() else ():
                if artefact.fullmatch(item.name) and f"{folder}/{item.name}" not in keep:
                    if not older_than or item.stat().st_mtime < now - older_than:
                        _remove_whole(item)
                elif item.name.startswith(TEMPORARY) and item.stat().st_mtime < now - LEFTOVER_SECONDS:
                    _remove(item)

    def remove(self, path: str) -> None:
        """Remove an artefact that nothing names."""
        with self._disk(f"{path} cannot be removed"):
            _remove_whole(self._local(path))

    def check(self) -> str:
        """One line for people on where artefacts are."""
        return f"{self.root.name}, on this machine"

    def _local(self, path: str) -> Path:
        return self.root.joinpath(*check_path(path).split("/"))

    @contextmanager
    def _temporary(self, folder: str, name: str) -> Iterator[Path]:
        """A free path beside the artefact to be; gone afterwards."""
        place = self._local(f"{folder}/{name}").parent
        temporary = place / _temporary_name()
        with self._disk(f"{folder}/{name} cannot be written"):
            try:
                place.mkdir(parents=True, exist_ok=True)
                yield temporary
                _flush(place)
            finally:
                _remove(temporary)

    @contextmanager
    def _disk(self, problem: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            trouble = disk_trouble(error, self.root)
            free = f"{free_space(self.root) / 1e6:,.0f} MB free on the disk of {self.root}"
            raise StorageError(f"{problem}: {trouble or f'{error.strerror or error} ({free})'}") from error


@contextmanager
def _reading(path: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise StorageError(f"{path} does not exist: materialise the asset that makes it again") from None
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror or error}") from None


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _temporary_name() -> str:
    return TEMPORARY + uuid4().hex


def _remove_whole(path: Path) -> None:
    """Remove an artefact under another name, so that a kill in between leaves no half of it under its own."""
    aside = path.with_name(_temporary_name())
    with suppress(FileNotFoundError):  # another process removes the same one
        os.replace(path, aside)
    _remove(aside)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
