"""What has outlived the time that the settings give it: found, told, and removed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg

from mlops_assets.operation.needed import Needed, needed
from mlops_assets.project import Project
from mlops_assets.resources.mlflow_removal import MlflowRemoval, size_of
from mlops_assets.resources.tracking import DAGSTER_RUN_TAG
from mlops_assets.resources.trial_logger import PARENT_TAG

ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


@dataclass(frozen=True)
class Item:
    """One thing that may go: its size in bytes on this machine's disk, and what removes it."""

    size: int
    remove: Callable[[], None]


@dataclass(frozen=True)
class Expired:
    """All of one kind that may go, and after how many days it does."""

    kind: str
    days: float
    items: tuple[Item, ...]
    rows: int = 0  # of the prediction log, which are counted and not listed

    @property
    def count(self) -> int:
        return len(self.items) + self.rows

    @property
    def size(self) -> int:
        return sum(item.size for item in self.items)


def expired(instance: dg.DagsterInstance, project: Project, now: datetime) -> tuple[Expired, ...]:
    """What may go, upstream of nothing first; reads only. Raises TrackingError or StorageError."""
    settings = project.settings
    keep = needed(instance, project)
    removal = MlflowRemoval(project.tracking, _database(project))
    kinds = (
        ("files of launched answers", settings.keep_answers_days, lambda before: _answers(project, before)),
        ("versions of the model", settings.keep_models_days, lambda before: _versions(project, removal, keep, before)),
        ("runs in MLflow", settings.keep_trials_days, lambda before: _mlflow_runs(removal, keep, before)),
        ("runs in Dagster", settings.keep_runs_days, lambda before: _dagster_runs(instance, keep, before)),
    )
    found = [Expired(kind, days, tuple(find(_ago(now, days))) if days else ()) for kind, days, find in kinds]
    rows = project.prediction_log.count(before=_ago(now, settings.log_days)) if settings.log_days else 0
    return (Expired("rows of the prediction log", settings.log_days, (), rows), *found)


def remove(project: Project, found: tuple[Expired, ...], now: datetime) -> None:
    """Remove what was found. Killed in the middle, the next call goes on. Raises TrackingError or StorageError."""
    for kind in found:
        if kind.rows:
            project.prediction_log.forget(_ago(now, kind.days))
        for item in kind.items:
            item.remove()


def _answers(project: Project, before: datetime) -> Iterator[Item]:
    answers = project.requested_answers
    for run_id, size in answers.older_than(before).items():
        yield Item(size, lambda run_id=run_id: answers.remove(run_id))


def _versions(project: Project, removal: MlflowRemoval, keep: Needed, before: datetime) -> Iterator[Item]:
    name = project.registry.model_name
    for number, version in sorted(project.registry.versions().items()):
        if number not in keep.versions and version.created < before:
            model = removal.logged_model(name, number)
            size = size_of(model.artifact_location) if model else 0
            yield Item(size, lambda number=number: removal.remove_version(name, number))


def _mlflow_runs(removal: MlflowRemoval, keep: Needed, before: datetime) -> Iterator[Item]:
    """Runs that no record and no version links to, and the trials of such runs."""
    for run in removal.old_runs(before.timestamp()):
        tags = run.data.tags
        family = {run.info.run_id, tags.get(PARENT_TAG)}
        if not family & keep.mlflow_runs and tags.get(DAGSTER_RUN_TAG) not in keep.dagster_runs:
            yield Item(removal.size(run), lambda run=run: removal.remove_run(run))


def _dagster_runs(instance: dg.DagsterInstance, keep: Needed, before: datetime) -> Iterator[Item]:
    printed, shards = Path(instance.storage_directory()), Path(instance.root_directory, "history", "runs")
    for record in instance.get_run_records(dg.RunsFilter(statuses=ENDED, updated_before=before), ascending=True):
        run_id = record.dagster_run.run_id
        if run_id not in keep.dagster_runs:
            shard = shards / f"{run_id}.db"  # SQLite has a file for each run
            size = size_of(str(printed / run_id)) + (shard.stat().st_size if shard.exists() else 0)
            yield Item(size, lambda run_id=run_id, shard=shard: _remove_dagster_run(instance, run_id, shard))


def _remove_dagster_run(instance: dg.DagsterInstance, run_id: str, shard: Path) -> None:
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    instance.delete_run(run_id)
    shard.unlink(missing_ok=True)


def _database(project: Project) -> str | None:
    """MLflow's database, where this process can reach it."""
    tracking = project.settings.tracking
    return None if tracking.startswith(("http:", "https:")) else tracking


def _ago(now: datetime, days: float) -> datetime:
    return now.astimezone(UTC) - timedelta(days=days)
