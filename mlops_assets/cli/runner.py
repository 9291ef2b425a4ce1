"""The whole pipeline in this process: each stale asset in order, each partition as a Dagster run of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import dagster as dg
from filelock import FileLock, Timeout

from mlops_assets.assets.plan import JOBS, Plan, Task
from mlops_assets.definitions import build_definitions
from mlops_assets.errors import StorageError
from mlops_assets.project import Project
from mlops_assets.resources.progress import Progress

STARTED_BY = "mlops/started_by"
_ACTIVE = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
@dataclass(frozen=True)
class Outcome:
    """What became of a task: nothing to do, made, waiting for what failed, or failed with an error in one line."""

    task: Task
    run_id: str | None = None
    error: str | None = None


class Runner:
    """Makes what is stale and leaves the rest alone; one task that fails stops no other."""

    def __init__(self, instance: dg.DagsterInstance, project: Project, progress: Progress) -> None:
        self._instance = instance
        self._project = project
        self._definitions = build_definitions(project, progress)
        self.plan = Plan(instance, project)

    def make(self, task: Task) -> Outcome:
        """Make a stale task in a Dagster run of its own."""
        if not task.stale or task.waits_for:
            return Outcome(task)
        job = self._definitions.resolve_job_def(JOBS[task.asset])
        result = job.execute_in_process(
            instance=self._instance,
            partition_key=task.partition,
            tags={STARTED_BY: "cli"},
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            raise_on_error=False,
        )
        return Outcome(task, result.run_id, None if result.success else _cause(result))


def _cause(result: dg.ExecuteInProcessResult) -> str:
    """The first step failure as one line: an expected error's own message, else its type and message."""
    for event in result.all_events:
        if event.is_step_failure:
            data = event.step_failure_data
            if data.user_failure_data:
                return data.user_failure_data.description
            error = data.error.cause or data.error
            return f"{error.cls_name}: {error.message.strip().splitlines()[-1]}"
    return "the run failed without a step failure"


@contextmanager
def exclusive(project: Project) -> Iterator[None]:
    """Only one `run` works in a home folder at a time. Raises StorageError where another does."""
    home = project.settings.home_path
    home.mkdir(parents=True, exist_ok=True)
    lock = FileLock(home / "run.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise StorageError(f"another run is at work in {home.name}: wait for it, or set MLOPS_HOME") from None
    try:
        yield
    finally:
        lock.release()


def close_dead_runs(instance: dg.DagsterInstance, project: Project) -> int:
    """Mark runs of an earlier, killed `run` as failed, in Dagster and in MLflow; call under `exclusive`."""
    dead = instance.get_runs(dg.RunsFilter(statuses=_ACTIVE, tags={STARTED_BY: "cli"}))
    for run in dead:
        instance.report_run_failed(
            run, f"the process that ran it ended before it did (seen by process {os.getpid()})"
        )
    if dead:
        project.tracking.close_abandoned(lambda run_id: is_active(instance, run_id))
    return len(dead)


def is_active(instance: dg.DagsterInstance, run_id: str) -> bool:
    run = instance.get_run_by_id(run_id)
    return run is not None and not run.is_finished
