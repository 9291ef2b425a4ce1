"""What Prometheus is told: of the server's requests, rows and model, and of the pipeline as Dagster records it."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, datetime
from functools import lru_cache
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

if TYPE_CHECKING:
    import dagster as dg

    from mlops_assets.resources.progress import AtWork

log = logging.getLogger(__name__)
SHARED = "PROMETHEUS_MULTIPROC_DIR"
KEEP_SECONDS = 15.0  # whoever asks sooner hears the same again
LOOK_SECONDS = 2.0  # the same for a retraining at work
WAIT_SECONDS = 5.0  # for Dagster's database, at most; what it says later is for who asks next
MOST_ASSETS = 100
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Metrics:
    """Counters and gauges of the server, all with names that begin with `mlops_`.

    Where the variable PROMETHEUS_MULTIPROC_DIR was set before Prometheus's library was loaded, they are those of all
    processes of the server together, by way of files in that folder.
    """

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self._requests = Counter(
            "mlops_requests", "Requests by route and status.", ["route", "status"], registry=registry
        )
        self._seconds = Histogram(
            "mlops_request_seconds",
            "Seconds from a request's headers to the end of its answer.",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        rows = Counter("mlops_predicted_rows", "Rows answered.", ["route"], registry=registry)
        self.predicted, self.predicted_in_batch = rows.labels("/predict"), rows.labels("/predict/batch")
        self.batch_rows = Histogram(
            "mlops_batch_rows", "Rows answered by one call of the model.", buckets=_ROWS, registry=registry
        )
        newest: dict[str, Any] = {"registry": registry, "multiprocess_mode": "livemostrecent"}
        self.model_version = Gauge("mlops_model_version", "Version of the champion; 0 without one.", **newest)
        self.model_age = Gauge("mlops_model_age_seconds", "Seconds since the champion was loaded.", **newest)
        self.reloads = Counter(
            "mlops_model_reloads", "Looks at the registry, by outcome.", ["outcome"], registry=registry
        )
        self.logged = Counter(
            "mlops_logged_rows", "Rows for the prediction log, by outcome.", ["outcome"], registry=registry
        )
        self.log_queue = Gauge(
            "mlops_log_queue_rows",
            "Rows that wait for the prediction log.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._of_request = lru_cache(maxsize=512)(self._children)

    def request(self, route: str, status: int, seconds: float) -> None:
        counter, histogram = self._of_request(route, status)
        counter.inc()
        histogram.observe(seconds)

    def text(self) -> bytes:
        if SHARED in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)
            return generate_latest(registry)
        return generate_latest(self._registry)

    def forget(self, process: int) -> None:
        """A process of the server has ended: what it has counted stays, what it has waiting does not."""
        mark_process_dead(process)

    def _children(self, route: str, status: int) -> tuple[Counter, Histogram]:
        return self._requests.labels(route, str(status)), self._seconds.labels(route)


class PipelineMetrics:
    """What the Dagster instance says that `open_instance` opens, when it is first asked: gauges, and who is at work."""

    def __init__(self, open_instance: Callable[[], AbstractContextManager[dg.DagsterInstance]]) -> None:
        self._open_instance = open_instance
        self._opened = ExitStack()
        self._instance: dg.DagsterInstance | None = None
        self._reading: asyncio.Future[bytes] | None = None
        self._text, self._read_at = b"", -KEEP_SECONDS
        self._at_work: AtWork | None = None
        self._looked_at = -LOOK_SECONDS
        self._opening, self._looking = Lock(), Lock()

    async def text(self) -> bytes:
        """The newest numbers, in Prometheus's format; empty where Dagster has not said anything yet."""
        if monotonic() - self._read_at >= KEEP_SECONDS:
            if self._reading is None:
                self._reading = asyncio.ensure_future(asyncio.to_thread(self._read))
            done, _ = await asyncio.wait([self._reading], timeout=WAIT_SECONDS)
            if done:
                self._text, self._read_at = self._reading.result(), monotonic()
                self._reading = None
        return self._text

    def _read(self) -> bytes:
        """One look. Whatever goes wrong there, the metrics say so, and the next look begins anew."""
        registry = CollectorRegistry()
        try:
            gauges = [*_gauges(self._open(), datetime.now(UTC)), _up(True)]
        except Exception as error:  # of Dagster, its database or its driver
            log.warning("Dagster's records cannot be read for the metrics: %s", type(error).__name__)
            self.close()
            gauges = [_up(False)]
        registry.register(_Collected(gauges))
        return generate_latest(registry)

    def at_work(self) -> AtWork | None:
        """The retraining at work; None where none is, or where Dagster's records cannot be read."""
        from mlops_assets.resources.progress import retraining_at_work

        with self._looking:
            if monotonic() - self._looked_at >= LOOK_SECONDS:
                try:
                    self._at_work = retraining_at_work(self._open())
                except Exception as error:  # of Dagster, its database or its driver
                    log.warning("Dagster's records cannot be read for a retraining: %s", type(error).__name__)
                    self._at_work = None
                self._looked_at = monotonic()
            return self._at_work

    def _open(self) -> dg.DagsterInstance:
        with self._opening:
            if self._instance is None:
                self._instance = self._opened.enter_context(self._open_instance())
            return self._instance

    def close(self) -> None:
        self._instance = None
        self._opened.close()


class _Collected:
    """What was read, as Prometheus's library wants to have it."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> list[Metric]:
        return self._metrics


def _up(is_up: bool) -> Metric:
    return GaugeMetricFamily("mlops_pipeline_up", "1 where Dagster's records can be read.", value=float(is_up))


def _gauges(instance: dg.DagsterInstance, now: datetime) -> Iterator[Metric]:
    import dagster as dg

    from mlops_assets.resources.dagster_client import heartbeat_ages

    runs = GaugeMetricFamily("mlops_runs", "Runs on record by status.", labels=["status"])
    for status in dg.DagsterRunStatus:
        if status != dg.DagsterRunStatus.MANAGED:
            runs.add_metric([status.value.lower()], instance.get_runs_count(dg.RunsFilter(statuses=[status])))
    yield runs
    beats = GaugeMetricFamily("mlops_daemon_heartbeat_age_seconds", "Since its last heartbeat.", labels=["daemon"])
    for daemon, age in heartbeat_ages(instance, now).items():
        if age is not None:
            beats.add_metric([daemon.lower()], age)
    yield beats
    keys = sorted(instance.all_asset_keys())[:MOST_ASSETS]
    ages = GaugeMetricFamily(
        "mlops_materialization_age_seconds", "Since the newest materialisation of an asset.", labels=["asset"]
    )
    for key, event in instance.get_latest_materialization_events(keys).items():
        if event:
            ages.add_metric([key.to_user_string()], now.timestamp() - event.timestamp)
    yield ages
    fresh = GaugeMetricFamily("mlops_freshness", "1 for the state that an asset is in.", labels=["asset", "state"])
    for key, record in instance.get_freshness_state_records(keys).items():
        fresh.add_metric([key.to_user_string(), record.freshness_state.value.lower()], 1)
    yield fresh
