"""A stored folder that a process opens where it runs, on this machine or another."""

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from mlops_assets.errors import StorageError
from mlops_assets.resources.object_folder import ObjectFolder
from mlops_assets.resources.remote_storage import RemoteStorage
from mlops_assets.settings import read_settings


@dataclass(frozen=True)
class StoredFolder(os.PathLike):
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
