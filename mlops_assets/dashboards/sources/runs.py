"""The source `runs`: who started which job of Dagster, for which asset and partition, how and when it ended."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from mlops_assets.addresses import dagster_run_page
from mlops_assets.core.learners.ensemble import ENSEMBLE
from mlops_assets.dashboards.catalogue import Catalogue
from mlops_assets.dashboards.sources.feeds import Feed
from mlops_assets.dashboards.sources.source import Source, columns, table
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
_STARTERS = {"dagster/schedule_name": "schedule", "dagster/sensor_name": "sensor", "dagster/backfill": "backfill"}
_PERIOD = re.compile(r"\d{4}(-\d{2}|$)")
RUNS = table(
    "runs",
    "Runs of Dagster, one row each.",
    "There was no run yet: `mlops-assets run` makes everything that is not up to date.",
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

    def read(known_rows: pd.DataFrame) -> Iterator[list[dict]]:
        pages = _changed(instance, known_rows["updated"].max() - OVERLAP) if len(known_rows) else _all(instance)
        for page in pages:
            yield [_row(record, project, catalogue) for record in page]

    feed = Feed("runs", read, RUNS.columns + _UPDATED, most=MOST_RUNS)
    return RUNS.source(feed.reading, feed.forget)


def model_type_of(partition: str | None, asset: str, project: Project) -> str | None:
    """The model type that a partition stands for; two assets have one without a partition."""
    if asset == "xgboost_model":
        return next(iter(project.xgboost_types), "XGBoost")
    if asset == "ensemble_model":
        return ENSEMBLE
    return None if partition is None or partition == SNAPSHOT or _PERIOD.match(partition) else partition


def started_by(tags: Mapping[str, str]) -> str:
    """Who started a run: what our own starters wrote down, else what Dagster did."""
    return tags.get(STARTED_BY) or next((who for tag, who in _STARTERS.items() if tag in tags), "manual")


def _all(instance: dg.DagsterInstance) -> Iterator[list[dg.RunRecord]]:
    cursor, left = None, MOST_RUNS
    while left > 0:
        records = instance.get_run_records(limit=PAGE, cursor=cursor)
        yield list(records)
        if len(records) < PAGE:
            return
        cursor, left = records[-1].dagster_run.run_id, left - PAGE


def _changed(instance: dg.DagsterInstance, since: pd.Timestamp) -> Iterator[list[dg.RunRecord]]:
    from dagster import RunsFilter

    yield list(instance.get_run_records(RunsFilter(updated_after=since.to_pydatetime()), limit=MOST_RUNS))


def _row(record: dg.RunRecord, project: Project, catalogue: Catalogue) -> dict:
    run, tags = record.dagster_run, record.dagster_run.tags
    chosen = tuple(sorted(key.to_user_string() for key in run.asset_selection or ()))
    partition, asset = partitions_of(tags), ", ".join(chosen or catalogue.jobs.get(run.job_name, ()))
    created, started, ended = record.create_timestamp, record.start_time, record.end_time
    return {
        "time": created,
        "id": run.run_id,
        "job": "assets" if run.job_name.startswith("__") else run.job_name,
        "asset": asset or None,
        "partition": partition,
        "model_type": model_type_of(partition, asset, project),
        "status": STATUS[run.status.value],
        "started_by": started_by(tags),
        "seconds": ended - started if started and ended else None,
        "waited": max(started - created.timestamp(), 0) if started else None,
        "retraining": tags.get(RETRAINING),
        "link": dagster_run_page(project.settings.dagster_url, run.run_id),
        "updated": record.update_timestamp,
    }
