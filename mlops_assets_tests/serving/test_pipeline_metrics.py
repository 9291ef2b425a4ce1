"""What Prometheus hears of Dagster: numbers that are true, soon, and only once in a while asked for."""

import asyncio
import threading
from contextlib import contextmanager

import dagster as dg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from mlops_assets.serving import metrics as metrics_module
from mlops_assets.serving.metrics import PipelineMetrics
from mlops_assets_tests.serving.served import serving


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


class Opened:
    """Opens an instance, and counts how often."""

    def __init__(self, instance):
        self.instance, self.times, self.error = instance, 0, None

    @contextmanager
    def __call__(self):
        self.times += 1
        if self.error:
            raise self.error
        yield self.instance


@dg.asset
def made():
    """An asset that can be made."""


@dg.asset
def broken():
    raise dg.Failure("no")


def samples(text):
    """Every sample by its name and labels."""
    families = text_string_to_metric_families(text.decode())
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


def materialise(instance, asset):
    dg.materialize([asset], instance=instance, raise_on_error=False)


def test_runs_are_counted_by_status_and_assets_have_an_age(instance):
    materialise(instance, made)
    materialise(instance, broken)
    told = samples(asyncio.run(PipelineMetrics(Opened(instance)).text()))
    assert told["mlops_pipeline_up",] == 1
    assert (told["mlops_runs", "success"], told["mlops_runs", "failure"], told["mlops_runs", "queued"]) == (1, 1, 0)
    assert 0 <= told["mlops_materialization_age_seconds", "made"] < 60
    assert ("mlops_materialization_age_seconds", "broken") not in told


def test_a_daemon_has_the_age_of_its_last_heartbeat(shop):
    with shop.instance() as instance:
        told = samples(asyncio.run(PipelineMetrics(Opened(instance)).text()))
    assert not [name for name in told if name[0] == "mlops_daemon_heartbeat_age_seconds"]  # none ever ran here
    assert told["mlops_runs", "success"] > 5


def test_who_asks_again_soon_hears_the_same_and_later_what_is_new(instance, monkeypatch):
    metrics = PipelineMetrics(Opened(instance))
    first = asyncio.run(metrics.text())
    materialise(instance, made)
    assert asyncio.run(metrics.text()) == first
    monkeypatch.setattr(metrics_module, "KEEP_SECONDS", 0)
    assert samples(asyncio.run(metrics.text()))["mlops_runs", "success"] == 1


def test_a_database_that_fails_is_told_and_opened_anew_afterwards(instance, monkeypatch):
    monkeypatch.setattr(metrics_module, "KEEP_SECONDS", 0)
    opened = Opened(instance)
    opened.error = OSError("password=hunter2")
    metrics = PipelineMetrics(opened)
    assert samples(asyncio.run(metrics.text())) == {("mlops_pipeline_up",): 0}
    opened.error = None
    assert samples(asyncio.run(metrics.text()))["mlops_pipeline_up",] == 1
    asyncio.run(metrics.text())
    assert opened.times == 2


def test_nobody_waits_long_for_a_database_that_does_not_answer(instance, monkeypatch):
    monkeypatch.setattr(metrics_module, "WAIT_SECONDS", 0.01)
    answers = threading.Event()

    @contextmanager
    def slow():
        answers.wait()
        yield instance

    async def ask():
        metrics = PipelineMetrics(slow)
        assert await metrics.text() == await metrics.text() == b""
        answers.set()
        while not (text := await metrics.text()):
            pass
        return text

    assert samples(asyncio.run(ask()))["mlops_pipeline_up",] == 1


def test_the_server_tells_both_kinds(shop, instance):
    with serving(shop, pipeline=PipelineMetrics(Opened(instance))) as served:
        told = samples(served.client.get("/metrics").content)
    assert ("mlops_model_version",) in told and told["mlops_pipeline_up",] == 1
