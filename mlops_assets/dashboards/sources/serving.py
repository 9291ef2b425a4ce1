"""Sources of the server: its answers from the prediction log, its requests from the metrics that it counts.

A `Sampler` looks at these metrics from the start of the server on, so that rates can be drawn.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Event, Thread
from typing import TYPE_CHECKING

from mlops_assets.dashboards.sources.feeds import Feed
from mlops_assets.dashboards.sources.source import Reading, Source, as_frame, table

if TYPE_CHECKING:
    import pandas as pd

    from mlops_assets.project import Project
    from mlops_assets.resources.databases.prediction_log import LoggedRow, PredictionLog

MOST_PREDICTIONS = 100_000
WINDOWS = (timedelta(hours=1), timedelta(days=1), timedelta(days=7), timedelta(days=30), timedelta(days=400))
SAMPLE_SECONDS = 15.0
MOST_SAMPLES = 6 * 24 * 240  # some six routes for a day
_ASK = "the form at / and `POST /predict` answer, and are logged."
REQUESTS = table(
    "requests",
    "Requests to the server since it started, at most a day: one row a route and quarter of a minute.",
    f"No request came since the server started: {_ASK}",
    time="time: End of a quarter of a minute.",
    route="text: Address of the API.",
    per_second="number: Requests a second.",
    failed_per_second="number: Of these, answered with status 400 or above.",
    median_ms="number: Milliseconds that half of the requests took at most.",
    p95_ms="number: Milliseconds that 95% took at most.",
    p99_ms="number: Milliseconds that 99% took at most.",
)
PREDICTIONS = table(
    "predictions",
    "Rows that were asked online, one row each, the newest 100,000.",
    f"Nothing was predicted online yet: {_ASK}",
    time="time: When it was asked.",
    id="text: Request and row.",
    request="text: Id of the request.",
    version="text: Version of the model that answered.",
    prediction="number: The answer.",
    low="number: Low end of its interval.",
    high="number: High end of its interval.",
    width="number: Width of its interval.",
)


def serving_sources(project: Project, sampler: Sampler) -> list[Source]:
    """`predictions` and `requests`."""
    read = partial(_read_predictions, project.prediction_log)
    feed = Feed("predictions", read, PREDICTIONS.columns, most=MOST_PREDICTIONS)
    return [PREDICTIONS.source(feed.reading, feed.forget), REQUESTS.source(sampler.reading)]


@dataclass
class Counters:
    """What a route has counted since the server started: requests, failures, and requests up to each bound."""

    requests: float = 0
    failed: float = 0
    buckets: dict[float, float] = field(default_factory=dict)


class Sampler:
    """Looks at a server's counters every quarter of a minute, from its start on, and keeps what came in between."""

    def __init__(self, exposition: Callable[[], bytes]) -> None:
        """`exposition`: gives the counters as Prometheus reads them."""
        self._exposition, self._stopped = exposition, Event()
        self._before: dict[str, Counters] = {}
        self._rows: deque[dict] = deque(maxlen=MOST_SAMPLES)
        self._table: tuple[int, pd.DataFrame] | None = None  # and how many samples it holds
        self._taken = 0  # samples

    def start(self) -> None:
        self._before = read_counters(self._exposition())
        Thread(target=self._work, name="request samples", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()

    def sample(self, at: datetime, seconds: float) -> None:
        """Take one sample; `seconds` have passed since the one before."""
        now = read_counters(self._exposition())
        for route, counters in now.items():
            self._rows.append({"time": at, "route": route} | _rates(self._before.get(route), counters, seconds))
        self._before = now
        self._taken += 1

    def reading(self) -> Reading:
        if self._table is None or self._table[0] != self._taken:
            self._table = self._taken, as_frame(list(self._rows), REQUESTS.columns)
        return Reading(self._table[1])

    def _work(self) -> None:
        while not self._stopped.wait(SAMPLE_SECONDS):
            self.sample(datetime.now(UTC), SAMPLE_SECONDS)


def read_counters(text: bytes) -> dict[str, Counters]:
    """Counters by route, from the text that Prometheus would read."""
    from prometheus_client.parser import text_string_to_metric_families

    by_route: dict[str, Counters] = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            if "route" not in sample.labels:
                continue
            counters = by_route.setdefault(sample.labels["route"], Counters())
            if sample.name == "mlops_requests_total":
                counters.requests += sample.value
                counters.failed += sample.value if sample.labels["status"] >= "400" else 0
            elif sample.name == "mlops_request_seconds_bucket":
                counters.buckets[float(sample.labels["le"])] = sample.value
    return {route: counters for route, counters in by_route.items() if counters.requests}


def _rates(before: Counters | None, now: Counters, seconds: float) -> dict[str, float]:
    before = before or Counters()
    new = {bound: count - before.buckets.get(bound, 0) for bound, count in now.buckets.items()}
    rates = {
        "per_second": (now.requests - before.requests) / seconds,
        "failed_per_second": (now.failed - before.failed) / seconds,
    }
    shares = {"median_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}
    return rates | {name: 1000 * quantile_of(new, share) for name, share in shares.items()}


def quantile_of(buckets: dict[float, float], share: float) -> float:
    """A quantile from cumulative counts by upper bound, straight within a bucket; NaN where nothing was counted."""
    bounds = sorted(buckets)
    total = buckets[bounds[-1]] if bounds else 0
    low, below = 0.0, 0.0
    for bound in bounds:
        if total and buckets[bound] >= share * total:
            if math.isinf(bound):
                return low
            inside = buckets[bound] - below
            return low + (bound - low) * (share * total - below) / inside if inside else bound
        low, below = bound, buckets[bound]
    return math.nan


def _read_predictions(log: PredictionLog, known_rows: pd.DataFrame) -> Iterator[list[dict]]:
    """What is newer than what is known; at first all, from the newest on and as far as it is kept."""
    count, until = 0, datetime.now(UTC)
    begins = [known_rows["time"].max().to_pydatetime()] if len(known_rows) else [until - window for window in WINDOWS]
    for since in begins:
        for chunk in log.read(since, until):
            count += len(chunk)
            yield [_answer(row) for row in chunk]
        if count >= MOST_PREDICTIONS:
            return
        until = since


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
