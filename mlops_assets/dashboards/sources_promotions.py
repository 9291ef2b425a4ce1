"""The source `promotions`: who was champion when, as MLflow's registry tells it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mlops_assets.dashboards.feeds import Feed
from mlops_assets.dashboards.sources import Source, columns

if TYPE_CHECKING:
    import pandas as pd

    from mlops_assets.project import Project
    from mlops_assets.resources.reigns import Promotion

MOST_REIGNS = 10_000
COLUMNS = columns(
    time="time: When it became champion.",
    until="time: When it ceased to be; empty for the present one.",
    version="text: Version of the registered model.",
    model_type="text: Model type.",
    reason="text: Why it became champion.",
    days="number: How long it was champion, or has been so far.",
    current="flag: It is champion now.",
    link="text: Its page in MLflow.",
)
_ID = columns(id="text: Version and time.")


def promotions_source(project: Project) -> Source:
    """`promotions`: one row for each time that a version became champion."""
    feed = Feed("promotions", _Reigns(project).read, COLUMNS + _ID, most=MOST_REIGNS)
    return Source(
        name="promotions",
        description="Who was champion when, one row each time.",
        columns=COLUMNS,
        read=feed.reading,
        empty="There is no champion yet: `mlops-assets run` ends with the gate's verdict.",
        forget=feed.forget,
    )


class _Reigns:
    def __init__(self, project: Project) -> None:
        self._registry = project.registry

    def read(self, known: pd.DataFrame) -> Iterator[list[dict]]:
        yield [self._row(reign) for reign in self._registry.history()]

    def _row(self, reign: Promotion) -> dict:
        days = ((reign.until or datetime.now(UTC)) - reign.since).total_seconds() / 86_400
        return {
            "id": f"{reign.version}@{reign.since.isoformat()}",
            "time": reign.since,
            "until": reign.until,
            "version": str(reign.version),
            "model_type": reign.model_type,
            "reason": reign.reason,
            "days": round(days, 2),
            "current": reign.until is None,
            "link": self._registry.tracking.model_version_url(self._registry.model_name, reign.version),
        }
