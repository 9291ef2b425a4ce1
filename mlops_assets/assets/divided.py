"""XGBoost's final fits over a Dask cluster, for windows that do not fit one machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mlops_assets.project import Project

if TYPE_CHECKING:
    from pathlib import Path

    from mlops_assets.core.estimators import Fitted
    from mlops_assets.core.training_set import TrainingSet

FOLDER, NAME = "training_set", "whole_window"


def is_divided(project: Project, model_type: str) -> bool:
    return project.model_types[model_type].is_xgboost and project.settings.final_fit != "local"


def fit_divided(
    project: Project, training_set: TrainingSet, model_type: str, params: Mapping[str, Any], rounds: int
) -> Fitted:
    """Fit on the train split of a stored training set, which each worker opens where it runs."""
    from mlops_assets.resources import divided_fit as resource

    settings, folder = project.settings, training_set.folder
    stored = project.opened_folder(folder, f"{folder.parent.name}/{folder.name}")
    fit = resource.DividedFit(
        stored, project.model_types[model_type], params, rounds, seed=settings.seed, threads=settings.threads
    )
    return resource.fit_divided(settings.final_fit.partition(":")[2], fit)


@contextmanager
def stored_window(project: Project, write: Callable[[Path], None]) -> Iterator[TrainingSet]:
    """A training set that `write` puts into a folder, where workers can open it as long as it is needed."""
    from mlops_assets.core.training_set import TrainingSet

    project.storage.prune(FOLDER, NAME, ())  # what a killed run left
    stored = project.storage.write_folder(FOLDER, NAME, write)
    try:
        yield TrainingSet.load(project.storage.local_folder(stored.path))
    finally:
        project.storage.remove(stored.path)
