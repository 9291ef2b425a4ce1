"""Dagster's local run launcher, which can also tell whether a run's process is still there.

With it the daemon's run monitoring finds a run whose process was lost together with the server that started it,
and marks it as failed; Dagster's own launcher would leave it `started` for ever.
"""

from __future__ import annotations

import errno
import os

import dagster as dg
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher import DefaultRunLauncher
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._grpc.client import DagsterGrpcClient
from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
from dagster._serdes import deserialize_value


class WatchedRunLauncher(DefaultRunLauncher):
    """Launches runs as processes of the code server, and watches them."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Ask the server that started the run; where it is gone, look for the process itself on this machine.

        A server elsewhere, such as in another container, may be started anew: what has become of its runs is known
        once it answers again.
        """
        client = self._get_grpc_client_for_termination(run.run_id)
        if client is None:
            return CheckRunHealthResult(WorkerStatus.UNKNOWN, "it is not known which server started it")
        try:
            answer = client.can_cancel_execution(CanCancelExecutionRequest(run_id=run.run_id))
        except DagsterUserCodeUnreachableError:
            if not _is_here(client) or self._process_is_there(run.run_id):
                return CheckRunHealthResult(WorkerStatus.RUNNING)
            return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "its process and the server that started it are gone")
        if deserialize_value(answer, CanCancelExecutionResult).can_cancel or self._has_ended(run.run_id):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "its process is gone")

    def _has_ended(self, run_id: str) -> bool:
        """It may have ended, and said so, since run monitoring looked."""
        run = self._instance.get_run_by_id(run_id)
        return run is None or run.is_finished

    def _process_is_there(self, run_id: str) -> bool:
        for event in self._instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
            metadata = event.dagster_event.engine_event_data.metadata
            if "pid" in metadata and _is_alive(int(metadata["pid"].value)):
                return True
        return False


def _is_here(client: DagsterGrpcClient) -> bool:
    return client.socket is not None or client.host in ("localhost", "127.0.0.1", "::1")


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError as error:
        return error.errno == errno.EPERM  # there, and another user's
    return True
