"""What a retraining does next: the parts that can be made now, from what is stale and which runs there were.

Where parts are runs side by side, the sensor `retraining` launches them. The job is in `retrain_job`.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import dagster as dg

from mlops_assets.addresses import dagster_run_page
from mlops_assets.assets.plan import Part, Plan, Plans, Task
from mlops_assets.automation.launcher import WatchedRunLauncher
from mlops_assets.errors import MlopsError
from mlops_assets.project import Project
from mlops_assets.resources.progress import PARTS
from mlops_assets.run_tags import RETRAIN, RETRAINING, STARTED_BY, TASK

if TYPE_CHECKING:
    from mlops_assets.compat import AssetJob

# A plan on what the source has, where that is known, or that will ask the source.
OpenPlan: TypeAlias = Callable[[Mapping[str, str] | None], Plan]
SENSOR = "retraining"
FINISHED = "mlops/finished"
# What is tried again, after some time, where a retraining gave it up and went on without: else a period would be lost.
HOLD_PERIODS = ("clean_data", "training_set")
ATTEMPTS = 3  # of a task in one retraining: a crash or two may pass, a fault stays
# Seconds between looks for parts to launch, by MLOPS_RETRAIN_IN. Which launcher there is, is not known before a look:
# one that sends runs to other machines has parts launched either way, sooner where the setting says `runs`.
LOOKS = {"runs": 5, "process": 30}
SOURCE_SECONDS = 300  # for which the source may be away when a retraining has to ask it
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
    runs = [
        *instance.get_runs(dg.RunsFilter(job_name=RETRAIN, statuses=ACTIVE)),
        *instance.get_runs(dg.RunsFilter(tags={STARTED_BY: "cli"}, statuses=ACTIVE)),
    ]
    return runs[-1] if runs else None


def why_not_now(instance: dg.DagsterInstance, project: Project) -> str | None:
    """The reason to skip a start, with a link to the retraining that is in the way; None where there is none."""
    run = active_retraining(instance)
    if run is None:
        return None
    starter, page = run.tags.get(STARTED_BY, "manual"), dagster_run_page(project.settings.dagster_url, run.run_id)
    return f"a retraining started by {starter} is {run.status.value.lower()}: {page}"


@dataclass(frozen=True)
class Step:
    """What to make now: the task, and which attempt at it this is."""

    task: Task
    attempt: int


@dataclass(frozen=True)
class Outlook:
    """What a retraining can do now, what it waits for, and what it has given up."""

    steps: tuple[Step, ...]
    running: tuple[str, ...]
    given_up: tuple[str, ...]
    blocked: tuple[str, ...]
    parts: str  # how many are done with, of how many

    @property
    def finished(self) -> bool:
        return not self.steps and not self.running


def outlook_of(instance: dg.DagsterInstance, plan: Plan, retraining: str, asked_at: datetime) -> Outlook:
    """The outlook of the retraining with this run id, which was asked for at a time in UTC."""
    runs = [run for run in instance.get_runs(dg.RunsFilter(tags={RETRAINING: retraining})) if TASK in run.tags]
    # Left by one that was canceled, or outside any: it is waited for.
    runs += [run for run in at_work(instance) if run.tags.get(RETRAINING) != retraining]
    renewed = {
        name
        for name, entry in plan.graph.entries.items()
        if entry.made_in_every_retraining and _made_at(instance, name) >= asked_at.timestamp()
    }
    return _outlook(plan, runs, renewed)


def at_work(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    """The runs that make a task and have not ended, whatever launched them."""
    return [run for run in instance.get_runs(dg.RunsFilter(statuses=ACTIVE)) if TASK in run.tags]


def _made_at(instance: dg.DagsterInstance, asset: str) -> float:
    event = instance.get_latest_materialization_event(dg.AssetKey(asset))
    return event.timestamp if event else 0.0


def _outlook(plan: Plan, runs: Sequence[dg.DagsterRun], renewed: Collection[str]) -> Outlook:
    steps, running, given_up, blocked, count = [], [], [], [], 0
    unsettled: dict[str, list[Task]] = {}  # tasks by asset that something downstream has to wait for
    hopeless: dict[str, list[Task]] = {}
    for asset, entry in plan.graph.entries.items():
        unsettled[asset], hopeless[asset] = [], []
        for task in plan.tasks(asset):
            count += 1
            above = [parent for name in plan.graph.upstream[asset] for parent in unsettled[name]]
            lost = [parent for name in plan.graph.upstream[asset] for parent in hopeless[name]]
            tried = [run for run in runs if task.is_in(run.tags[TASK])]
            if any(run.status in ACTIVE for run in tried):
                running.append(task.name)
                unsettled[asset].append(task)
            elif any(plan.feeds(parent, task) for parent in above):
                unsettled[asset].append(task)
            elif not task.stale and (tried or asset in renewed or not entry.made_in_every_retraining):
                continue
            elif entry.once_in_a_retraining and any(run.status == dg.DagsterRunStatus.SUCCESS for run in tried):
                continue
            elif task.waits_for or (not entry.goes_on_without_parents and any(plan.feeds(p, task) for p in lost)):
                blocked.append(task.name)
                hopeless[asset].append(task)
            elif len(tried) >= ATTEMPTS:
                given_up.append(task.name)
                hopeless[asset].append(task)
            else:
                steps.append(Step(task, len(tried)))
                unsettled[asset].append(task)
    parts = f"{count - sum(map(len, unsettled.values()))} of {count}"
    return Outlook(tuple(steps), tuple(running), tuple(given_up), tuple(blocked), parts)


def periods_lost(run: dg.DagsterRun) -> list[str]:
    """Tasks that hold periods, and that a retraining has given up."""
    given_up = json.loads(run.tags.get(FINISHED, "{}")).get("given_up", [])
    return [name for name in given_up if name.partition("[")[0] in HOLD_PERIODS]


def why_undecided(left: Mapping[str, list[str]]) -> str | None:
    """The reason for which a retraining has failed; None where it came to a decision on the champion."""
    if "champion_model" not in left["given_up"] + left["blocked"]:
        return None
    if left.get("because"):
        return "; ".join(left["because"])
    return "the champion could not be decided; it stays as it was"


def retraining_id(run: dg.DagsterRun) -> str:
    """The run that a retraining is known by: the first one, where this is a retry of it."""
    return run.root_run_id or run.run_id


def makes_parts_itself(instance: dg.DagsterInstance, project: Project) -> bool:
    """Whether the run of a retraining makes its parts in its own process, which only our own launcher can watch."""
    return project.settings.retrain_in == "process" and isinstance(instance.run_launcher, WatchedRunLauncher)


class AskedSource:
    """What the source has said, as one process knows it: it is asked once for each retraining, not at every look."""

    def __init__(self) -> None:
        self._retraining: str | None = None
        self._versions: Mapping[str, str] = {}
        self._away_since: datetime | None = None

    def versions(self, retraining: str, open_plan: OpenPlan) -> Mapping[str, str]:
        """By partition; raises MlopsError where the source cannot be asked."""
        if self._retraining != retraining:
            self._versions = open_plan(None).source_versions()
            self._retraining, self._away_since = retraining, None
        return self._versions

    def is_given_up(self, now: datetime) -> bool:
        """Whether it has not answered for so long that no answer is expected any more."""
        self._away_since = self._away_since or now
        waited = (now - self._away_since).total_seconds()
        return not 0 <= waited < SOURCE_SECONDS  # a time that is yet to come: the clock was set back


def next_move(
    instance: dg.DagsterInstance,
    open_plan: OpenPlan,
    source: AskedSource,
    now: datetime | None = None,
) -> list[dg.RunRequest] | dg.SkipReason:
    """Which parts of the retraining at work to launch now; says in a tag of its run when nothing is left.

    Where the source cannot be asked for minutes, that is what the retraining ends with.
    """
    started = instance.get_runs(dg.RunsFilter(job_name=RETRAIN, statuses=[dg.DagsterRunStatus.STARTED]), limit=1)
    if not started or started[0].tags.get(STARTED_BY) == "cli" or FINISHED in started[0].tags:
        return dg.SkipReason("no retraining is at work")
    run = started[0]
    root = retraining_id(run)
    try:
        versions = source.versions(root, open_plan)
    except MlopsError as error:
        reason = f"the source cannot be asked: {error}"
        parts = [part for part in at_work(instance) if part.tags.get(RETRAINING) == root]
        if source.is_given_up(now or datetime.now(UTC)) and not parts:
            left = {"given_up": ["raw_data"], "blocked": ["champion_model"], "because": [reason]}
            instance.add_run_tags(run.run_id, {FINISHED: json.dumps(left)})
        return dg.SkipReason(reason)
    record = instance.get_run_record_by_id(root)
    if record is None:
        return dg.SkipReason("the first run of the retraining was deleted")
    plan = open_plan(versions)
    outlook = outlook_of(instance, plan, root, record.create_timestamp.replace(tzinfo=UTC))
    if run.tags.get(PARTS) != outlook.parts:
        instance.add_run_tags(run.run_id, {PARTS: outlook.parts})
    if outlook.finished:
        left = {"given_up": list(outlook.given_up), "blocked": list(outlook.blocked)}
        instance.add_run_tags(run.run_id, {FINISHED: json.dumps(left)})
        return dg.SkipReason("the retraining has nothing left to do")
    if not outlook.steps:
        return dg.SkipReason(f"waiting for {', '.join(outlook.running)}")
    starter = run.tags.get(STARTED_BY, "manual")
    return [
        _request(plan, part, attempt, root, starter)
        for attempt in sorted({step.attempt for step in outlook.steps})
        for part in plan.parts(step.task for step in outlook.steps if step.attempt == attempt)
    ]


def _request(plan: Plan, part: Part, attempt: int, root: str, starter: str) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=f"{root}/{part.name}/{attempt}",
        job_name=plan.graph.entries[part.asset].job,
        tags={
            RETRAINING: root,
            TASK: part.name,
            STARTED_BY: "retry" if attempt else starter,
            "dagster/max_retries": "0",  # the sensor tries again; Dagster's own retry would be a second one
            **part.tags,
        },
    )


def build_retraining_sensor(project: Project, jobs: "Sequence[AssetJob]") -> dg.SensorDefinition:
    """Launches the parts of the retraining that is at work."""
    source, plans = AskedSource(), Plans(project)

    @dg.sensor(
        name=SENSOR,
        jobs=jobs,
        minimum_interval_seconds=LOOKS[project.settings.retrain_in],
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Launches the parts of a retraining as soon as what they need is there, where they are runs.",
    )
    def retraining(context: dg.SensorEvaluationContext):
        if makes_parts_itself(context.instance, project):
            return dg.SkipReason("a retraining makes its parts itself: MLOPS_RETRAIN_IN")
        return next_move(context.instance, partial(plans.open, context.instance), source)

    return retraining
