"""What starts a retraining by itself: the schedule, a new or changed period, a champion that is no longer fresh."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import dagster as dg

from mlops_assets.assets import predictions
from mlops_assets.assets.jobs import MEASURED, MONITOR, SCORE
from mlops_assets.assets.memo import clear_failures
from mlops_assets.assets.plan import Plan, Plans
from mlops_assets.assets.records import Records
from mlops_assets.automation.retraining import (
    FINISHED,
    OpenPlan,
    at_work,
    periods_lost,
    why_not_now,
)
from mlops_assets.compat import AUTO_RETRY_RUN_ID_TAG, WILL_RETRY_TAG, FreshnessState
from mlops_assets.dataset.parts import Time
from mlops_assets.dataset.periods import Every
from mlops_assets.errors import SettingsError, SourceUnreachable
from mlops_assets.project import Project
from mlops_assets.run_tags import RETRAIN, STARTED_BY, TASK

if TYPE_CHECKING:
    from mlops_assets.compat import AssetJob

CAUSE = "mlops/cause"
NOTHING_YET = "nothing was made yet: launch the job `retrain`, or set MLOPS_RUN_AT_START, for the first retraining"
CRON = {"hourly": "0 * * * *", "daily": "0 3 * * *", "weekly": "0 3 * * 1", "monthly": "0 3 2 * *"}
EACH_PERIOD = "each period"
# Some time after a period has ended, when its rows may be there.
_AFTER_A_PERIOD: dict[Every, str] = {
    "hour": "20 * * * *",
    "day": "0 3 * * *",
    "week": "0 3 * * 1",
    "month": "0 3 2 * *",
    "quarter": "0 3 2 1,4,7,10 *",
    "year": "0 3 2 1 *",
}


def build_schedule(project: Project, job: dg.JobDefinition) -> dg.ScheduleDefinition:
    """Retraining by cron; off unless the settings give one, and then it can be turned on in the UI."""
    cron, status = cron_and_status("MLOPS_SCHEDULE", project.settings.schedule, "monthly", project.spec.time)

    @dg.schedule(
        name="retrain_by_schedule",
        job=job,
        cron_schedule=cron,
        execution_timezone=project.settings.timezone,
        default_status=status,
        description=f"Retrains at `{cron}` ({project.settings.timezone}), unless a retraining is under way.",
    )
    def retrain_by_schedule(context: dg.ScheduleEvaluationContext):
        if reason := why_not_now(context.instance, project):
            return dg.SkipReason(reason)
        at = context.scheduled_execution_time
        return dg.RunRequest(run_key=f"schedule/{at.isoformat()}", tags={STARTED_BY: "schedule"})

    return retrain_by_schedule


def build_scoring_schedule(project: Project, jobs: Sequence[AssetJob]) -> dg.ScheduleDefinition:
    """Scoring of the source's newest period by cron; off unless the settings give one."""
    when = project.settings.scoring_schedule
    cron, status = cron_and_status("MLOPS_SCORING_SCHEDULE", when, "daily", project.spec.time)

    @dg.schedule(
        name="score_by_schedule",
        job=next(job for job in jobs if job.name == SCORE),
        cron_schedule=cron,
        execution_timezone=project.settings.timezone,
        default_status=status,
        description=f"Ingests and scores the source's newest period at `{cron}` ({project.settings.timezone}).",
    )
    def score_by_schedule(context: dg.ScheduleEvaluationContext):
        if reason := why_not_now(context.instance, project):
            return dg.SkipReason(reason)
        champion = Records(context.instance).latest("champion_model")
        if champion is None or not champion.value("champion_version"):
            return dg.SkipReason("there is no champion yet")
        with clear_failures(project):
            try:
                periods = project.source.partitions()
            except SourceUnreachable as error:
                return dg.SkipReason(f"the source cannot be asked: {error}")
        if not periods:
            return dg.SkipReason("the source has no period yet")
        at = context.scheduled_execution_time
        tags = {STARTED_BY: "schedule"}
        return dg.RunRequest(run_key=f"score/{at.isoformat()}", partition_key=max(periods), tags=tags)

    return score_by_schedule


