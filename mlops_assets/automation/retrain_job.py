"""The job `retrain`: its run lasts as long as a retraining, and makes the parts itself or waits for those who do.

On one machine it makes them one after the other: a process for each costs more than most parts. Where they are runs
side by side, the sensor `retraining` launches them; where nobody launches any more, the waiting run fails.
"""

import json
import time
from collections.abc import Callable
from functools import partial

import dagster as dg

from mlops_assets.assets.memo import INTERRUPTED, why_failed
from mlops_assets.assets.plan import Plans
from mlops_assets.automation.retraining import (
    ACTIVE,
    EXCLUSIVE,
    FINISHED,
    SENSOR,
    AskedSource,
    makes_parts_itself,
    next_move,
    retraining_id,
    why_undecided,
)
from mlops_assets.compat import execute_here
from mlops_assets.project import Project
from mlops_assets.resources.dagster_client import LOCATION, MODULE, REPOSITORY, is_stopped, last_heartbeat
from mlops_assets.run_tags import RETRAIN, RETRAINING, STARTED_BY, TASK, this_process

POLL_SECONDS = 3
PAUSE_SECONDS = 10  # before a part that has failed is tried again
TELL_SECONDS = 60  # between two looks at whether anybody launches parts, each told in the log
STOPPED_SECONDS = 300  # for which the sensor may be off
SILENT_SECONDS = 1_800  # for which nothing may be heard of the daemon's sensors: they take turns, and may be slow


class _Launching:
    """Whether parts are still launched, as one waiting run sees it: by its own clock, which stands still in sleep."""

    def __init__(self, instance: dg.DagsterInstance, clock: Callable[[], float] = time.monotonic) -> None:
        self._instance, self._clock = instance, clock
        self._heartbeat: float | None = None
        self._heard_at = self._on_at = clock()

    def check(self) -> str | None:
        """What is amiss, where something is; raises dagster.Failure once that has lasted too long."""
        now, heartbeat = self._clock(), last_heartbeat(self._instance, "SENSOR")
        if heartbeat != self._heartbeat:
            self._heartbeat, self._heard_at = heartbeat, now
        if is_stopped(self._instance, SENSOR):
            if now - self._on_at >= STOPPED_SECONDS:
                reason = f"the sensor '{SENSOR}' is stopped, so that no part is launched: turn it on, and retrain again"
                raise dg.Failure(reason, allow_retries=False)
            return f"the sensor '{SENSOR}' is stopped"
        self._on_at = now
        silence = now - self._heard_at
        if silence >= SILENT_SECONDS:
            reason = f"nothing was heard of Dagster's daemon for {silence / 60:.0f} min: start it, and retrain again"
            raise dg.Failure(reason, allow_retries=False)
        return f"nothing was heard of Dagster's daemon for {silence / 60:.0f} min" if silence >= TELL_SECONDS else None


class Wait:
    """What the run of a retraining does until the sensor says that nothing is left, a look at a time."""

    def __init__(
        self,
        instance: dg.DagsterInstance,
        run_id: str,
        tell: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`tell` hears once a minute what is waited for."""
        self._instance, self._run_id, self._tell, self._clock = instance, run_id, tell, clock
        self._launching, self._told_at = _Launching(instance, clock), clock()

    def look(self) -> dict[str, list[str]] | None:
        """The tasks that were given up, and those that they blocked; None where parts are still to be made.

        Raises dagster.Failure where nobody launches parts any more.
        """
        run = _own_run(self._instance, self._run_id)
        if FINISHED in run.tags:
            return json.loads(run.tags[FINISHED])
        if self._clock() - self._told_at >= TELL_SECONDS:
            amiss = self._launching.check()
            self._tell(_waiting_for(self._instance, retraining_id(run)) + (f"; {amiss}" if amiss else ""))
            self._told_at = self._clock()
        return None


def wait_for_parts(instance: dg.DagsterInstance, run_id: str, tell: Callable[[str], None]) -> dict[str, list[str]]:
    """Wait until the sensor says that nothing is left: the tasks that were given up, and those that they blocked."""
    wait = Wait(instance, run_id, tell)
    while (left := wait.look()) is None:
        time.sleep(POLL_SECONDS)
    return left


def make_parts(context: dg.OpExecutionContext, project: Project) -> dict[str, list[str]]:
    """Make what is stale, a part at a time: the tasks that were given up, and those that they blocked.

    Raises dagster.DagsterExecutionInterruptedError where the retraining was canceled in the middle of a part.
    """
    instance, source, plans = context.instance, AskedSource(), Plans(project)
    while True:
        move = next_move(instance, partial(plans.open, instance), source)
        if isinstance(move, dg.SkipReason):
            run = _own_run(instance, context.run_id)
            if FINISHED in run.tags:
                return json.loads(run.tags[FINISHED])
            time.sleep(POLL_SECONDS)  # for a part that another process has left at work, or for the source
        else:
            _make(context, move[0])


def _make(context: dg.OpExecutionContext, request: dg.RunRequest) -> None:
    if request.tags[STARTED_BY] == "retry":
        time.sleep(PAUSE_SECONDS)
    result = execute_here(
        context.repository_def.get_job(request.job_name or ""),
        context.instance,
        LOCATION,
        REPOSITORY,
        module=MODULE,
        tags=this_process() | dict(request.tags),
        run_config={},
    )
    context.log.info(f"{request.tags[TASK]}: {'made' if result.success else 'failed'}, run {result.run_id}")
    if not result.success and why_failed(result.all_events) == INTERRUPTED:
        raise dg.DagsterExecutionInterruptedError


def _own_run(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRun:
    run = instance.get_run_by_id(run_id)
    if run is None:
        raise dg.Failure("the retraining's own run was deleted", allow_retries=False)
    return run


def _waiting_for(instance: dg.DagsterInstance, retraining: str) -> str:
    runs = instance.get_runs(dg.RunsFilter(tags={RETRAINING: retraining}, statuses=ACTIVE))
    tasks = sorted(run.tags[TASK] for run in runs if TASK in run.tags)
    return f"waiting for {', '.join(tasks) or f'the sensor {SENSOR!r} to look at what is left'}"


def build_retrain_job(project: Project) -> dg.JobDefinition:
    """The one job that schedule, sensors, freshness, GraphQL, UI and CLI start."""

    @dg.op(description="Lasts until every part of the retraining is made or given up.")
    def conduct(context: dg.OpExecutionContext) -> None:
        try:
            if makes_parts_itself(context.instance, project):
                left = make_parts(context, project)
            else:
                left = wait_for_parts(context.instance, context.run_id, context.log.info)
        except dg.DagsterExecutionInterruptedError:
            raise dg.Failure(INTERRUPTED, allow_retries=False) from None
        for name in left["given_up"]:
            context.log.error(f"{name} could not be made")
        context.add_output_metadata({key: ", ".join(names) or "none" for key, names in left.items()})
        if reason := why_undecided(left):
            raise dg.Failure(reason, allow_retries=False)

    @dg.job(
        name=RETRAIN,
        tags=EXCLUSIVE,
        description="New data, training set, every model type, champion, predictions: whatever is not up to date.",
    )
    def retrain():
        conduct()

    return retrain
