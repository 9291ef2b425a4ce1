"""Where a version of the model came from: the runs that made it, and what was measured there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlops_assets.resources.registry import Version
    from mlops_assets.resources.tracking import Tracking


@dataclass(frozen=True)
class Origin:
    """Links to the runs in MLflow and Dagster, and the metrics of the MLflow run."""

    mlflow_run: str
    dagster_run: str | None
    metrics: dict[str, float]


def find_origin(tracking: Tracking, version: Version) -> Origin:
    """The origin of a version, read from its MLflow run; raises TrackingError."""
    with tracking.errors(f"find the run of version {version.number}"):
        run = tracking.client.get_run(version.run_id)
    return Origin(
        mlflow_run=tracking.run_url(version.run_id),
        dagster_run=run.data.tags.get("dagster_url"),
        metrics=dict(run.data.metrics),
    )
