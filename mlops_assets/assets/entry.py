"""What the project has to know of an asset: said once, beside the function that makes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import dagster as dg

from mlops_assets.addresses import mlflow_model_path, mlflow_page
from mlops_assets.assets.records import Records
from mlops_assets.core.fingerprint import Recipe
from mlops_assets.project import Project
from mlops_assets.settings import Settings

OWNERS = ["team:mlops"]
# What a network or a server did may pass; what a file or a setting says will not.
RETRY = dg.RetryPolicy(max_retries=2, delay=5, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)
LOOKED_AT = 36  # newest periods that are scored and measured; boards show as many
OVERVIEW = "overview"  # the dashboard that shows what has none of its own

PartitionedBy = Literal["period", "model type", "scikit-learn type"]


@dataclass(frozen=True)
class State:
    """What recipes are made from: the newest records, the project, and what the source has now, by period."""

    records: Records
    project: Project
    source_versions: Callable[[], Mapping[str, str]]


@dataclass(frozen=True)
class AssetEntry:
    """One asset of the pipeline. What it is made from are the `deps` of the definition that `build` gives.

    `recipe`: all that its content depends on, of one partition, from records alone; it raises DataError where what is
    upstream is not there yet. `code_version`: raised when the code behind it would give something else.
    """

    name: str
    code_version: str
    job: str
    about: str  # of the job that makes it alone
    build: Callable[[Project], dg.AssetsDefinition]
    recipe: Callable[[State, str | None], Recipe]
    partitioned_by: PartitionedBy | None = None
    dashboard: str = OVERVIEW
    uses_mlflow: bool = True  # where it fails, MLflow is asked whether it is there at all
    is_wanted: Callable[[Project], bool] = lambda project: True  # a kind of model that is not listed is no asset
    newest: int | None = None  # of how many of the newest periods a run makes it; of older ones where that is asked for
    # What follows when something upstream changes or fails, in `plan` and in a retraining:
    unmoved_by: frozenset[str] = frozenset()  # made after these parents, and not because of them
    goes_on_without_parents: bool = False  # a part of what is upstream that cannot be made does not stop it
    made_in_every_retraining: bool = False  # changed or not: it says that all was looked at, and renews freshness
    once_in_a_retraining: bool = False  # though it may be stale again by then

    def partitions(self, project: Project) -> dg.PartitionsDefinition | None:
        """The partitions of the Dagster asset."""
        if self.partitioned_by == "period":
            return period_partitions(project)
        keys = self.static_partitions(project)
        return None if keys == (None,) else dg.StaticPartitionsDefinition([key for key in keys if key])

    def static_partitions(self, project: Project) -> tuple[str | None, ...]:
        """The partitions that the settings name; one None where the asset has none, or has those of the source."""
        if self.partitioned_by == "model type":
            return tuple(project.model_types)
        return project.sklearn_types if self.partitioned_by == "scikit-learn type" else (None,)


def pages(project: Project, dashboard: str, *, in_mlflow: bool) -> dict[str, dg.MetadataValue]:
    """Links of an asset's definition, which is built when it is shown: its board, and the model in MLflow.

    What is recorded of a materialisation has the paths of its own pages there, without the address.
    """
    board = f"{project.settings.pages_url}/dashboards/?board={dashboard}"
    links: dict[str, dg.MetadataValue] = {"dashboard": dg.MetadataValue.url(board)}
    if in_mlflow:
        page = mlflow_page(project.settings.mlflow_url, mlflow_model_path(project.spec.name))
        links["mlflow"] = dg.MetadataValue.url(page)
    return links


def period_partitions(project: Project) -> dg.PartitionsDefinition:
    """Complete periods from the spec's first to its last, or up to now; one `snapshot` where there is no time.

    A period is over when the clock of the dataset says so.
    """
    from mlops_assets.dataset import SNAPSHOT

    time = project.spec.time
    if time is None:
        return dg.StaticPartitionsDefinition([SNAPSHOT])
    cadence = time.cadence
    return dg.TimeWindowPartitionsDefinition(
        start=time.first,
        end=cadence.after(time.last) if time.last else None,
        fmt=cadence.form,
        cron_schedule=cadence.cron,
        timezone=project.zone,
    )


def freshness_policy(settings: Settings) -> dg.FreshnessPolicy:
    """When people are warned that an asset grows stale, and when a retraining starts because it is."""
    fail, warn = timedelta(days=settings.fresh_days), timedelta(days=settings.warn_after_days)
    return dg.FreshnessPolicy.time_window(fail_window=fail, warn_window=warn)
