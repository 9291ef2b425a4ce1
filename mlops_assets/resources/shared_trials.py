"""The memory of a search in an object store, so that another machine can go on with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_assets.core.trial_store import TrialStore
from mlops_assets.core.trials import Trial

if TYPE_CHECKING:
    from mlops_assets.resources.object_folder import ObjectFolder


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
