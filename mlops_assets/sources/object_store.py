"""Files behind any other URL that fsspec knows (s3://, gs://, abfs://, sftp://), copied once a version."""

import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

from mlops_assets.errors import SourceError, SourceUnreachable
from mlops_assets.sources.places import Absent, Copies, File, short_hash

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_CHECKSUMS = ("ETag", "etag", "md5Hash", "content_md5", "checksum")
_TIMES = ("mtime", "LastModified", "last_modified", "updated", "modified", "created")


class ObjectStore:
    """Files of one fsspec file system; its credentials and retries are those of its own package.

    A version is the store's checksum, else its time of change and the size, else the hash of the bytes.
    """

    def __init__(self, scheme: str, copies: Copies):
        import fsspec

        self._copies = copies
        try:
            fsspec.get_filesystem_class(scheme)
        except (ImportError, ValueError):
            raise SourceError(
                "the scheme of source.uri needs an fsspec package that is not installed, such as s3fs"
            ) from None

    def version(self, file: File) -> str | Absent:
        try:
            with self._asked(file) as (system, path):
                version = _version(system.info(path))
        except FileNotFoundError:
            return Absent.MISSING
        except PermissionError:
            return Absent.DENIED
        return version or self._copies.store(file.uri, lambda into: self._download(file, into))

    def open(self, file: File, version: str) -> AbstractContextManager[BinaryIO]:
        return self._copies.open(file.uri, version, lambda into: self._download(file, into))

    def _download(self, file: File, into: BinaryIO) -> str | None:
        with self._asked(file) as (system, path), system.open(path, "rb") as stream:
            shutil.copyfileobj(stream, into)
            return _version(system.info(path))

    @contextmanager
    def _asked(self, file: File) -> Iterator[tuple["AbstractFileSystem", str]]:
        """The file's system and path. Each store raises errors of its own, so every kind is translated."""
        import fsspec

        try:
            system, path = fsspec.core.url_to_fs(file.uri)
            system.invalidate_cache()  # systems and their listings live as long as the process
            yield system, path
        except (FileNotFoundError, PermissionError):
            raise
        except Exception as error:
            raise SourceUnreachable(
                f"{file.label}: the store gave no usable answer ({type(error).__name__}): "
                "check its address (source.uri or MLOPS_SOURCE_URI) and credentials"
            ) from None


def _version(facts: dict[str, Any]) -> str | None:
    for name in _CHECKSUMS:
        if facts.get(name):
            return short_hash(str(facts[name]))
    for name in _TIMES:
        if facts.get(name):
            return short_hash(f"{facts[name]} {facts.get('size')}")
    return None
