"""Where files are: on this machine, or behind a URL and then copied once a version."""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import urlsplit
from urllib.request import url2pathname

from mlops_assets.errors import BadTable, SourceError

PARALLEL = 8  # files asked about at once


@dataclass(frozen=True)
class File:
    """A file of a source. Messages use its label, since its URI may be hidden."""

    uri: str
    label: str


class Absent(Enum):
    """Why there is no version. Stores that may not be listed answer DENIED for a file that does not exist."""

    MISSING = "missing"
    DENIED = "denied"


class Place(Protocol):
    """Gives files. Raises SourceUnreachable, or SourceError where a retry cannot help."""

    def version(self, file: File) -> str | Absent:
        """A short text that changes when the file's bytes do. Called from several threads."""

    def open(self, file: File, version: str) -> AbstractContextManager[BinaryIO]:
        """The file's bytes, seekable."""


def short_hash(text: str) -> str:
    """Sixteen hex digits that stand for a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class LocalPlace:
    """Files of this machine, relative to the working directory; their version is the hash of their bytes.

    Times of change would be cheaper, but a copy or a checkout changes them and nothing else.
    """

    def version(self, file: File) -> str | Absent:
        path = _local_path(file.uri)
        try:
            state = path.stat()
            return _bytes_hash(path.absolute(), state.st_size, state.st_mtime_ns)
        except (FileNotFoundError, NotADirectoryError):
            return Absent.MISSING
        except PermissionError:
            return Absent.DENIED
        except OSError as error:
            raise SourceError(f"{file.label} cannot be read ({type(error).__name__})") from None

    @contextmanager
    def open(self, file: File, version: str) -> Iterator[BinaryIO]:
        try:
            stream = _local_path(file.uri).open("rb")  # closed below, where errors are not of opening
        except OSError as error:
            raise SourceError(f"{file.label} cannot be read ({type(error).__name__})") from None
        with stream:
            yield stream


class Copies:
    """Copies of remote files in a folder, one a URI, named by the hash of the URI and the version."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def open(self, uri: str, version: str, download: Callable[[BinaryIO], str | None]) -> Iterator[BinaryIO]:
        """The copy of this version, downloaded where there is none."""
        path = self._path(uri, version)
        if not path.is_file():
            path = self._path(uri, self.store(uri, download))
        try:
            with path.open("rb") as stream:
                yield stream
        except BadTable:
            path.unlink(missing_ok=True)  # a copy that was damaged on its way is fetched anew by the next try
            raise

    def store(self, uri: str, download: Callable[[BinaryIO], str | None]) -> str:
        """Keep what `download` writes, and drop other versions.

        Returns the version: the one that `download` returns, or the hash of the bytes where it knows none.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            part = Path(folder) / "part"
            with part.open("w+b") as stream:
                version = download(stream)
                stream.flush()
                os.fsync(stream.fileno())
                stream.seek(0)
                version = version or hashlib.file_digest(stream, "sha256").hexdigest()[:16]
            path = self._path(uri, version)
            part.replace(path)
        for older in self._folder.glob(f"{short_hash(uri)}-*"):
            if older != path:
                older.unlink(missing_ok=True)
        return version

    def _path(self, uri: str, version: str) -> Path:
        return self._folder / f"{short_hash(uri)}-{version}"


def _local_path(uri: str) -> Path:
    if uri.startswith("file://"):
        return Path(url2pathname(urlsplit(uri).path))
    return Path(uri).expanduser()


@lru_cache(maxsize=4096)
def _bytes_hash(path: Path, size: int, changed_ns: int) -> str:
    """Hash of a file's bytes; size and time of change only tell whether it was computed before."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:16]
