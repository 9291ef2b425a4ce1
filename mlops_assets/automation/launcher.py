"""Dagster's local run launcher, which can also tell whether a run's process is still there.

With it the daemon's run monitoring finds a run whose process was lost together with the server that started it,
and marks it as failed; Dagster's own launcher would leave it `started` for ever.
"""

from __future__ import annotations

import errno
import os
import platform
from typing import TYPE_CHECKING

import dagster as dg

from mlops_assets.compat import (
    CheckRunHealthResult,
    DagsterUserCodeUnreachableError,
    WorkerStatus,
    has_run,
    instance_of,
    server_of,
)
from mlops_assets.run_tags import PROCESS

if TYPE_CHECKING:
    from mlops_assets.compat import DagsterGrpcClient


class WatchedRunLauncher(dg.DefaultRunLauncher):
    """Launches runs as processes of the code server, and watches them."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Ask the server that started the run; where it is gone, look for the process itself on this machine.

        A server elsewhere, such as in another container, may be started anew: what has become of its runs is known
        once it answers again. A run that a command makes itself is there for as long as its process.
        """
        if process := run.tags.get(PROCESS):
            host, _, pid = process.rpartition(":")
            if host != platform.node() or _is_alive(int(pid)) or self._has_ended(run.run_id):
                return CheckRunHealthResult(WorkerStatus.RUNNING)
            return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "the process that made it is gone")
        server = server_of(self, run.run_id)
        if server is None:
            return CheckRunHealthResult(WorkerStatus.UNKNOWN, "it is not known which server started it")
        try:
            is_there = has_run(server, run.run_id)
        except DagsterUserCodeUnreachableError:
            if not _is_here(server) or self._process_is_there(run.run_id):
                return CheckRunHealthResult(WorkerStatus.RUNNING)
            return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "its process and the server that started it are gone")
        if is_there or self._has_ended(run.run_id):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "its process is gone")

    def _has_ended(self, run_id: str) -> bool:
        """It may have ended, and said so, since run monitoring looked."""
        run = instance_of(self).get_run_by_id(run_id)
        return run is None or run.is_finished

    def _process_is_there(self, run_id: str) -> bool:
        entries = instance_of(self).all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
        events = [entry.dagster_event for entry in entries if entry.dagster_event]
        pids = [event.engine_event_data.metadata.get("pid") for event in events]
        return any(_is_alive(int(str(pid.value))) for pid in pids if pid)


def _is_here(server: DagsterGrpcClient) -> bool:
    return server.socket is not None or server.host in ("localhost", "127.0.0.1", "::1")


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError as error:
        return error.errno == errno.EPERM  # there, and another user's
    return True
