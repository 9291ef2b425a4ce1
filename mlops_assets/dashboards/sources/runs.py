"""The source `runs`: who started which job of Dagster, for which asset and partition, how and when it ended."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from mlops_assets.core.learners.ensemble import ENSEMBLE
from mlops_assets.dashboards.catalogue import Catalogue
from mlops_assets.dashboards.sources.feeds import Feed
from mlops_assets.dashboards.sources.source import Source, columns
from mlops_assets.dataset import SNAPSHOT
from mlops_assets.run_tags import RETRAINING, STARTED_BY, partitions_of

if TYPE_CHECKING:
    import dagster as dg
    import pandas as pd

    from mlops_assets.project import Project

MOST_RUNS = 20_000
PAGE = 500
OVERLAP = timedelta(seconds=10)  # clocks of several machines write to the store
STATUS = {
    "SUCCESS": "succeeded",
    "FAILURE": "failed",
    "CANCELED": "cancelled",
    "CANCELING": "cancelled",
    "STARTED": "running",
    "STARTING": "running",
    "NOT_STARTED": "queued",
    "QUEUED": "queued",
    "MANAGED": "running",
}
_PERIOD = re.compile(r"\d{4}(-\d{2}|$)")
COLUMNS = columns(
    time="time: When it was asked for.",
    id="text: Run id in Dagster.",
    job="text: Name of the job; `assets` where assets were chosen by hand.",
    asset="text: The assets that it makes.",
    partition="text: Period or model type.",
    model_type="text: Model type, where it is of one.",
    status="text: queued, running, succeeded, failed or cancelled.",
    started_by="text: cli, schedule, sensor, freshness, retry, api, backfill or manual.",
    seconds="number: From start to end.",
    waited="number: Seconds from asking to start.",
    retraining="text: Run id of the retraining that it is part of.",
    link="text: Its page in Dagster.",
)
_UPDATED = columns(updated="time: When its record last changed.")


def runs_source(instance: dg.DagsterInstance, project: Project, catalogue: Catalogue) -> Source:
    """`runs`: one row a run, the newest 20,000."""
    reader = _Runs(instance, project, catalogue)
    feed = Feed("runs", reader.read, COLUMNS + _UPDATED, most=MOST_RUNS)
    return Source(
        name="runs",
        description="Runs of Dagster, one row each.",
        columns=COLUMNS,
        read=feed.reading,
        empty="There was no run yet: `mlops-assets run` makes everything that is not up to date.",
        forget=feed.forget,
    )


def model_type_of(partition: str | None, asset: str, xgboost: str) -> str | None:
    """The model type that a partition stands for; two assets have one without a partition."""
    if asset in (alone := {"xgboost_model": xgboost, "ensemble_model": ENSEMBLE}):
        return alone[asset]
    return None if partition is None or partition == SNAPSHOT or _PERIOD.match(partition) else partition


def started_by(tags: Mapping[str, str]) -> str:
    """Who started a run: what our own starters wrote down, else what Dagster did."""
    if who := tags.get(STARTED_BY):
        return who
    marks = {"dagster/schedule_name": "schedule", "dagster/sensor_name": "sensor", "dagster/backfill": "backfill"}
    return next((who for tag, who in marks.items() if tag in tags), "manual")


class _Runs:
    def __init__(self, instance: dg.DagsterInstance, project: Project, catalogue: Catalogue) -> None:
        self._instance, self._jobs = instance, catalogue.jobs
        self._url = project.settings.dagster_url.rstrip("/")
        self._xgboost = next(iter(project.xgboost_types), "XGBoost")

    def read(self, known_rows: pd.DataFrame) -> Iterator[list[dict]]:
        return self._changed(known_rows["updated"].max() - OVERLAP) if len(known_rows) else self._all()

    def _all(self) -> Iterator[list[dict]]:
        cursor, left = None, MOST_RUNS
        while left > 0:
            records = self._instance.get_run_records(limit=PAGE, cursor=cursor)
            yield [self._row(record) for record in records]
            if len(records) < PAGE:
                return
            cursor, left = records[-1].dagster_run.run_id, left - PAGE

    def _changed(self, since: pd.Timestamp) -> Iterator[list[dict]]:
        from dagster import RunsFilter

        records = self._instance.get_run_records(RunsFilter(updated_after=since.to_pydatetime()), limit=MOST_RUNS)
        yield [self._row(record) for record in records]

    def _row(self, record: dg.RunRecord) -> dict:
        run, tags = record.dagster_run, record.dagster_run.tags
        chosen = tuple(sorted(key.to_user_string() for key in run.asset_selection or ()))
        assets = chosen or self._jobs.get(run.job_name, ())
        partition, asset = partitions_of(tags), ", ".join(assets)
        created, started, ended = record.create_timestamp, record.start_time, record.end_time
        return {
            "time": created,
            "id": run.run_id,
            "job": "assets" if run.job_name.startswith("__") else run.job_name,
            "asset": asset or None,
            "partition": partition,
            "model_type": model_type_of(partition, asset, self._xgboost),
            "status": STATUS[run.status.value],
            "started_by": started_by(tags),
            "seconds": ended - started if started and ended else None,
            "waited": max(started - created.timestamp(), 0) if started else None,
            "retraining": tags.get(RETRAINING),
            "link": f"{self._url}/runs/{run.run_id}",
            "updated": record.update_timestamp,
        }
