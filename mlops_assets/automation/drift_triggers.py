"""What follows from drift: a scored month is measured, and a drift that costs accuracy starts a retraining."""

from __future__ import annotations

import dagster as dg

from mlops_assets.assets.plan import Plan
from mlops_assets.assets.records import latest, materialised
from mlops_assets.automation.guards import STARTED_BY, why_not_now
from mlops_assets.automation.triggers import request_for
from mlops_assets.jobs import MEASURED, MONITOR
from mlops_assets.project import Project


def build_monitoring_sensor(project: Project, jobs: list) -> dg.SensorDefinition:
    """The newest scored month beside what came true and what was learnt, once for each time that it was scored."""

    @dg.sensor(
        name="monitoring",
        job=next(job for job in jobs if job.name == MONITOR),
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Measures the newest month that was scored outside a retraining: realised error and drift.",
    )
    def monitoring(context: dg.SensorEvaluationContext):
        if reason := why_not_now(context.instance, project):
            return dg.SkipReason(reason)
        month = max(materialised(context.instance, "predictions"), default=None)
        if month is None:
            return dg.SkipReason("no month is scored yet")
        plan = Plan(context.instance, project, {month: ""})  # what is ingested is measured; the source is not asked
        stale = [task for asset in MEASURED for task in plan.tasks(asset) if task.stale]
        if not stale:
            return dg.SkipReason(f"{month} is measured")
        # A month whose truth is not there yet fails: it is tried again when it has been scored again.
        scored = latest(context.instance, "predictions", month)
        run_key = f"{month}/{scored.made_at.timestamp()}"
        return dg.RunRequest(run_key=run_key, partition_key=month, tags={STARTED_BY: "sensor"})

    return monitoring


def build_drift_sensor(project: Project, job: dg.JobDefinition) -> dg.SensorDefinition:
    """Retraining when a drift has raised the realised error beyond the promise; any other is only reported."""

    @dg.sensor(
        name="drift",
        job=job,
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Retrains when the newest month has drifted and its predictions were worse than promised.",
    )
    def drift(context: dg.SensorEvaluationContext):
        instance = context.instance
        month = max(materialised(instance, "drift_report"), default=None)
        if month is None:
            return dg.SkipReason("no month is compared yet")
        report, performance = latest(instance, "drift_report", month), latest(instance, "model_performance", month)
        if not report.value("drifted_count"):
            return dg.SkipReason(f"nothing has drifted in {month}")
        what = f"{month}: {report.value('drifted')}"
        if performance is None:
            return dg.SkipReason(f"drift in {what}: whether errors have grown is not known yet")
        if performance.value("kept"):
            return dg.SkipReason(f"drift in {what}: errors are as promised, so it is only reported")
        built, cleaned = latest(instance, "training_set"), latest(instance, "clean_data", month)
        if built and built.recipe.parts["data"].get(month) == cleaned.content:
            return dg.SkipReason(f"drift in {what}: the models have learnt from that month already")
        if reason := why_not_now(instance, project):
            return dg.SkipReason(reason)
        tags = {STARTED_BY: "sensor", "mlops/drift": what[:200]}
        return request_for(context, project, f"drift/{month}/{report.content}", tags)

    return drift
