"""The job `retrain`, and the sensor that launches its parts: each stale task as a run of its own, side by side.

The job's run lasts as long as the retraining. It does no work itself: the sensor looks at what is stale, launches
what can be made now, and says in a tag when nothing is left.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import dagster as dg

from mlops_assets.assets.jobs import JOB_OF
from mlops_assets.assets.plan import UPSTREAM, Plan, Task
from mlops_assets.project import Project

RETRAIN = "retrain"
STARTED_BY = "mlops/started_by"
RETRAINING = "mlops/retraining"  # on every run of a retraining: the run id of the job `retrain` that it belongs to
# dagster.yaml lets one run with this tag be at work, so that two starts in the same moment cannot both pass.
EXCLUSIVE = {"mlops/exclusive": RETRAIN}
ACTIVE = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def active_retraining(instance: dg.DagsterInstance) -> dg.DagsterRun | None:
    """The oldest retraining that is queued or at work; `mlops-assets run` makes the same parts without the job."""
    runs = instance.get_runs(dg.RunsFilter(job_name=RETRAIN, statuses=ACTIVE))
    runs += instance.get_runs(dg.RunsFilter(tags={STARTED_BY: "cli"}, statuses=ACTIVE))
    return runs[-1] if runs else None


def why_not_now(instance: dg.DagsterInstance, project: Project) -> str | None:
    """The reason to skip a start, with a link to the retraining that is in the way; None where there is none."""
    run = active_retraining(instance)
    if run is None:
        return None
    starter = run.tags.get(STARTED_BY, "manual")
    return f"a retraining started by {starter} is {run.status.value.lower()}: {run_url(project, run.run_id)}"


def run_url(project: Project, run_id: str) -> str:
    return f"{project.settings.dagster_url.rstrip('/')}/runs/{run_id}"


ATTEMPTS = 3  # of a task in one retraining: a crash or two may pass, a fault stays
TASK = "mlops/task"
# Made in every retraining, changed or not: its materialisation says that all was looked at, and renews freshness.
# One that waited while another retraining did this need not do it again.
ALWAYS = ("training_set", "champion_model")
# These go on with what is there when a part of what is upstream cannot be made.
TOLERANT = ("training_set", "champion_model", "predictions", "drift_report")
# Once is enough in a retraining: the log of online predictions goes on growing meanwhile.
ONCE = ("model_performance",)


@dataclass(frozen=True)
class Step:
    """A run to launch: the task, and which attempt at it this is."""

    task: Task
    attempt: int


@dataclass(frozen=True)
class Outlook:
    """What a retraining can do now, what it waits for, and what it has given up."""

    steps: tuple[Step, ...]
    running: tuple[str, ...]
    given_up: tuple[str, ...]
    blocked: tuple[str, ...]

    @property
    def finished(self) -> bool:
        return not self.steps and not self.running


def look(instance: dg.DagsterInstance, plan: Plan, retraining: str, asked_at: datetime) -> Outlook:
    """The outlook of the retraining with this run id, which was asked for at a time in UTC."""
    runs: dict[str, list[dg.DagsterRun]] = defaultdict(list)
    for run in instance.get_runs(dg.RunsFilter(tags={RETRAINING: retraining})):
        if TASK in run.tags:
            runs[run.tags[TASK]].append(run)
    renewed = {asset for asset in ALWAYS if _made_at(instance, asset) >= asked_at.timestamp()}
    return _outlook(plan, runs, renewed)


def _made_at(instance: dg.DagsterInstance, asset: str) -> float:
    event = instance.get_latest_materialization_event(dg.AssetKey(asset))
    return event.timestamp if event else 0.0


def _outlook(plan: Plan, runs: Mapping[str, list[dg.DagsterRun]], renewed: Collection[str]) -> Outlook:
    steps, running, given_up, blocked = [], [], [], []
    unsettled: dict[str, list[Task]] = {}  # tasks by asset that something downstream has to wait for
    hopeless: dict[str, list[Task]] = {}
    for asset in plan.assets:
        unsettled[asset], hopeless[asset] = [], []
        for task in plan.tasks(asset):
            above = [parent for name in UPSTREAM[asset] for parent in unsettled.get(name, ())]
            lost = [parent for name in UPSTREAM[asset] for parent in hopeless.get(name, ())]
            tried = runs.get(task.name, [])
            if any(run.status in ACTIVE for run in tried):
                running.append(task.name)
                unsettled[asset].append(task)
            elif any(plan.feeds(parent, task) for parent in above):
                unsettled[asset].append(task)
            elif not task.stale and (tried or asset in renewed or asset not in ALWAYS):
                continue
            elif asset in ONCE and any(run.status == dg.DagsterRunStatus.SUCCESS for run in tried):
                continue
            elif task.waits_for or (asset not in TOLERANT and any(plan.feeds(parent, task) for parent in lost)):
                blocked.append(task.name)
                hopeless[asset].append(task)
            elif len(tried) >= ATTEMPTS:
                given_up.append(task.name)
                hopeless[asset].append(task)
            else:
                steps.append(Step(task, len(tried)))
                unsettled[asset].append(task)
    return Outlook(tuple(steps), tuple(running), tuple(given_up), tuple(blocked))


FINISHED = "mlops/finished"
POLL_SECONDS = 3


class Conductor(Protocol):
    """Who makes the parts of a retraining."""

    def conduct(self, context, project: Project) -> dict[str, list[str]]:
        """Return when nothing is left to do, with what was given up and what was blocked by that."""


class DaemonConductor:
    """Waits while the sensor `retraining` launches the parts."""

    def conduct(self, context, project: Project) -> dict[str, list[str]]:
        while True:
            tags = context.instance.get_run_by_id(context.run_id).tags
            if FINISHED in tags:
                return json.loads(tags[FINISHED])
            time.sleep(POLL_SECONDS)


def retraining_id(run: dg.DagsterRun) -> str:
    """The run that a retraining is known by: the first one, where this is a retry of it."""
    return run.root_run_id or run.run_id


def build_retrain_job() -> dg.JobDefinition:
    """The one job that schedule, sensors, freshness, GraphQL, UI and CLI start."""

    @dg.op(description="Lasts until every part of the retraining is made or given up.")
    def conduct(context, project: dg.ResourceParam[Project], conductor: dg.ResourceParam[Conductor]) -> None:
        left = conductor.conduct(context, project)
        for name in left["given_up"]:
            context.log.error(f"{name} could not be made")
        context.add_output_metadata({key: ", ".join(names) or "none" for key, names in left.items()})
        if "champion_model" in left["given_up"] + left["blocked"]:
            raise dg.Failure("the champion could not be decided; it stays as it was", allow_retries=False)

    @dg.job(
        name=RETRAIN,
        tags=EXCLUSIVE,
        description="New data, training set, every model type, champion, predictions: whatever is not up to date.",
    )
    def retrain():
        conduct()

    return retrain


def build_retraining_sensor(project: Project, jobs: list) -> dg.SensorDefinition:
    """Launches the parts of the retraining that is at work."""
    asked: dict[str, Mapping[str, str]] = {}  # the source is asked once for each retraining, not at every tick

    @dg.sensor(
        name="retraining",
        jobs=jobs,
        minimum_interval_seconds=5,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Launches the parts of a retraining as soon as what they need is there. Needed by `retrain`.",
    )
    def retraining(context: dg.SensorEvaluationContext):
        at_work = context.instance.get_runs(
            dg.RunsFilter(job_name=RETRAIN, statuses=[dg.DagsterRunStatus.STARTED]), limit=1
        )
        if not at_work or at_work[0].tags.get(STARTED_BY) == "cli" or FINISHED in at_work[0].tags:
            return dg.SkipReason("no retraining is at work")
        run = at_work[0]
        root = retraining_id(run)
        if root not in asked:
            asked.clear()
            asked[root] = Plan(context.instance, project).source_versions()
        record = context.instance.get_run_record_by_id(root)
        plan = Plan(context.instance, project, asked[root])
        outlook = look(context.instance, plan, root, record.create_timestamp.replace(tzinfo=UTC))
        if outlook.finished:
            left = {"given_up": list(outlook.given_up), "blocked": list(outlook.blocked)}
            context.instance.add_run_tags(run.run_id, {FINISHED: json.dumps(left)})
            return dg.SkipReason("the retraining has nothing left to do")
        if not outlook.steps:
            return dg.SkipReason(f"waiting for {', '.join(outlook.running)}")
        starter = run.tags.get(STARTED_BY, "manual")
        return [
            dg.RunRequest(
                run_key=f"{root}/{step.task.name}/{step.attempt}",
                job_name=JOB_OF[step.task.asset],
                partition_key=step.task.partition,
                tags={
                    RETRAINING: root,
                    TASK: step.task.name,
                    STARTED_BY: "retry" if step.attempt else starter,
                    "dagster/max_retries": "0",  # this sensor tries again; Dagster's own retry would be a second one
                },
            )
            for step in outlook.steps
        ]

    return retraining
