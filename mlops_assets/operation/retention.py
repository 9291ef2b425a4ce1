"""What has outlived the time that the settings give it, and is needed by nothing: found, listed, and removed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg

from mlops_assets.addresses import MLFLOW_RUN
from mlops_assets.facts import facts_of
from mlops_assets.project import Project
from mlops_assets.resources.mlflow.promotions import changes_of, pending_keys
from mlops_assets.resources.mlflow.removal import MlflowRemoval, size_of
from mlops_assets.resources.mlflow.tracking import DAGSTER_RUN_TAG
from mlops_assets.resources.mlflow.trial_logger import PARENT_TAG

ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_VERSION_KEYS = ("version", "champion_version", "model_version")


@dataclass(frozen=True)
class Item:
    """One thing that may go: its size in bytes on this machine's disk, and what removes it."""

    size: int
    remove: Callable[[], object]


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
    keep = protected(instance, project)
    removal = MlflowRemoval(project.tracking, _database(project))
    kinds = (
        ("files of launched answers", settings.keep_answers_days, lambda before: _answers(project, before)),
        ("versions of the model", settings.keep_models_days, lambda before: _versions(project, removal, keep, before)),
        ("runs in MLflow", settings.keep_trials_days, lambda before: _mlflow_runs(removal, keep, before)),
        ("runs in Dagster", settings.keep_runs_days, lambda before: _dagster_runs(instance, keep, before)),
    )
    groups = [Expired(kind, days, tuple(find(_ago(now, days))) if days else ()) for kind, days, find in kinds]
    rows = project.prediction_log.count(before=_ago(now, settings.log_days)) if settings.log_days else 0
    return (Expired("rows of the prediction log", settings.log_days, (), rows), *groups)


def remove(project: Project, kinds: tuple[Expired, ...], now: datetime) -> None:
    """Remove what `expired` gave. Killed in the middle, the next call goes on. Raises TrackingError or StorageError."""
    for kind in kinds:
        if kind.rows:
            project.prediction_log.forget(_ago(now, kind.days))
        for item in kind.items:
            item.remove()


@dataclass(frozen=True)
class Protected:
    """What is still needed: ids of Dagster's runs and of MLflow's, and numbers of registered versions."""

    dagster_runs: frozenset[str]
    mlflow_runs: frozenset[str]
    versions: frozenset[int]


def protected(instance: dg.DagsterInstance, project: Project) -> Protected:
    """What may not go, by the records of now. Raises TrackingError."""
    newest, registered = list(_newest(instance)), project.registry.versions()
    versions = set(_champions(project)) | {number for entry in newest for number in _versions_in(entry)}
    # The gate asks the candidate that a champion was refitted from.
    tags = [registered[number].tags for number in versions if number in registered]
    versions |= {int(tag["candidate"]) for tag in tags if "candidate" in tag}
    mlflow_runs = {run_id for entry in newest if (run_id := _mlflow_run(entry))}
    mlflow_runs |= {version.run_id for version in registered.values()}  # of those that stay, and where a model lies
    return Protected(
        dagster_runs=frozenset({entry.run_id for entry in newest} | set(_newest_of_jobs(instance))),
        mlflow_runs=frozenset(mlflow_runs),
        versions=frozenset(versions),
    )


def _newest(instance: dg.DagsterInstance) -> Iterator[dg.EventLogRecord]:
    """The newest materialisation of each asset and of each partition."""
    for key in instance.all_asset_keys():
        partitions = instance.get_materialized_partitions(key)
        selections = [dg.AssetRecordsFilter(key, asset_partitions=[partition]) for partition in partitions]
        for selection in (dg.AssetRecordsFilter(key), *selections):
            yield from instance.fetch_materializations(selection, limit=1).records


def _newest_of_jobs(instance: dg.DagsterInstance) -> Iterator[str]:
    """Sensors look at how the newest run of a job has ended."""
    jobs = set()
    for run in instance.get_runs():
        if run.job_name not in jobs:
            jobs.add(run.job_name)
            yield run.run_id


def _champions(project: Project) -> Iterator[int]:
    """Every version that is, was or was about to be champion: a rollback may ask for it."""
    versions = project.registry.versions()
    champion = project.registry.champion()
    if champion:
        yield champion.number
    if proposed := project.registry.proposed():
        yield proposed.number
    tags = {number: version.tags for number, version in versions.items()}
    yield from (change.version for change in changes_of(tags, champion.number if champion else None))
    yield from (number for number, version in versions.items() if pending_keys(version.tags))


def _versions_in(entry: dg.EventLogRecord) -> Iterator[int]:
    for key in _VERSION_KEYS:
        value = _facts(entry).get(key)
        if isinstance(value, int):
            yield value


def _facts(entry: dg.EventLogRecord) -> Mapping[str, Any]:
    return facts_of(entry.asset_materialization.metadata) if entry.asset_materialization else {}


def _mlflow_run(entry: dg.EventLogRecord) -> str | None:
    """The run that an asset's metadata name."""
    page = _facts(entry).get(MLFLOW_RUN) or _facts(entry).get("mlflow")
    return str(page).rpartition("/runs/")[2] if page else None


def _answers(project: Project, before: datetime) -> Iterator[Item]:
    answers = project.requested_answers
    for run_id, size in answers.older_than(before).items():
        yield Item(size, partial(answers.remove, run_id))


def _versions(project: Project, removal: MlflowRemoval, keep: Protected, before: datetime) -> Iterator[Item]:
    name = project.registry.model_name
    for number, version in sorted(project.registry.versions().items()):
        if number not in keep.versions and version.created < before:
            model = removal.logged_model(name, number)
            size = size_of(model.artifact_location) if model else 0
            yield Item(size, partial(removal.remove_version, name, number))


def _mlflow_runs(removal: MlflowRemoval, keep: Protected, before: datetime) -> Iterator[Item]:
    """Runs that no record and no version links to, and the trials of such runs."""
    for run in removal.old_runs(before.timestamp()):
        tags = run.data.tags
        family = {run.info.run_id, tags.get(PARENT_TAG)}
        if not family & keep.mlflow_runs and tags.get(DAGSTER_RUN_TAG) not in keep.dagster_runs:
            yield Item(removal.size(run), partial(removal.remove_run, run))


def _dagster_runs(instance: dg.DagsterInstance, keep: Protected, before: datetime) -> Iterator[Item]:
    printed, shards = Path(instance.storage_directory()), Path(instance.root_directory, "history", "runs")
    for record in instance.get_run_records(dg.RunsFilter(statuses=ENDED, updated_before=before), ascending=True):
        run_id = record.dagster_run.run_id
        if run_id not in keep.dagster_runs:
            shard = shards / f"{run_id}.db"  # SQLite has a file for each run
            size = size_of(str(printed / run_id)) + (shard.stat().st_size if shard.exists() else 0)
            yield Item(size, partial(_remove_dagster_run, instance, run_id, shard))


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
