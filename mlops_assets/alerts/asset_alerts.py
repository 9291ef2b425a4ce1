"""Alerts that no run gives: an asset that grows stale, and a champion that was rolled back by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import dagster as dg

from mlops_assets.addresses import mlflow_page
from mlops_assets.alerts.alert import Alert, Change, Comparison, Fact, Link, asset_link, board_link, one_line, to_paste
from mlops_assets.alerts.run_summary import CHAMPION
from mlops_assets.assets.entry import OVERVIEW
from mlops_assets.compat import FreshnessState, FreshnessStateRecord
from mlops_assets.facts import facts_of
from mlops_assets.project import Project

_STALE = {FreshnessState.WARN: "will soon be stale", FreshnessState.FAIL: "is stale"}


def freshness_key(record: FreshnessStateRecord) -> str:
    state, since = record.freshness_state.value, int(record.updated_at.timestamp())
    return f"freshness:{record.entity_key.to_user_string()}:{state}:{since}"


def stale_records(instance: dg.DagsterInstance, keys: Iterable[dg.AssetKey]) -> Iterator[FreshnessStateRecord]:
    """The freshness of those assets that are stale, or will soon be, as Dagster's daemon has last seen it."""
    for record in instance.get_freshness_state_records(list(keys)).values():
        if record.freshness_state in _STALE:
            yield record


def freshness_alert(instance: dg.DagsterInstance, project: Project, record: FreshnessStateRecord) -> Alert:
    event = instance.get_latest_materialization_event(record.entity_key)
    made_at = datetime.fromtimestamp(event.timestamp, UTC) if event else None
    state, asset = _STALE[record.freshness_state], record.entity_key.to_user_string()
    return stale_alert(project, asset, state, record.updated_at, made_at, key=freshness_key(record))


def stale_alert(
    project: Project, asset: str, state: str, since: datetime, made_at: datetime | None, *, key: str = "freshness"
) -> Alert:
    """What to tell of an asset that is stale, or will soon be, `since` a time; it was last made at another."""
    age = f"{(since - made_at).total_seconds() / 86_400:.1f} days before" if made_at else "never"
    return Alert(
        key=key,
        kinds=("freshness",),
        happened_at=since,
        title=f"{asset} {state}",
        summary="No retraining has renewed it in time; predictions go on with what is there.",
        cause=f"at {since:%Y-%m-%d %H:%M} UTC it was found that it {state}; it was last made {age}",
        advice="See what holds it up (`mlops-assets launch retrain` renews it):",
        command=to_paste(project.settings, "why", asset),
        button=board_link(project.settings, OVERVIEW),
        facts=(Fact("Asset", asset), *([Fact("Last made", f"{made_at:%Y-%m-%d %H:%M} UTC")] if made_at else [])),
        links=(asset_link(project.settings, asset),),
    )


def rollback_alert(project: Project, record: dg.EventLogRecord) -> Alert | None:
    """What to tell of a `champion_model` that was recorded without a run; None where no person moved the alias."""
    materialisation = record.asset_materialization
    values = facts_of(materialisation.metadata) if materialisation else {}
    if record.run_id or "verdict" not in values:
        return None
    page = mlflow_page(project.settings.mlflow_url, values["registered_model"])
    settings, again = project.settings, "" if values.get("decision") == "approved" else " again"
    now = f"{values.get('champion_type')} (version {values.get('champion_version')})"
    return Alert(
        key=f"champion:{record.storage_id}",
        kinds=("champion",),
        happened_at=datetime.fromtimestamp(record.timestamp, UTC),
        title=f"the champion is {values.get('champion_type')}{again}, version {values.get('champion_version')}",
        cause=one_line(project, values["verdict"]),
        summary=f"{values.get('champion_type')} answers from now on, because a person said so.",
        comparison=Comparison((Change("Champion", "", now),)),
        advice="Nothing to do. Who was champion when, and why:",
        command="mlops-assets history",
        button=board_link(settings, "model"),
        facts=(Fact("Asset", CHAMPION), Fact("Started by", "manual")),
        links=(asset_link(settings, CHAMPION), Link("MLflow", page)),
    )