def build_source_sensor(project: Project, job: dg.JobDefinition) -> dg.SensorDefinition:
    """Retraining when the source has a period that is not in the data as it is there now."""
    settings, plans = project.settings, Plans(project)

    @dg.sensor(
        name="new_data",
        job=job,
        minimum_interval_seconds=settings.watch_seconds,
        default_status=_status(settings.watch_source),
        description="Asks the source for new and changed periods, and retrains with them.",
    )
    def new_data(context: dg.SensorEvaluationContext):
        with clear_failures(project):
            return with_new_data(context.instance, project, partial(plans.open, context.instance))

    return new_data


def with_new_data(
    instance: dg.DagsterInstance, project: Project, open_plan: Callable[[], Plan], now: datetime | None = None
) -> dg.RunRequest | dg.SkipReason:
    """A retraining where the source has a period that is not ingested as it is there now.

    The first one is not its to start. Raises MlopsError where the source is not as the settings and the dataset say.
    """
    if reason := why_not_now(instance, project):
        return dg.SkipReason(reason)
    if not project.settings.run_at_start and not Records(instance).all_latest("raw_data"):
        return dg.SkipReason(NOTHING_YET)
    try:
        tasks = open_plan().tasks("raw_data")
    except SourceUnreachable as error:
        return dg.SkipReason(f"the source cannot be asked: {error}")
    stale = {task.partition or "": task.reasons for task in tasks if task.stale}
    if not stale:
        return dg.SkipReason("nothing new: every period is ingested as the source has it")
    # Nothing is remembered but the event log: a period stays new until it is ingested.
    what = hashlib.sha256(json.dumps(stale, sort_keys=True).encode()).hexdigest()[:16]
    tags = {STARTED_BY: "sensor", "mlops/periods": ", ".join(stale)[:200]}
    return request_for(instance, project, f"data/{what}", tags, now)


def build_repeat_sensor(project: Project, job: dg.JobDefinition) -> dg.SensorDefinition:
    """Another try of a retraining that failed: what it left undone is not forgotten."""

    @dg.sensor(
        name="unfinished",
        job=job,
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Repeats a retraining that failed or was killed, each time after twice as long a wait.",
    )
    def unfinished(context: dg.SensorEvaluationContext):
        return again_where_unfinished(context.instance, project)

    return unfinished


def again_where_unfinished(
    instance: dg.DagsterInstance, project: Project, now: datetime | None = None
) -> dg.RunRequest | dg.SkipReason:
    """A retraining where the newest one failed, and Dagster does not try it again, or went on without periods."""
    if reason := why_not_now(instance, project):
        return dg.SkipReason(reason)
    newest = instance.get_runs(dg.RunsFilter(job_name=RETRAIN), limit=1)
    failed = bool(newest) and newest[0].status == dg.DagsterRunStatus.FAILURE
    if not failed and not (newest and periods_lost(newest[0])):
        return dg.SkipReason("the newest retraining did not fail")
    if newest[0].tags.get(WILL_RETRY_TAG) == "true" and not newest[0].tags.get(AUTO_RETRY_RUN_ID_TAG):
        return dg.SkipReason("Dagster itself is about to try it again")
    first = newest[0].tags.get(CAUSE, f"failed/{newest[0].root_run_id or newest[0].run_id}")
    return request_for(instance, project, first, {STARTED_BY: "retry"}, now)


def build_freshness_sensor(project: Project, job: dg.JobDefinition) -> dg.SensorDefinition:
    """Retraining when the champion's freshness policy fails."""

    @dg.sensor(
        name="stale_champion",
        job=job,
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Retrains when the champion is older than {project.settings.fresh_days:g} days.",
    )
    def stale_champion(context: dg.SensorEvaluationContext):
        key = dg.AssetKey("champion_model")
        record = context.instance.get_freshness_state_records([key]).get(key)
        if record is None or record.freshness_state != FreshnessState.FAIL:
            state = record.freshness_state.value if record else "not known yet"
            return dg.SkipReason(f"the champion's freshness is {state}")
        if reason := why_not_now(context.instance, project):
            return dg.SkipReason(reason)
        newest = context.instance.get_latest_materialization_event(key)
        if newest is None:
            return dg.SkipReason("there is no champion yet")
        # A lapse is known by the materialisation that grew too old.
        return request_for(
            context.instance, project, f"freshness/{newest.run_id}/{newest.timestamp}", {STARTED_BY: "freshness"}
        )

    return stale_champion


