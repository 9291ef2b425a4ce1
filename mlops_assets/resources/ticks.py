"""Ticks of schedules and sensors, as Dagster has written them down, and why one has failed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dagster as dg

_AT_WORK, _FAILED = "STARTED", "FAILURE"
_LOOKED_AT = 3  # newest ticks of each: one may be under way


@dataclass(frozen=True)
class FailedTick:
    """The newest tick of a schedule or a sensor, which failed: `kind` is one of these, `location` that of its code."""

    name: str
    kind: str
    location: str
    at: datetime
    reason: str


def why_failed(error: Any) -> str:
    """What the innermost of chained errors says, as Dagster writes them down; an expected one without its class."""
    while error.cause:
        error = error.cause
    message = error.message.strip()
    return message.partition(": ")[2] if error.cls_name == dg.Failure.__name__ else message


def failing(instance: dg.DagsterInstance) -> Iterator[FailedTick]:
    """Schedules and sensors whose newest tick has failed."""
    if instance.schedule_storage is None:  # in memory: no daemon works on it
        return
    for state in instance.all_instigator_state():
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=_LOOKED_AT)
        newest = next((tick for tick in ticks if tick.status.value != _AT_WORK), None)
        if newest and newest.status.value == _FAILED:
            yield FailedTick(
                name=state.instigator_name,
                kind=state.instigator_type.value.lower(),
                location=state.origin.repository_origin.code_location_origin.location_name,
                at=datetime.fromtimestamp(newest.timestamp, UTC),
                reason=why_failed(newest.error) if newest.error else "it did not say why",
            )
