"""A retraining on real Celery workers with a real Redis: spread over both, and one of them killed in the middle."""

import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

import dagster as dg
import pytest

from mlops_assets.resources.dagster_client import LaunchClient
from mlops_assets_tests.browser import open_uis
from mlops_assets_tests.documents import ROOT
from mlops_assets_tests.servers import free_port

REDIS = shutil.which("redis-server")
pytest.importorskip("dagster_celery", reason="the extra celery is not installed")
pytestmark = pytest.mark.skipif(REDIS is None, reason="redis-server is not installed")

RECEIVED = re.compile(r"Task execute_job\[([\w-]+)\] received")
TASK = "dagster-celery/task_id"
LONGEST_SECONDS = 300


@dataclass(frozen=True)
class Worker:
    process: subprocess.Popen
    log: Path

    def tasks(self) -> set[str]:
        """Ids of the tasks that it was given."""
        return set(RECEIVED.findall(self.log.read_text()))

    def kill(self) -> None:
        """With everything that it has started."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    """URL of a Redis that keeps nothing."""
    port, folder = free_port(), tmp_path_factory.mktemp("redis")
    command = [REDIS, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", folder]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    yield f"redis://127.0.0.1:{port}/0"
    process.terminate()
    process.wait()


@pytest.fixture(scope="module")
def home(broker, new_shop, postgres):
    """The shop, with runs on workers."""
    settings = {"MLOPS_WATCH_SOURCE": "false", "MLOPS_RETRAIN_IN": "runs"}
    home = new_shop(MLOPS_DATABASE_URL=postgres, CELERY_BROKER_URL=broker, **settings)
    instance = home.folder / "instance"
    instance.mkdir()
    shutil.copy(ROOT / "deploy" / "dagster-celery.yaml", instance / "dagster.yaml")
    home.env["DAGSTER_HOME"] = str(instance)
    return home


@contextmanager
def start_worker(home, name):
    app = ["celery", "--app", "dagster_celery.app", "worker", "--queues", "dagster", "--loglevel", "info"]
    options = ["--concurrency", "2", "--hostname", f"{name}@%h"]
    url = home.env["CELERY_BROKER_URL"]
    env = os.environ | home.env | {"PYTHONPATH": str(ROOT), "CELERY_RESULT_BACKEND": url}
    log = home.folder / f"{name}.log"
    with log.open("wb") as out:
        command = [sys.executable, "-m", *app, *options]
        process = subprocess.Popen(command, env=env, cwd=ROOT, stdout=out, stderr=out, start_new_session=True)
    worker = Worker(process, log)
    try:
        until(lambda: " ready." in log.read_text())
        yield worker
    finally:
        if process.poll() is None:
            worker.kill()


def until(happened):
    end = monotonic() + LONGEST_SECONDS
    while not (found := happened()):
        assert monotonic() < end, "it did not happen in time"
        sleep(0.2)
    return found


def at_work(instance, worker):
    """Runs that a worker is in the middle of; none while it only begins with one, which is found minutes later."""
    unfinished = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
    runs = [
        run for run in instance.get_runs(dg.RunsFilter(statuses=unfinished)) if run.tags.get(TASK) in worker.tasks()
    ]
    return [run.run_id for run in runs] if all(run.status is unfinished[1] for run in runs) else []


def test_a_retraining_spreads_over_workers_and_outlives_one_of_them(home):
    with start_worker(home, "one") as one, start_worker(home, "two") as two:
        with open_uis(home.env, home.folder / "dev.log") as uis:
            client = LaunchClient(uis.dagster)
            retrain = client.launch("retrain", {}, {})
            until(one.tasks), until(two.tasks)
            with home.instance() as instance:
                task = instance.get_run_by_id(retrain).tags[TASK]
                victim, other = (two, one) if task in one.tasks() else (one, two)
                lost = until(lambda: at_work(instance, victim))
                victim.kill()
            assert client.wait(retrain).succeeded
        assert other.tasks() - {task}
        with home.instance() as instance:
            assert all(instance.get_run_by_id(run_id).is_failure_or_canceled for run_id in lost)
            told = [event.message for run_id in lost for event in instance.all_logs(run_id) if event.is_dagster_event]
    assert home.project().registry.champion()
    assert any("the worker that had it is gone" in message for message in told)
