"""What one run did, read from its events: what failed and why, which checks failed, and what was made how well."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any

import dagster as dg

from mlops_assets.alerts.alert import named
from mlops_assets.assets.by_period import failed_periods
from mlops_assets.assets.memo import why_failed
from mlops_assets.facts import facts_of
from mlops_assets.run_tags import PARTITION, partitions_of

DECISIONS = ("promoted", "proposed", "refused")  # on a challenger
RAW, CHAMPION, DRIFT, PERFORMANCE = "raw_data", "champion_model", "drift_report", "model_performance"
_CHECKED = dg.DagsterEventType.ASSET_CHECK_EVALUATION
_EVENTS = {
    dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    dg.DagsterEventType.ASSET_MATERIALIZATION,
    _CHECKED,
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.RUN_FAILURE,
    dg.DagsterEventType.RUN_CANCELED,
}
_JOB_OF_ASSETS = "__ASSET_JOB"  # what Dagster calls a run of assets that no job was named for


@dataclass(frozen=True)
class Materialised:
    """A materialisation, and the metadata of the one before it, where that is worth comparing."""

    asset: str
    partition: str | None
    metadata: dict[str, Any]
    before: dict[str, Any]

    @property
    def name(self) -> str:
        return named(self.asset, self.partition)

    @property
    def computed(self) -> bool:
        """Whether anything was done: else the record of an earlier materialisation was repeated."""
        return self.metadata.get("recomputed") is not False


@dataclass(frozen=True)
class RunSummary:
    """A finished run. `asset` is what failed, or the one thing that was to be made; None where there are several.

    `planned`: names of assets, or of their partitions, that it was to make. `unmade`: those of them that it did not.
    """

    run: dg.DagsterRun
    seconds: float
    ended_at: float
    asset: str | None
    partition: str | None
    name: str
    cause: str
    failed_checks: tuple[dg.AssetCheckEvaluation, ...]
    materialised: tuple[Materialised, ...]
    planned: frozenset[str]

    @property
    def unmade(self) -> frozenset[str]:
        return self.planned - {one.name for one in self.materialised}

    @property
    def succeeded(self) -> bool:
        return self.run.status == dg.DagsterRunStatus.SUCCESS

    @property
    def verdict(self) -> Materialised | None:
        """The gate's decision on a challenger, where this run came to one."""
        for one in self.materialised:
            if one.asset == CHAMPION and one.computed and one.metadata.get("decision") in DECISIONS:
                return one
        return None


def read_run_summary(instance: dg.DagsterInstance, record: dg.RunRecord) -> RunSummary:
    """What a finished run did."""
    run = record.dagster_run
    entries = instance.all_logs(run.run_id, of_type=_EVENTS)
    timed_events = [(entry.dagster_event, entry.timestamp) for entry in entries if entry.dagster_event]
    events = [event for event, _ in timed_events]
    planned = {
        event.step_key: event.asset_key.to_user_string()
        for event in events
        if event.asset_key and event.is_asset_materialization_planned
    }
    failures = [event for event in events if event.is_step_failure]
    failed = [period for event in failures for period in _failed_periods(event)]
    partition = run.tags.get(PARTITION) or (failed[0] if len(failed) == 1 else None)
    assets = list(dict.fromkeys(planned.values()))
    asset = planned.get(failures[0].step_key) if failures else assets[0] if len(assets) == 1 else None
    evaluations = [event.asset_check_evaluation_data for event in events if event.event_type == _CHECKED]
    newest = {(check.asset_key, check.check_name, check.partition or partition): check for check in evaluations}
    return RunSummary(
        run=run,
        seconds=max((record.end_time or 0) - (record.start_time or record.end_time or 0), 0),
        ended_at=record.end_time or record.update_timestamp.replace(tzinfo=UTC).timestamp(),
        asset=asset,
        partition=partition,
        name=named(asset, partition or partitions_of(run.tags)) if asset else _name(run, assets, partition),
        cause=why_failed(events),
        failed_checks=tuple(check for check in newest.values() if not check.passed),
        materialised=tuple(
            _materialised(instance, event, at) for event, at in timed_events if event.is_step_materialization
        ),
        planned=frozenset(
            name for event in events if event.is_asset_materialization_planned for name in _planned(event)
        ),
    )


def _planned(event: dg.DagsterEvent) -> Iterator[str]:
    """Names of what a run of an asset was to make."""
    plan = event.asset_materialization_planned_data
    of_range = plan.partitions_subset.get_partition_keys() if plan.partitions_subset else [plan.partition]
    return (named(plan.asset_key.to_user_string(), partition) for partition in of_range)


def _failed_periods(event: dg.DagsterEvent) -> dict[str, str]:
    failure = event.step_failure_data.user_failure_data
    return failed_periods(failure.metadata) if failure else {}


def _name(run: dg.DagsterRun, assets: Sequence[str], partition: str | None) -> str:
    if run.job_name != _JOB_OF_ASSETS:
        return named(run.job_name, partition)
    return f"{named(assets[0], partition)} and {len(assets) - 1} more assets" if assets else "a run"


def _materialised(instance: dg.DagsterInstance, event: dg.DagsterEvent, at: float) -> Materialised:
    materialisation = event.step_materialization_data.materialization
    key, partition = materialisation.asset_key, event.partition
    metadata, before = facts_of(materialisation.metadata), None
    is_scored = any(name.startswith("validation_") for name in metadata)
    if is_scored or key.to_user_string() == CHAMPION:
        partitions = None if partition is None else [partition]
        earlier = dg.AssetRecordsFilter(asset_key=key, asset_partitions=partitions, before_timestamp=at)
        records = instance.fetch_materializations(earlier, limit=1).records
        before = records[0].asset_materialization if records else None
    return Materialised(
        asset=key.to_user_string(),
        partition=partition,
        metadata=metadata,
        before=facts_of(before.metadata) if before else {},
    )
