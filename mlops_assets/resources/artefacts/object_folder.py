"""Objects below a URL (s3://, gs://, abfss://): each is whole or not there, since a store shows it when it is complete.

Credentials, regions and retries are those of the store's own package and its environment variables.
"""

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from mlops_assets.errors import SettingsError, StorageError, StorageUnreachable

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

EXTRAS = {"s3": "s3", "gs": "gcs", "abfss": "azure"}


class ObjectFolder:
    """Keys below one URL. Pickles as its URL, and connects when first used.

    Raises StorageUnreachable where the store does not answer, StorageError where it refuses; FileNotFoundError
    stays what it is.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def __reduce__(self) -> tuple:
        return type(self), (self.url,)

    def child(self, name: str) -> "ObjectFolder":
        return ObjectFolder(f"{self.url}/{name}")

    def put(self, files: Mapping[str, Path]) -> None:
        """Send local files to their keys, one after the other complete; what is there already is replaced."""
        with self._asked("write") as system:
            system.put([str(path) for path in files.values()], [self._key(key) for key in files])

    def write(self, key: str, content: bytes) -> None:
        with self._asked("write") as system:
            system.pipe_file(self._key(key), content)

    def get(self, files: Mapping[str, Path]) -> None:
        """Fetch keys into local files, whose folders exist."""
        with self._asked("read") as system:
            system.get([self._key(key) for key in files], [str(path) for path in files.values()])

    def read(self, key: str) -> bytes:
        with self._asked("read") as system:
            return system.cat_file(self._key(key))

    @contextmanager
    def open(self, key: str) -> Iterator[BinaryIO]:
        """An object's bytes, of which only what is read is fetched."""
        with self._asked("read") as system, system.open(self._key(key), "rb") as stream:
            yield stream

    def exists(self, key: str) -> bool:
        with self._asked("read") as system:
            return system.exists(self._key(key))

    def names(self, folder: str) -> tuple[str, ...]:
        """Names of what lies right below a key, objects and folders; none where there is nothing."""
        try:
            with self._asked("list") as system:
                paths = system.ls(self._key(folder), detail=False)
        except FileNotFoundError:
            return ()
        return tuple(sorted({posixpath.basename(path.rstrip("/")) for path in paths}))

    def newest(self, folder: str) -> datetime | None:
        """When the newest object below a key was written; none where there is nothing."""
        with self._asked("list") as system:
            return max(map(system.modified, system.find(self._key(folder))), default=None)

    def remove(self, keys: Sequence[str]) -> None:
        """Remove objects, and all below those keys that are folders; what is gone already is no error."""
        with self._asked("remove") as system:
            for key in map(self._key, keys):
                if objects := system.find(key):
                    system.rm(objects)

    def check(self) -> str:
        """One line for people; writes, reads and removes an object to be sure."""
        self.write(".check", b"written")
        self.read(".check")
        self.remove([".check"])
        return f"can be written to and read: {self.url}"

    @cached_property
    def _system(self) -> "AbstractFileSystem":
        import fsspec

        scheme = self.url.partition(":")[0]
        try:
            # Other machines write here too: a listing that is kept would be wrong.
            return fsspec.core.url_to_fs(self.url, use_listings_cache=False)[0]
        except ImportError:
            raise SettingsError(
                f"MLOPS_STORAGE names a {scheme}:// store, whose package is not installed: "
                f"pip install 'mlops-assets[{EXTRAS.get(scheme, scheme)}]'"
            ) from None

    def _key(self, key: str) -> str:
        return self._system._strip_protocol(f"{self.url}/{key}")

    @contextmanager
    def _asked(self, doing: str) -> Iterator["AbstractFileSystem"]:
        """The file system. Each kind raises errors of its own, so that every one is translated."""
        system = self._system
        try:
            yield system
        except (FileNotFoundError, StorageError):
            raise
        except PermissionError as error:
            raise StorageError(
                f"the store {self.url} refuses to {doing} ({error}): check its credentials and their rights"
            ) from None
        except Exception as error:
            raise StorageUnreachable(
                f"the store {self.url} gave no usable answer to {doing} ({type(error).__name__}: {error}): "
                "check MLOPS_STORAGE, the store's address and its credentials"
            ) from None
