"""Sources of what works by itself: schedules and sensors with their ticks, and how fresh assets are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from mlops_assets.dashboards.catalogue import Automation, Catalogue
from mlops_assets.dashboards.sources.feeds import Derived, Feed
from mlops_assets.dashboards.sources.source import Reading, Source, Table, as_frame, records, table

if TYPE_CHECKING:
    import dagster as dg
    import pandas as pd

MOST_TICKS = 1_000  # of one schedule or sensor
OVERLAP_SECONDS = 600  # a tick is written down when it begins, and once more when it ends
OUTCOME = {"STARTED": "running", "SUCCESS": "launched", "SKIPPED": "skipped", "FAILURE": "failed"}
DAEMON = "The daemon works while `mlops-assets dev` is open."
TICKS = table(
    "ticks",
    "Ticks of schedules and sensors, one row each, the newest 1,000 of each.",
    f"No schedule or sensor has ticked yet. {DAEMON}",
    id="text: Number of the tick.",
    time="time: When it began.",
    name="text: Name of the schedule or sensor.",
    kind="text: schedule or sensor.",
    outcome="text: launched, skipped, failed or running.",
    runs="number: Runs that it launched.",
    seconds="number: How long it took.",
    reason="text: Why it skipped, or the error that it failed with.",
)
AUTOMATION = table(
    "automation",
    "Schedules and sensors as they are now, one row each.",
    "This code location has no schedule or sensor.",
    ranged=False,
    name="text: Name of the schedule or sensor.",
    kind="text: schedule or sensor.",
    status="text: on or off; `never started` where the daemon has not seen it yet.",
    every="text: Cron of a schedule, or the time between two ticks of a sensor.",
    last_tick="time: When it last ticked.",
    last_outcome="text: What came of it.",
    last_reason="text: Why it skipped or failed.",
    next_tick="time: When it ticks next, if the daemon works.",
)
FRESHNESS = table(
    "freshness",
    "Assets that have to be fresh, one row each.",
    "No asset has a freshness policy.",
    ranged=False,
    asset="text: Name of the asset.",
    state="text: fresh, stale soon, stale or never made.",
    made="time: When it was last made.",
    age_days="number: Days since then.",
    stale_days="number: Days after which it is stale.",
    days_left="number: Days until it is stale; negative where it is.",
)


def automation_sources(
    instance: dg.DagsterInstance,
    catalogue: Catalogue,
    materialisations: Callable[[], Reading],
    redact: Callable[[str], str],
) -> list[Source]:
    """`ticks`, `automation` and `freshness`; `redact` takes hidden names out of what a tick failed with."""
    ticks = Feed("ticks", partial(_read_ticks, instance, redact), TICKS.columns, most=MOST_TICKS * 20)
    newest = Derived(lambda frame: frame.groupby("asset")[["time"]].max(), materialisations)

    def as_of_now(table: Table, rows: Callable[[pd.DataFrame, datetime], Iterator[dict]], of: Feed | Derived) -> Source:
        def read() -> Reading:
            reading = of.reading()
            return Reading(as_frame(list(rows(reading.frame, datetime.now(UTC))), table.columns), reading.complete)

        return table.source(read)

    return [
        TICKS.source(ticks.reading, ticks.forget),
        as_of_now(AUTOMATION, partial(_automation, instance, catalogue), ticks),
        as_of_now(FRESHNESS, partial(_freshness, catalogue), newest),
    ]


def next_tick(automation: Automation, last: datetime | None, now: datetime) -> datetime | None:
    """When it ticks next: by its cron, or so many seconds after the last tick."""
    if automation.cron:
        from mlops_assets.compat import next_cron_time

        return next_cron_time(automation.cron, automation.timezone, now)
    if last is None or automation.seconds is None:
        return None
    return datetime.fromtimestamp(max(last.timestamp() + automation.seconds, now.timestamp()), UTC)


def _read_ticks(
    instance: dg.DagsterInstance, redact: Callable[[str], str], known_rows: pd.DataFrame
) -> Iterator[list[dict]]:
    newest = known_rows.groupby("name")["time"].max().to_dict()
    for state in instance.all_instigator_state():
        since = newest.get(state.instigator_name)
        after = since.timestamp() - OVERLAP_SECONDS if since is not None else None
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, after=after, limit=MOST_TICKS)
        yield [_tick(tick.tick_id, tick.tick_data, redact) for tick in ticks]


def _tick(number: int, tick: Any, redact: Callable[[str], str]) -> dict:
    from mlops_assets.resources.ticks import why_failed

    reason = why_failed(tick.error) if tick.error else tick.skip_reason
    return {
        "id": str(number),
        "time": datetime.fromtimestamp(tick.timestamp, UTC),
        "name": tick.instigator_name,
        "kind": tick.instigator_type.value.lower(),
        "outcome": OUTCOME[tick.status.value],
        "runs": len(tick.run_ids),
        "seconds": tick.end_timestamp - tick.timestamp if tick.end_timestamp else None,
        "reason": redact(" ".join(reason.split())) if reason else None,
    }


def _automation(
    instance: dg.DagsterInstance, catalogue: Catalogue, ticks: pd.DataFrame, now: datetime
) -> Iterator[dict]:
    states = {state.instigator_name: state for state in instance.all_instigator_state()}
    last = {tick.name: tick for tick in records(ticks.groupby("name").tail(1))}
    for automation in catalogue.automations:
        state, tick = states.get(automation.name), last.get(automation.name)
        off = state is not None and state.status.value == "STOPPED"
        at = tick.time if tick else None
        yield {
            "name": automation.name,
            "kind": "schedule" if automation.cron else "sensor",
            "status": "never started" if state is None else "off" if off else "on",
            "every": automation.cron or _span(automation.seconds or 0),
            "last_tick": at,
            "last_outcome": tick.outcome if tick else None,
            "last_reason": tick.reason if tick else None,
            "next_tick": None if off else next_tick(automation, at, now),
        }


def _freshness(catalogue: Catalogue, newest: pd.DataFrame, now: datetime) -> Iterator[dict]:
    for asset, (warn_days, stale_days) in catalogue.fresh_days.items():
        at = newest["time"].get(asset)
        row = {"asset": asset, "state": "never made", "made": at, "stale_days": stale_days}
        if at is not None:
            age = (now - at).total_seconds() / 86_400
            row["state"] = "stale" if age > stale_days else "stale soon" if warn_days and age > warn_days else "fresh"
            row |= {"age_days": age, "days_left": stale_days - age}
        yield row


def _span(seconds: float) -> str:
    return f"{seconds:g} s" if seconds < 120 else f"{seconds / 60:g} min"
