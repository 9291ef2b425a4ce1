"""Runs and versions taken out of MLflow for good, with their artefacts.

MLflow's own API only marks them as deleted, and `mlflow gc` takes everything that anybody has marked. What is removed
here goes alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from mlops_assets.compat import delete_logged_model_rows, delete_run_rows
from mlops_assets.resources.mlflow.tracking import Tracking

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel, Run


class MlflowRemoval:
    """Removes from the MLflow of `tracking`. All methods raise TrackingError.

    `database`: URL of the database behind it, where that is known. Without it rows stay, marked as deleted.
    """

    def __init__(self, tracking: Tracking, database: str | None) -> None:
        self._tracking = tracking
        self._database = database

    def old_runs(self, before: float) -> Iterator[Run]:
        """Runs that ended before a time, in seconds since 1970."""
        from mlops_assets.resources.mlflow.connection import search_runs

        query = f"attributes.end_time < {int(before * 1000)} and attributes.status != 'RUNNING'"
        with self._tracking.errors("list old runs"):
            yield from search_runs(self._tracking.client, self._tracking.experiment_id, query)

    def logged_model(self, name: str, number: int) -> LoggedModel | None:
        """What a registered version is the version of."""
        with self._tracking.errors(f"find what version {number} of '{name}' is"):
            source = self._tracking.client.get_model_version(name, str(number)).source
            scheme, _, model_id = (source or "").partition(":/")  # its `model_id` is not filled in
            return self._tracking.client.get_logged_model(model_id) if scheme == "models" else None

    def size(self, run: Run) -> int:
        """Bytes of its artefacts and models on this machine."""
        with self._tracking.errors("read a run"):
            models = sum(size_of(model.artifact_location) for model in self._models(run))
        return size_of(run.info.artifact_uri) + models

    def remove_run(self, run: Run) -> None:
        with self._tracking.errors("remove a run"):
            for model in self._models(run):
                self._remove_model(model)
            self._tracking.client.delete_run(run.info.run_id)
            _remove_artefacts(run.info.artifact_uri)
            if self._database:
                delete_run_rows(self._database, run.info.run_id)

    def remove_version(self, name: str, number: int) -> None:
        with self._tracking.errors(f"remove version {number} of '{name}'"):
            model = self.logged_model(name, number)
            self._tracking.client.delete_model_version(name, str(number))
            if model:
                self._remove_model(model)

    def _models(self, run: Run) -> list[LoggedModel]:
        """Models that it has logged and that are still there; it goes on listing those that are not."""
        query = f"source_run_id = '{run.info.run_id}'"
        return list(self._tracking.client.search_logged_models([run.info.experiment_id], query))

    def _remove_model(self, model: LoggedModel) -> None:
        self._tracking.client.delete_logged_model(model.model_id)
        _remove_artefacts(model.artifact_location)
        if self._database:
            delete_logged_model_rows(self._database, model.model_id)


def size_of(location: str) -> int:
    """Bytes below a place on this machine; 0 elsewhere."""
    parts = urlsplit(location)
    folder = Path(unquote(parts.path))
    if parts.scheme not in ("", "file") or not folder.is_dir():
        return 0
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _remove_artefacts(location: str) -> None:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    with suppress(FileNotFoundError):  # a run without artefacts has no folder
        get_artifact_repository(location).delete_artifacts()
