"""Whether Dagster's daemon is at work, by the heartbeats that it leaves in the instance."""

from __future__ import annotations

from datetime import datetime

import dagster as dg

# One comes every 30 s; a daemon that is busy may miss a few.
SILENT_SECONDS = 300


def heartbeat_ages(instance: dg.DagsterInstance, now: datetime) -> dict[str, float | None]:
    """Seconds since the last heartbeat of each part of the daemon that the instance needs; None for never."""
    heard = instance.get_daemon_heartbeats()
    ages = {part: now.timestamp() - beat.timestamp for part, beat in heard.items()}
    return {part: ages.get(part) for part in sorted(instance.get_required_daemon_types())}


def silent(ages: dict[str, float | None]) -> list[str]:
    """Parts that were not heard of for too long."""
    return [part for part, age in ages.items() if age is None or age > SILENT_SECONDS]
