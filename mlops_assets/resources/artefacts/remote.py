"""Artefacts in an object store, with a copy of each that was used on this machine.

What a table is called is its only key, so a store shows it whole or not at all. A folder has a list of its files,
`<folder>/<name>-<digest>.files`, written after them: without it there is no such folder.
Names say what is in an artefact, so a copy never goes stale, and reads are those of a local file, mapped ones too.
Below: a folder that can be sent to other machines, and the trials of a search that all machines see.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_assets.core.search.trials import Trial, TrialStore
from mlops_assets.errors import StorageError
from mlops_assets.resources.artefacts.local import LEFTOVER_SECONDS, Storage, Stored, artefact_pattern, check_path
from mlops_assets.resources.artefacts.object_folder import ObjectFolder
from mlops_assets.settings import read_settings

if TYPE_CHECKING:
    import pyarrow as pa


COPY_SECONDS = 7 * 24 * 3600  # for which a copy stays that others may be reading
_LIST = ".files"


class RemoteStorage:
    """The methods of Storage over an object store; `copies` is a folder of this machine, which may be lost.

    All methods raise StorageError; one that fails while writing leaves what was there before as it was.
    """

    def __init__(self, objects: ObjectFolder, copies: Path) -> None:
        self.objects = objects
        self._copies = Storage(copies)

    def write_table(self, folder: str, name: str, table: pa.Table) -> Stored:
        return self._send(self._copies.write_table(folder, name, table))

    def write_batches(
        self,
        folder: str,
        name: str,
        schema: pa.Schema,
        batches: Iterable[pa.Table | pa.RecordBatch],
        distinct: Collection[str] = (),
    ) -> Stored:
        return self._send(self._copies.write_batches(folder, name, schema, batches, distinct))

    def read_table(self, path: str, columns: Sequence[str] | None = None) -> pa.Table:
        return self._copied(path).read_table(path, columns)

    def read_batches(self, path: str, columns: Sequence[str], rows: int) -> Iterator[pa.Table]:
        yield from self._copied(path).read_batches(path, columns, rows)

    def write_folder(self, folder: str, name: str, write: Callable[[Path], None]) -> Stored:
        return self._send(self._copies.write_folder(folder, name, write))

    def local_folder(self, path: str) -> Path:
        return self._copied(path).local_folder(path)

    def exists(self, path: str) -> bool:
        return self.objects.exists(_mark(check_path(path)))

    def size(self, path: str) -> int:
        """Bytes of an artefact that was just written here."""
        return self._copies.size(path)

    def has_size(self, path: str, size: int | None) -> bool:
        """A store has an object whole or not at all, and copies are checked where they are read."""
        return True

    def prune(self, folder: str, name: str, keep: Collection[str]) -> None:
        """Remove all artefacts of this name but those in `keep`, and what killed writers left a day ago."""
        self._copies.prune(folder, name, keep)
        names = self.objects.names(check_path(folder))
        artefact = artefact_pattern(name)
        for item in sorted({stored.removesuffix(_LIST) for stored in names}):
            path = f"{folder}/{item}"
            if not artefact.fullmatch(item) or path in keep:
                continue
            if _mark(path) != path and f"{item}{_LIST}" not in names:  # a folder that lacks its list: being written?
                newest = self.objects.newest(f"{path}/")
                if newest and time.time() - newest.timestamp() < LEFTOVER_SECONDS:
                    continue
            self._remove(path)

    def remove(self, path: str) -> None:
        """Remove an artefact that nothing names."""
        self._copies.remove(path)
        self._remove(path)

    def check(self) -> str:
        return self.objects.check()

    def _remove(self, path: str) -> None:
        self.objects.remove([_mark(path)])  # first, so that a kill in between leaves no half of it
        if _mark(path) != path:
            self.objects.remove([f"{path}/"])

    def _send(self, stored: Stored) -> Stored:
        """Put what was written here into the store, under its final name once it is whole."""
        path, local = stored.path, self._copies.root / stored.path
        try:
            if _mark(path) == path:
                self.objects.put({path: local})
            else:
                names = sorted(file.relative_to(local).as_posix() for file in local.rglob("*") if file.is_file())
                self.objects.put({f"{path}/{name}": local / name for name in names})
                self.objects.write(_mark(path), json.dumps(names).encode())
        except FileNotFoundError:
            raise StorageError(f"{path} cannot be written: {self.objects.url} does not exist (MLOPS_STORAGE)") from None
        return stored

    def _copied(self, path: str) -> Storage:
        """The copies, with a whole one of this artefact among them."""
        if not self._copies.is_whole(path):
            folder, _, item = path.rpartition("/")
            with self._copies.receive(path) as temporary:
                self._fetch(path, temporary)
            self._copies.prune(folder, re.sub(r"-[^-]*$", "", item), {path}, older_than=COPY_SECONDS)
        return self._copies

    def _fetch(self, path: str, target: Path) -> None:
        try:
            if _mark(path) == path:
                self.objects.get({path: target})
                return
            names = json.loads(self.objects.read(_mark(path)))
            for folder in {(target / name).parent for name in names} | {target}:
                folder.mkdir(parents=True, exist_ok=True)
            self.objects.get({f"{path}/{name}": target / name for name in names})
        except FileNotFoundError:
            raise StorageError(f"{path} does not exist: materialise the asset that makes it again") from None


def _mark(path: str) -> str:
    """The object that says that the artefact is there: a table itself, the list of a folder's files."""
    return path if path.endswith(".parquet") else path + _LIST


@dataclass(frozen=True)
class StoredFolder(os.PathLike[str]):
    """A path-like that can be sent to other processes.

    `local`: where the folder is for who sends it. A machine that does not have that fetches `path` from the store at
    `url`, once, into its own home folder. As a path it raises StorageError where neither is possible.
    """

    local: Path
    path: str
    dataset: str
    url: str | None

    def __fspath__(self) -> str:
        return str(_opened(self))


@lru_cache(maxsize=8)
def _opened(stored: StoredFolder) -> Path:
    if stored.local.is_dir():  # this machine, or a disk that it shares
        return stored.local
    if stored.url is None:
        raise StorageError(
            f"{stored.path} is not on this machine: set MLOPS_STORAGE to a place that all machines reach"
        )
    copies = read_settings().home_path / stored.dataset / "copies"
    return RemoteStorage(ObjectFolder(stored.url), copies).local_folder(stored.path)


class SharedTrialStore(TrialStore):
    """A store of trials whose folder is sent to `objects` after each trial, and fetched from there at the start."""

    def __init__(self, folder: Path, fingerprint: str, objects: ObjectFolder) -> None:
        super().__init__(folder, fingerprint)
        self._objects = objects

    def open(self, search: Mapping[str, Any], warm_start: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._objects.get({name: self.folder / name for name in self._objects.names("")})
        first = super().open(search, warm_start)
        self._send([self._file])
        return first

    def add(self, trial: Trial, elapsed: float, estimator: bytes | None) -> None:
        super().add(trial, elapsed, estimator)
        kept = [] if estimator is None else [self._estimator_path(trial.params)]
        self._send([*kept, self._file])  # the line last: it says that there is an estimator

    def drop_estimators_but(self, params: Mapping[str, Any]) -> None:
        super().drop_estimators_but(params)
        self._remove_what_is_not_here()

    def clear(self) -> None:
        super().clear()
        self._remove_what_is_not_here()

    def _send(self, files: Sequence[Path]) -> None:
        for path in files:
            self._objects.put({path.name: path})

    def _remove_what_is_not_here(self) -> None:
        self._objects.remove([name for name in self._objects.names("") if not (self.folder / name).exists()])