def build_first_run_sensor(project: Project, job: dg.JobDefinition) -> dg.SensorDefinition:
    """One retraining when the daemon first sees a project without a champion."""

    @dg.sensor(
        name="first_run",
        job=job,
        minimum_interval_seconds=60,
        default_status=_status(project.settings.run_at_start),
        description="Retrains once where there is no champion yet.",
    )
    def first_run(context: dg.SensorEvaluationContext):
        if context.instance.get_latest_materialization_event(dg.AssetKey("champion_model")):
            return dg.SkipReason("there is a champion")
        if reason := why_not_now(context.instance, project):
            return dg.SkipReason(reason)
        return dg.RunRequest(run_key="first", tags={STARTED_BY: "sensor"})

    return first_run


def build_scoring_sensor(project: Project, jobs: Sequence[AssetJob]) -> dg.SensorDefinition:
    """Predictions for the newest period, when its rows or the champion have changed outside a retraining."""
    plans = Plans(project)

    @dg.sensor(
        name="scoring",
        jobs=[job for job in jobs if job.name == predictions.ENTRY.job],
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Scores the newest period again when the champion has changed, by a rollback for example.",
    )
    def scoring(context: dg.SensorEvaluationContext):
        return score_newest(context.instance, project, partial(plans.open, context.instance))

    return scoring


def score_newest(
    instance: dg.DagsterInstance, project: Project, open_plan: OpenPlan, now: datetime | None = None
) -> dg.RunRequest | dg.SkipReason:
    """A run that scores the newest period that is ingested, where the champion of now has not."""
    if reason := why_not_now(instance, project):
        return dg.SkipReason(reason)
    # Periods that are ingested, not those that the source has: this needs no answer from the source.
    records = Records(instance)
    ingested, champion = dict.fromkeys(records.all_latest("raw_data"), ""), records.latest("champion_model")
    if not ingested or champion is None or not champion.value("champion_version"):
        return dg.SkipReason("there is no champion yet")
    newest = open_plan(ingested).tasks("predictions")[-1]
    if not newest.stale:
        return dg.SkipReason(f"{newest.partition} is scored by the champion")
    if any(newest.is_in(run.tags[TASK]) for run in at_work(instance)):
        return dg.SkipReason(f"{newest.partition} is being scored")
    version = champion.value("champion_version")
    cause = f"{newest.partition}/{version}/{champion.made_at.timestamp()}"
    return request_for(instance, project, cause, {STARTED_BY: "sensor", TASK: newest.name}, now, newest.partition)


def request_for(
    instance: dg.DagsterInstance,
    project: Project,
    cause: str,
    tags: dict[str, str],
    now: datetime | None = None,
    partition: str | None = None,
) -> dg.RunRequest | dg.SkipReason:
    """A start for a cause; one that came to its end and did not remove its cause doubles the wait for the next."""
    tried = instance.get_run_records(dg.RunsFilter(tags={CAUSE: cause}))
    if tried:
        runs = [record.dagster_run for record in tried]
        # A retraining that was cut off may well succeed the next time.
        killed = sum(run.job_name == RETRAIN and FINISHED not in run.tags for run in runs)
        wait = timedelta(seconds=project.settings.watch_seconds * (2 ** min(len(tried) - killed, 20) + killed))
        tried_at, now = tried[0].create_timestamp.replace(tzinfo=UTC), now or datetime.now(UTC)
        due = tried_at + min(wait, timedelta(days=1))
        if tried_at <= now < due:  # one of later than now says that the clock has been set back since
            when = f"{due:%Y-%m-%d %H:%M} UTC"
            return dg.SkipReason(f"{len(tried)} run(s) did not help; the next try is at {when}")
    return dg.RunRequest(run_key=f"{cause}/{len(tried)}", partition_key=partition, tags=tags | {CAUSE: cause})


