"""The next steps of a retraining, from what is stale and what its runs have done: nothing else is remembered.

Whatever is killed, the same look at the event log gives the steps that are left.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

import dagster as dg

from mlops_assets.assets.plan import UPSTREAM, Plan, Task
from mlops_assets.automation.guards import ACTIVE, RETRAINING

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
