"""dagster-celery's run launcher, which can also tell whether a run's worker is still there.

A worker that is killed leaves its task `STARTED` in Celery's results for ever, and with it Dagster's run. With this
launcher the daemon's run monitoring marks such a run as failed, and the run is tried again. Needs the extra `celery`.
"""

from __future__ import annotations

import dagster as dg
from celery import states
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

from mlops_assets.compat import CheckRunHealthResult, WorkerStatus

ANSWER_SECONDS = 5  # that workers have to say what they do


class WatchedCeleryLauncher(CeleryRunLauncher):
    """Launches runs as tasks of Celery's workers, and watches the workers."""

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Ask the workers which tasks they have; all that answer do so within some seconds."""
        task_id = run.tags.get(DAGSTER_CELERY_TASK_ID_TAG)
        if task_id is None:  # the run was started a moment ago
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        if self.celery.AsyncResult(task_id).state in states.READY_STATES or not self._is_lost(task_id):
            return super().check_run_worker_health(run)
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "the worker that had it is gone")

    def _is_lost(self, task_id: str) -> bool:
        at_work = self.celery.control.inspect(timeout=ANSWER_SECONDS).active() or {}
        return task_id not in {task["id"] for tasks in at_work.values() for task in tasks}
