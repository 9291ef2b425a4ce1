"""Our run launcher: which runs it calls lost when the server that started them does not answer."""

import json
import os
import platform
import subprocess
import sys

import dagster as dg
import pytest
from dagster._core.launcher.base import WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG

from mlops_assets.automation.launcher import WatchedRunLauncher
from mlops_assets.run_tags import PROCESS
from mlops_assets_tests.servers import free_port


@pytest.fixture
def status_of():
    """A function that gives the status of a run with these tags."""
    with dg.DagsterInstance.ephemeral() as instance:
        launcher = WatchedRunLauncher()
        launcher.register_instance(instance)

        def ask(tags):
            run = instance.add_run(dg.DagsterRun("some_job", status=dg.DagsterRunStatus.STARTED, tags=tags))
            return launcher.check_run_worker_health(run).status

        yield ask


def started_by_a_server(host):
    """The tags of a run whose server is gone."""
    return {GRPC_INFO_TAG: json.dumps({"host": host, "port": free_port()})}


def test_a_run_of_a_server_on_this_machine_is_lost_with_its_process(status_of):
    assert status_of(started_by_a_server("localhost")) is WorkerStatus.NOT_FOUND


def test_a_run_of_a_server_elsewhere_is_not_lost_before_that_answers_again(status_of):
    assert status_of(started_by_a_server("127.0.0.2")) is WorkerStatus.RUNNING


def test_a_run_that_a_command_makes_itself_is_lost_with_its_process(status_of):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert status_of({PROCESS: f"{platform.node()}:{os.getpid()}"}) is WorkerStatus.RUNNING
    assert status_of({PROCESS: f"{platform.node()}:{ended.pid}"}) is WorkerStatus.NOT_FOUND
    assert status_of({PROCESS: f"elsewhere:{ended.pid}"}) is WorkerStatus.RUNNING
