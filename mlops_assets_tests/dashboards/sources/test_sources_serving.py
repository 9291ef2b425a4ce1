"""Sources of the server: its answers, and how many requests it took how fast."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from mlops_assets.dashboards.sources.serving import Sampler, quantile_of, serving_sources
from mlops_assets.resources.databases.prediction_log import LoggedRow, PredictionLog

AT = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def counters():
    """The server's own counters, with the names that it gives them."""
    own = CollectorRegistry()
    requests = Counter("mlops_requests", "Requests.", ["route", "status"], registry=own)
    seconds = Histogram("mlops_request_seconds", "Seconds.", ["route"], buckets=(0.01, 0.1, 1), registry=own)

    def ask(times, status="200", took=0.05):
        for _ in range(times):
            requests.labels("/predict", status).inc()
            seconds.labels("/predict").observe(took)

    return ask, lambda: generate_latest(own)


def test_rates_and_quantiles_are_of_the_time_between_two_samples(counters):
    ask, exposition = counters
    ask(100, took=0.5)
    sampler = Sampler(exposition)
    sampler.sample(AT, 10)
    ask(30), ask(10, status="503")
    sampler.sample(AT + timedelta(seconds=10), 10)
    first, second = sampler.reading().frame.itertuples()
    assert (first.per_second, second.per_second, second.failed_per_second) == (10, 4, 1)
    assert 10 < second.median_ms < 100 < first.median_ms


def test_a_quantile_lies_within_its_bucket():
    buckets = {1.0: 10, 2.0: 30, math.inf: 40}
    assert quantile_of(buckets, 0.5) == pytest.approx(1.5)
    assert quantile_of(buckets, 0.99) == 2.0
    assert math.isnan(quantile_of({1.0: 0, math.inf: 0}, 0.5))
    assert math.isnan(quantile_of({}, 0.5))


def test_what_was_asked_online_is_read_and_then_what_is_newer(shop, tmp_path, monkeypatch):
    monkeypatch.setattr("mlops_assets.dashboards.sources.feeds.REST_SECONDS", 0)
    project = shop.project(MLOPS_DATABASE_URL=f"sqlite:///{tmp_path / 'own.db'}")
    log = PredictionLog(project.database, project.spec)
    inputs = {"zone": 1, "size": 2.0}
    log.add([LoggedRow("old", 0, AT - timedelta(days=3), 1, inputs, 10.0, 8.0, 13.0)])
    source, _ = serving_sources(project, Sampler(bytes))
    assert list(source.read().frame["width"]) == [5.0]
    log.add([LoggedRow("new", 0, AT, 1, inputs, 20.0, math.nan, math.nan)])
    assert list(source.read().frame["request"]) == ["old", "new"]