def cron_and_status(
    setting: str, value: str, unset: str, time: Time | None = None
) -> tuple[str, dg.DefaultScheduleStatus]:
    """The cron of a schedule, and whether it is on: `off` leaves it there, with the cron `unset`, to be turned on."""
    is_off = value == "off"
    status = dg.DefaultScheduleStatus.STOPPED if is_off else dg.DefaultScheduleStatus.RUNNING
    return cron_of(setting, unset if is_off else value, time), status


def cron_of(setting: str, value: str, time: Time | None = None) -> str:
    """The cron that a setting gives, by name or as it is; raises SettingsError. `time`: whose periods there are."""
    crons = CRON | ({EACH_PERIOD: _AFTER_A_PERIOD[time.every]} if time else {})
    cron = crons.get(value, value)
    try:
        dg.ScheduleDefinition(name="any", job_name="any", cron_schedule=cron)
    except dg.DagsterInvalidDefinitionError:
        names = ", ".join(["off", *crons])
        raise SettingsError(f"{setting}: '{value}' is neither a cron such as '0 6 * * 1' nor one of {names}") from None
    return cron


def _status(on: bool) -> dg.DefaultSensorStatus:
    return dg.DefaultSensorStatus.RUNNING if on else dg.DefaultSensorStatus.STOPPED


def build_monitoring_sensor(project: Project, jobs: Sequence[AssetJob]) -> dg.SensorDefinition:
    """The newest scored period beside what came true and what was learnt, once for each time that it was scored."""
    plans = Plans(project)

    @dg.sensor(
        name="monitoring",
        job=next(job for job in jobs if job.name == MONITOR),
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Measures the newest period that was scored outside a retraining: realised error and drift.",
    )
    def monitoring(context: dg.SensorEvaluationContext):
        if reason := why_not_now(context.instance, project):
            return dg.SkipReason(reason)
        scored_periods = Records(context.instance).all_latest("predictions")
        period = max(scored_periods, default=None)
        if period is None:
            return dg.SkipReason("no period is scored yet")
        plan = plans.open(context.instance, {period: ""})  # what is ingested is measured; the source is not asked
        stale = [task for asset in MEASURED for task in plan.tasks(asset) if task.stale]
        if not stale:
            return dg.SkipReason(f"{period} is measured")
        # A period whose truth is not there yet fails: it is tried again when it has been scored again.
        run_key = f"{period}/{scored_periods[period].made_at.timestamp()}"
        return dg.RunRequest(run_key=run_key, partition_key=period, tags={STARTED_BY: "sensor"})

    return monitoring


def build_drift_sensor(project: Project, job: dg.JobDefinition) -> dg.SensorDefinition:
    """Retraining when a drift has raised the realised error beyond the promise; any other is only reported."""

    @dg.sensor(
        name="drift",
        job=job,
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Retrains when the newest period has drifted and its predictions were worse than promised.",
    )
    def drift(context: dg.SensorEvaluationContext):
        instance = context.instance
        records = Records(instance)
        period = max(records.all_latest("drift_report"), default=None)
        if period is None:
            return dg.SkipReason("no period is compared yet")
        report, performance = (
            records.latest("drift_report", period),
            records.latest("model_performance", period),
        )
        if report is None or not report.value("drifted_count"):
            return dg.SkipReason(f"nothing has drifted in {period}")
        what = f"{period}: {report.value('drifted')}"
        if performance is None:
            return dg.SkipReason(f"drift in {what}: whether errors have grown is not known yet")
        if performance.value("kept"):
            return dg.SkipReason(f"drift in {what}: errors are as promised, so it is only reported")
        built, cleaned = records.latest("training_set"), records.latest("clean_data", period)
        if built and cleaned and built.recipe.parts["data"].get(period) == cleaned.content:
            return dg.SkipReason(f"drift in {what}: the models have learnt from that period already")
        if reason := why_not_now(instance, project):
            return dg.SkipReason(reason)
        tags = {STARTED_BY: "sensor", "mlops/drift": what[:200]}
        return request_for(instance, project, f"drift/{period}/{report.content}", tags)

    return drift
