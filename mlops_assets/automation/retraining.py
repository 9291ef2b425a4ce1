"""The job `retrain`, and the sensor that launches its parts: each stale task as a run of its own, side by side.

The job's run lasts as long as the retraining. It does no work itself: the sensor looks at what is stale, launches
what can be made now, and says in a tag when nothing is left.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import UTC
from typing import Protocol

import dagster as dg

from mlops_assets.assets.plan import Plan
from mlops_assets.automation.guards import EXCLUSIVE, RETRAIN, RETRAINING, STARTED_BY
from mlops_assets.automation.steps import TASK, look
from mlops_assets.jobs import JOB_OF
from mlops_assets.project import Project

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
