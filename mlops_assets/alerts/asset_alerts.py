"""Alerts that no run gives: an asset that grows stale, and a champion that was rolled back by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import dagster as dg

from mlops_assets.alerts.alert import Alert, Fact, Link, asset_link, one_line
from mlops_assets.alerts.run_summary import CHAMPION, plain
from mlops_assets.compat import FreshnessState, FreshnessStateRecord
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
    asset = record.entity_key.to_user_string()
    event = instance.get_latest_materialization_event(record.entity_key)
    made_at = datetime.fromtimestamp(event.timestamp, UTC) if event else None
    age = f"{(record.updated_at - made_at).total_seconds() / 86_400:.1f} days before" if made_at else "never"
    facts = (Fact("Asset", asset), Fact("Last made", f"{made_at:%Y-%m-%d %H:%M} UTC")) if made_at else ()
    return Alert(
        key=freshness_key(record),
        kinds=("freshness",),
        happened_at=record.updated_at,
        title=f"{asset} {_STALE[record.freshness_state]}",
        cause=f"its freshness became {record.freshness_state.value} at {record.updated_at:%Y-%m-%d %H:%M} UTC; "
        f"it was last made {age}",
        facts=facts,
        command=f"mlops-assets why {asset}",
        links=(asset_link(project.settings, asset),),
    )


def rollback_alert(project: Project, record: dg.EventLogRecord) -> Alert | None:
    """What to tell of a `champion_model` that was recorded without a run; None where no person moved the alias."""
    materialisation = record.asset_materialization
    values = plain(materialisation.metadata) if materialisation else {}
    if record.run_id or "verdict" not in values:
        return None
    settings, again = project.settings, "" if values.get("decision") == "approved" else " again"
    return Alert(
        key=f"champion:{record.storage_id}",
        kinds=("champion",),
        happened_at=datetime.fromtimestamp(record.timestamp, UTC),
        title=f"the champion is {values.get('champion_type')}{again}, version {values.get('champion_version')}",
        cause=one_line(project, values["verdict"]),
        facts=(Fact("Asset", CHAMPION), Fact("Started by", "manual")),
        command="mlops-assets history",
        links=(asset_link(settings, CHAMPION), Link("MLflow", values.get("registered_model", settings.mlflow_url))),
    )
