"""Sources of what works by itself: schedules and sensors with their ticks, and how fresh assets are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mlops_assets.dashboards.catalogue import Automation, Catalogue
from mlops_assets.dashboards.sources.feeds import Derived, Feed
from mlops_assets.dashboards.sources.source import Reading, Source, as_frame, columns, records

if TYPE_CHECKING:
    import dagster as dg
    import pandas as pd

MOST_TICKS = 1_000  # of one schedule or sensor
OVERLAP_SECONDS = 600  # a tick is written down when it begins, and once more when it ends
OUTCOME = {"STARTED": "running", "SUCCESS": "launched", "SKIPPED": "skipped", "FAILURE": "failed"}
TICKS = columns(
    id="text: Number of the tick.",
    time="time: When it began.",
    name="text: Name of the schedule or sensor.",
    kind="text: schedule or sensor.",
    outcome="text: launched, skipped, failed or running.",
    runs="number: Runs that it launched.",
    seconds="number: How long it took.",
    reason="text: Why it skipped, or the error that it failed with.",
)
AUTOMATION = columns(
    name="text: Name of the schedule or sensor.",
    kind="text: schedule or sensor.",
    status="text: on or off; `never started` where the daemon has not seen it yet.",
    every="text: Cron of a schedule, or the time between two ticks of a sensor.",
    last_tick="time: When it last ticked.",
    last_outcome="text: What came of it.",
    last_reason="text: Why it skipped or failed.",
    next_tick="time: When it ticks next, if the daemon works.",
)
FRESHNESS = columns(
    asset="text: Name of the asset.",
    state="text: fresh, stale soon, stale or never made.",
    made="time: When it was last made.",
    age_days="number: Days since then.",
    stale_days="number: Days after which it is stale.",
    days_left="number: Days until it is stale; negative where it is.",
)
DAEMON = "The daemon works while `mlops-assets dev` is open."


def automation_sources(
    instance: dg.DagsterInstance,
    catalogue: Catalogue,
    materialisations: Callable[[], Reading],
    redact: Callable[[str], str],
) -> list[Source]:
    """`ticks`, `automation` and `freshness`; `redact` takes hidden names out of what a tick failed with."""
    ticks = Feed("ticks", _Ticks(instance, redact).read, TICKS, most=MOST_TICKS * 20)

    def automation() -> Reading:
        reading = ticks.reading()
        return Reading(_automation(instance, catalogue, reading.frame, datetime.now(UTC)), reading.complete)

    def freshness() -> Reading:
        reading = newest.reading()
        return Reading(_freshness(catalogue, reading.frame, datetime.now(UTC)), reading.complete)

    newest = Derived(lambda frame: frame.groupby("asset")[["time"]].max(), materialisations)
    return [
        Source(
            "ticks",
            "Ticks of schedules and sensors, one row each, the newest 1,000 of each.",
            TICKS,
            ticks.reading,
            f"No schedule or sensor has ticked yet. {DAEMON}",
            forget=ticks.forget,
        ),
        Source(
            "automation",
            "Schedules and sensors as they are now, one row each.",
            AUTOMATION,
            automation,
            "This code location has no schedule or sensor.",
            time=None,
        ),
        Source(
            "freshness",
            "Assets that have to be fresh, one row each.",
            FRESHNESS,
            freshness,
            "No asset has a freshness policy.",
            time=None,
        ),
    ]


def next_tick(automation: Automation, last: datetime | None, now: datetime) -> datetime | None:
    """When it ticks next: by its cron, or so many seconds after the last tick."""
    if automation.cron:
        from mlops_assets.compat import next_cron_time

        return next_cron_time(automation.cron, automation.timezone, now)
    if last is None or automation.seconds is None:
        return None
    return datetime.fromtimestamp(max(last.timestamp() + automation.seconds, now.timestamp()), UTC)


class _Ticks:
    def __init__(self, instance: dg.DagsterInstance, redact: Callable[[str], str]) -> None:
        self._instance, self._redact = instance, redact

    def read(self, known_rows: pd.DataFrame) -> Iterator[list[dict]]:
        newest = known_rows.groupby("name")["time"].max().to_dict()
        for state in self._instance.all_instigator_state():
            since = newest.get(state.instigator_name)
            after = since.timestamp() - OVERLAP_SECONDS if since is not None else None
            ticks = self._instance.get_ticks(
                state.instigator_origin_id, state.selector_id, after=after, limit=MOST_TICKS
            )
            yield [self._row(tick.tick_id, tick.tick_data) for tick in ticks]

    def _row(self, number: int, tick: Any) -> dict:
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
            "reason": self._redact(" ".join(reason.split())) if reason else None,
        }


def _automation(instance: dg.DagsterInstance, catalogue: Catalogue, ticks: pd.DataFrame, now: datetime) -> pd.DataFrame:
    states = {state.instigator_name: state for state in instance.all_instigator_state()}
    last = {tick.name: tick for tick in records(ticks.groupby("name").tail(1))}
    rows = []
    for automation in catalogue.automations:
        state = states.get(automation.name)
        tick = last.get(automation.name)
        off = state is not None and state.status.value == "STOPPED"
        at = None if tick is None else tick.time
        rows.append(
            {
                "name": automation.name,
                "kind": automation.kind,
                "status": "never started" if state is None else "off" if off else "on",
                "every": automation.cron or _span(automation.seconds or 0),
                "last_tick": at,
                "last_outcome": None if tick is None else tick.outcome,
                "last_reason": None if tick is None else tick.reason,
                "next_tick": None if off else next_tick(automation, at, now),
            }
        )
    return as_frame(rows, AUTOMATION)


def _freshness(catalogue: Catalogue, newest: pd.DataFrame, now: datetime) -> pd.DataFrame:
    rows = []
    for asset, (warn_days, stale_days) in catalogue.fresh_days.items():
        at = newest["time"].get(asset)
        age = None if at is None else (now - at).total_seconds() / 86_400
        row = {"asset": asset, "state": "never made", "made": at, "age_days": age, "stale_days": stale_days}
        if age is not None:
            row["state"] = "stale" if age > stale_days else "stale soon" if warn_days and age > warn_days else "fresh"
            row["days_left"] = stale_days - age
        rows.append(row)
    return as_frame(rows, FRESHNESS)


def _span(seconds: float) -> str:
    return f"{seconds:g} s" if seconds < 120 else f"{seconds / 60:g} min"
