"""Sources of the server: its answers from the prediction log, its requests from the metrics that it counts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from mlops_assets.dashboards.feeds import Feed
from mlops_assets.dashboards.samples import REQUESTS, Sampler
from mlops_assets.dashboards.sources import Source, columns

if TYPE_CHECKING:
    import pandas as pd

    from mlops_assets.project import Project
    from mlops_assets.resources.prediction_log import LoggedRow

MOST_PREDICTIONS = 100_000
WINDOWS = (timedelta(hours=1), timedelta(days=1), timedelta(days=7), timedelta(days=30), timedelta(days=400))
PREDICTIONS = columns(
    time="time: When it was asked.",
    id="text: Request and row.",
    request="text: Id of the request.",
    version="text: Version of the model that answered.",
    prediction="number: The answer.",
    low="number: Low end of its interval.",
    high="number: High end of its interval.",
    width="number: Width of its interval.",
)
ASK = "Nothing was predicted online yet: the form at / and `POST /predict` answer, and are logged."


def serving_sources(project: Project, sampler: Sampler) -> list[Source]:
    """`predictions` and `requests`."""
    feed = Feed("predictions", _Predictions(project).read, PREDICTIONS, most=MOST_PREDICTIONS)
    return [
        Source(
            "predictions",
            "Rows that were asked online, one row each, the newest 100,000.",
            PREDICTIONS,
            feed.reading,
            ASK,
            forget=feed.forget,
        ),
        Source(
            "requests",
            "Requests to the server since it started, at most a day: one row a route and quarter of a minute.",
            REQUESTS,
            sampler.reading,
            f"No request came since the server started. {ASK}",
        ),
    ]


class _Predictions:
    def __init__(self, project: Project) -> None:
        self._project = project

    def read(self, known: pd.DataFrame) -> Iterator[list[dict]]:
        now = datetime.now(UTC)
        if len(known):
            yield from self._between(known["time"].max().to_pydatetime(), now)
            return
        found, until = 0, now
        for window in WINDOWS:
            for rows in self._between(now - window, until):
                found += len(rows)
                yield rows
            if found >= MOST_PREDICTIONS:
                return
            until = now - window

    def _between(self, since: datetime, until: datetime) -> Iterator[list[dict]]:
        for chunk in self._project.prediction_log.read(since, until):
            yield [_answer(row) for row in chunk]


def _answer(row: LoggedRow) -> dict:
    return {
        "time": row.at,
        "id": f"{row.request_id}/{row.row}",
        "request": row.request_id,
        "version": str(row.model_version),
        "prediction": row.prediction,
        "low": row.low,
        "high": row.high,
        "width": row.high - row.low,
    }
