"""What the server counts for Prometheus; each server has a registry of its own."""

from __future__ import annotations

from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Metrics:
    """Counters and gauges, all with names that begin with `mlops_`."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        own = self._registry = CollectorRegistry()
        self._requests = Counter("mlops_requests", "Requests by route and status.", ["route", "status"], registry=own)
        self._seconds = Histogram(
            "mlops_request_seconds",
            "Seconds from a request's headers to the end of its answer.",
            ["route"],
            buckets=_SECONDS,
            registry=own,
        )
        rows = Counter("mlops_predicted_rows", "Rows answered.", ["route"], registry=own)
        self.predicted, self.predicted_in_batch = rows.labels("/predict"), rows.labels("/predict/batch")
        self.batch_rows = Histogram(
            "mlops_batch_rows", "Rows answered by one call of the model.", buckets=_ROWS, registry=own
        )
        self.model_version = Gauge("mlops_model_version", "Version of the champion; 0 without one.", registry=own)
        self.model_age = Gauge("mlops_model_age_seconds", "Seconds since the champion was loaded.", registry=own)
        self.reloads = Counter("mlops_model_reloads", "Looks at the registry, by outcome.", ["outcome"], registry=own)
        self.logged = Counter(
            "mlops_logged_rows", "Rows for the prediction log, by outcome.", ["outcome"], registry=own
        )
        self.log_queue = Gauge("mlops_log_queue_rows", "Rows that wait for the prediction log.", registry=own)
        self._of_request = lru_cache(maxsize=512)(self._children)

    def request(self, route: str, status: int, seconds: float) -> None:
        counter, histogram = self._of_request(route, status)
        counter.inc()
        histogram.observe(seconds)

    def text(self) -> bytes:
        return generate_latest(self._registry)

    def _children(self, route: str, status: int) -> tuple[Counter, Histogram]:
        return self._requests.labels(route, str(status)), self._seconds.labels(route)
