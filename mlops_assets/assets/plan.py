"""What would be computed, and why: each asset's recipe of now beside that of its newest materialisation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import dagster as dg

from mlops_assets.assets import recipes
from mlops_assets.assets.drift_report import find_basis
from mlops_assets.assets.memo import why_stale
from mlops_assets.assets.partitions import month_partitions
from mlops_assets.assets.records import latest, newest
from mlops_assets.core.fingerprint import Recipe
from mlops_assets.dataset import SNAPSHOT
from mlops_assets.errors import DataError, SpecError, StorageError
from mlops_assets.project import Project

ORDER = (
    "raw_data",
    "clean_data",
    "training_set",
    "hyperparameters",
    "sklearn_model",
    "xgboost_model",
    "champion_model",
    "predictions",
    "model_performance",
    "drift_report",
)
UPSTREAM = {
    "raw_data": (),
    "clean_data": ("raw_data",),
    "training_set": ("clean_data",),
    "hyperparameters": ("training_set",),
    "sklearn_model": ("training_set", "hyperparameters"),
    "xgboost_model": ("training_set", "hyperparameters"),
    "champion_model": ("training_set", "sklearn_model", "xgboost_model"),
    "predictions": ("raw_data", "champion_model"),
    "model_performance": ("clean_data", "predictions"),
    "drift_report": ("clean_data", "training_set", "predictions"),
}
# Made after it, but not because of it: a month that is scored again has not been answered by another champion then,
# and what the champion of that time had learnt from stays the same.
NO_REASON = (
    ("predictions", "model_performance"),
    ("predictions", "drift_report"),
    ("training_set", "drift_report"),
)
BY_MONTH = ("raw_data", "clean_data", "predictions", "model_performance", "drift_report")


@dataclass(frozen=True)
class Task:
    """One asset, or one partition of it, and the reasons to make it again."""

    asset: str
    partition: str | None
    reasons: tuple[str, ...]
    waits_for: str | None = None  # what has to be made first, where that is not there

    @property
    def stale(self) -> bool:
        return bool(self.reasons)

    @property
    def name(self) -> str:
        return f"{self.asset}[{self.partition}]" if self.partition else self.asset


class Plan:
    """The state of all assets against the present source, settings and code; it reads records, never data."""

    def __init__(
        self, instance: dg.DagsterInstance, project: Project, versions: Mapping[str, str] | None = None
    ) -> None:
        """`versions`: what the source has, where it was asked already."""
        self._instance = instance
        self._project = project
        self._versions = versions

    @property
    def assets(self) -> tuple[str, ...]:
        """The project's assets, upstream first."""
        absent = set()
        if not self._project.sklearn_types:
            absent.add("sklearn_model")
        if not self._project.xgboost_types:
            absent.add("xgboost_model")
        return tuple(name for name in ORDER if name not in absent)

    def require(self, asset: str) -> None:
        """Raise SpecError where the project has no such asset."""
        if asset not in self.assets:
            raise SpecError(f"'{asset}' is not an asset (assets: {', '.join(self.assets)})")

    def tasks(self, asset: str) -> list[Task]:
        """An asset's partitions with the reasons that its own recipe gives; call again after upstream was made."""
        self.require(asset)
        return [self._task(asset, partition) for partition in self._partitions(asset)]

    def explain(self) -> dict[str, list[Task]]:
        """The tasks of every asset, closed over what is upstream: an asset below a stale one is stale too."""
        known: dict[str, list[Task]] = {}
        for asset in self.assets:
            causes = [parent for parent in UPSTREAM[asset] if (parent, asset) not in NO_REASON]
            above = [task for parent in causes for task in known.get(parent, ()) if task.stale]
            known[asset] = []
            for task in self.tasks(asset):
                because = tuple(f"{parent.name} will be made again" for parent in above if self.feeds(parent, task))
                known[asset].append(replace(task, reasons=task.reasons + because))
        return known

    def feeds(self, parent: Task, task: Task) -> bool:
        """Whether the one is made from the other: unpartitioned assets feed all and take all, others their own kind."""
        if (parent.asset, task.asset) == ("hyperparameters", "xgboost_model"):
            return parent.partition in self._project.xgboost_types
        return None in (parent.partition, task.partition) or parent.partition == task.partition

    def months(self) -> tuple[str, ...]:
        """The newest months that the source has, as many as the window asks for."""
        available = sorted(self.source_versions())
        window = self._project.spec.window
        return tuple(available[-(window.train_months + window.validation_months + window.test_months) :])

    def source_versions(self) -> Mapping[str, str]:
        """Versions by partition; a month that is not over, which a database may hold, is not one yet."""
        if self._versions is None:
            complete = set(month_partitions(self._project.spec).get_partition_keys())
            found = self._project.source.partitions()
            self._versions = {month: version for month, version in found.items() if month in complete}
            if not self._versions:
                what = "a month" if self._project.spec.time else f"the {SNAPSHOT}"
                raise DataError(
                    f"the source of {self._project.spec.name} does not have {what} yet: check where it points"
                )
        return self._versions

    def _partitions(self, asset: str) -> tuple[str | None, ...]:
        if asset in BY_MONTH:
            return self.months()
        if asset == "hyperparameters":
            return tuple(self._project.model_types)
        return self._project.sklearn_types if asset == "sklearn_model" else (None,)

    def _task(self, asset: str, partition: str | None) -> Task:
        record = latest(self._instance, asset, partition)
        try:
            recipe = self._recipe(asset, partition)
        except (DataError, StorageError) as error:  # not there yet, or the prediction log cannot be asked
            return Task(asset, partition, ("never made",) if record is None else (), str(error))
        return Task(asset, partition, why_stale(self._project, record, recipe))

    def _recipe(self, asset: str, partition: str | None) -> Recipe:
        instance, project = self._instance, self._project
        if asset == "raw_data":
            return recipes.raw_data(project, self.source_versions()[partition])
        if asset == "clean_data":
            return recipes.clean_data(project, newest(instance, "raw_data", partition))
        if asset == "training_set":
            return recipes.training_set(project, *recipes.chosen_months(instance, project))
        if asset == "drift_report":
            return find_basis(instance, project, partition).recipe(project)
        built = newest(instance, "training_set")
        if asset == "hyperparameters":
            previous = latest(instance, asset, partition)
            return recipes.hyperparameters(project, partition, built, previous)
        if asset in ("sklearn_model", "xgboost_model"):
            name = partition or project.xgboost_types[0]
            return recipes.model(asset, project, built, newest(instance, "hyperparameters", name))
        if asset == "champion_model":
            return recipes.champion_model(project, built, recipes.candidates(instance, project, built))
        champion = newest(instance, "champion_model")
        if asset == "predictions":
            return recipes.predictions(project, newest(instance, "raw_data", partition), champion)
        cleaned, previous = newest(instance, "clean_data", partition), latest(instance, asset, partition)
        return recipes.model_performance(project, partition, cleaned, champion, previous)
