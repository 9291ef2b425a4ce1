"""The whole pipeline in this process: each stale asset in order, its periods in one Dagster run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import dagster as dg
from filelock import FileLock, Timeout

from mlops_assets.assets.by_period import failed_periods
from mlops_assets.assets.memo import INTERRUPTED, why_failed
from mlops_assets.assets.plan import Part, Plan, Task
from mlops_assets.compat import execute_here
from mlops_assets.definitions import build_definitions
from mlops_assets.errors import StorageError
from mlops_assets.project import Project
from mlops_assets.resources.dagster_client import LOCATION, MODULE, REPOSITORY
from mlops_assets.resources.mlflow.tracking import is_active
from mlops_assets.resources.progress import PARTS, Progress
from mlops_assets.run_tags import STARTED_BY, TASK, launched_here

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

    def make(self, part: Part) -> list[Outcome]:
        """Make stale tasks in one Dagster run: what became of each.

        Raises KeyboardInterrupt where that was interrupted, and SourceUnreachable or TrackingError where it failed
        and the source or MLflow does not answer: nothing that needs them could be made either.
        """
        done, of = self.plan.position(part)
        job = self._definitions.resolve_job_def(self.plan.graph.entries[part.asset].job)
        result = execute_here(
            job,
            self._instance,
            LOCATION,
            REPOSITORY,
            module=MODULE,
            # The next `run` makes what was not made; a retry by the daemon would be a second one.
            tags=launched_here() | part.tags | {TASK: part.name, PARTS: f"{done} of {of}", "dagster/max_retries": "0"},
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
        if result.success:
            return [Outcome(task, result.run_id) for task in part.tasks]
        cause = why_failed(result.all_events)
        if cause == INTERRUPTED:
            raise KeyboardInterrupt
        self._ask_services(part.asset)
        failed = _failed_periods(result) or {task.partition or "": cause for task in part.tasks}
        return [Outcome(task, result.run_id, failed.get(task.partition or "")) for task in part.tasks]

    def _ask_services(self, asset: str) -> None:
        if asset == "raw_data":
            self._project.source.partitions()
        elif self.plan.graph.entries[asset].uses_mlflow:
            self._project.tracking.check()


def _failed_periods(result: dg.JobExecutionResult) -> dict[str, str]:
    """The reason by period of those that failed; empty where the run failed otherwise."""
    for event in result.all_events:
        if event.is_step_failure and (failure := event.step_failure_data.user_failure_data):
            return failed_periods(failure.metadata)
    return {}


@contextmanager
def exclusive(project: Project) -> Iterator[None]:
    """Only one `run` works in a home folder at a time. Raises StorageError where another does."""
    home = project.settings.home_path
    lock = FileLock(home / "run.lock")
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise StorageError(f"another run is at work in {home.name}: wait for it, or set MLOPS_HOME") from None
    except OSError as error:
        raise StorageError(f"the home folder {home} cannot be used: {error.strerror} (set MLOPS_HOME)") from None
    try:
        yield
    finally:
        lock.release()


def close_dead_runs(instance: dg.DagsterInstance, project: Project) -> int:
    """Mark runs of an earlier, killed `run` as failed, in Dagster and in MLflow; call under `exclusive`."""
    dead = {run.run_id: run for run in instance.get_runs(dg.RunsFilter(statuses=_ACTIVE, tags={STARTED_BY: "cli"}))}
    if dead:  # MLflow first: should it not answer, the next call still finds the dead runs
        project.tracking.close_abandoned(lambda run_id: run_id not in dead and is_active(instance, run_id))
    for run in dead.values():
        instance.report_run_failed(run, f"the process that ran it ended before it did (seen by process {os.getpid()})")
    return len(dead)
