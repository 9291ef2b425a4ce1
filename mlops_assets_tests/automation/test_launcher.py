"""Our run launcher: which runs it calls lost when the server that started them does not answer."""

import json

import dagster as dg
import pytest
from dagster._core.launcher.base import WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG

from mlops_assets.automation.launcher import WatchedRunLauncher
from mlops_assets_tests.servers import free_port


@pytest.fixture
def status_of():
    """A function that gives the status of a run which a server, now gone, has started."""
    with dg.DagsterInstance.ephemeral() as instance:
        launcher = WatchedRunLauncher()
        launcher.register_instance(instance)

        def ask(host):
            tags = {GRPC_INFO_TAG: json.dumps({"host": host, "port": free_port()})}
            run = dg.DagsterRun("some_job", status=dg.DagsterRunStatus.STARTED, tags=tags)
            instance.add_run(run)
            return launcher.check_run_worker_health(run).status

        yield ask


def test_a_run_of_a_server_on_this_machine_is_lost_with_its_process(status_of):
    assert status_of("localhost") is WorkerStatus.NOT_FOUND


def test_a_run_of_a_server_elsewhere_is_not_lost_before_that_answers_again(status_of):
    assert status_of("127.0.0.2") is WorkerStatus.RUNNING
