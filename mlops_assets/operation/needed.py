"""What must not go: whatever a newest materialisation, the champion or a champion of the past is made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import dagster as dg

from mlops_assets.project import Project
from mlops_assets.resources.reigns import changes_of, pending_keys

_VERSION_KEYS = ("version", "champion_version", "model_version")


@dataclass(frozen=True)
class Needed:
    """Ids of Dagster's runs and of MLflow's, and numbers of registered versions."""

    dagster_runs: frozenset[str]
    mlflow_runs: frozenset[str]
    versions: frozenset[int]


def needed(instance: dg.DagsterInstance, project: Project) -> Needed:
    """Read it from the records of now. Raises TrackingError."""
    newest, registered = list(_newest(instance)), project.registry.versions()
    versions = set(_champions(project)) | {number for entry in newest for number in _versions_in(entry)}
    # The gate asks the candidate that a champion was refitted from.
    tags = [registered[number].tags for number in versions if number in registered]
    versions |= {int(tag["candidate"]) for tag in tags if "candidate" in tag}
    mlflow_runs = {run_id for entry in newest if (run_id := _mlflow_run(entry))}
    mlflow_runs |= {version.run_id for version in registered.values()}  # of those that stay, and where a model lies
    return Needed(
        dagster_runs=frozenset({entry.run_id for entry in newest} | set(_newest_of_jobs(instance))),
        mlflow_runs=frozenset(mlflow_runs),
        versions=frozenset(versions),
    )


def _newest(instance: dg.DagsterInstance) -> Iterator[dg.EventLogRecord]:
    """The newest materialisation of each asset and of each partition."""
    for key in instance.all_asset_keys():
        selections = [dg.AssetRecordsFilter(key)]
        for partition in instance.get_materialized_partitions(key):
            selections.append(dg.AssetRecordsFilter(key, asset_partitions=[partition]))
        for selection in selections:
            yield from instance.fetch_materializations(selection, limit=1).records


def _newest_of_jobs(instance: dg.DagsterInstance) -> Iterator[str]:
    """Sensors look at how the newest run of a job has ended."""
    seen = set()
    for run in instance.get_runs():
        if run.job_name not in seen:
            seen.add(run.job_name)
            yield run.run_id


def _champions(project: Project) -> Iterator[int]:
    """Every version that is, was or was about to be champion: a rollback may ask for it."""
    versions = project.registry.versions()
    champion = project.registry.champion()
    if champion:
        yield champion.number
    tags = {number: version.tags for number, version in versions.items()}
    yield from (change.version for change in changes_of(tags, champion.number if champion else None))
    yield from (number for number, version in versions.items() if pending_keys(version.tags))


def _versions_in(entry: dg.EventLogRecord) -> Iterator[int]:
    metadata = entry.asset_materialization.metadata
    for key in _VERSION_KEYS:
        if key in metadata and isinstance(metadata[key].value, int):
            yield metadata[key].value


def _mlflow_run(entry: dg.EventLogRecord) -> str | None:
    """The run that an asset's metadata link to."""
    link = entry.asset_materialization.metadata.get("mlflow")
    return str(link.value).rpartition("/runs/")[2] if link else None
