"""What tidies up: the job `clean_up` with its schedule, and a sensor that ends what killed runs have left open."""

from datetime import UTC, datetime

import dagster as dg

from mlops_assets.assets.memo import clear_failures
from mlops_assets.automation.retraining import ACTIVE
from mlops_assets.automation.triggers import cron_and_status
from mlops_assets.project import Project
from mlops_assets.run_tags import STARTED_BY


def build_clean_job() -> dg.JobDefinition:
    """The job, which does what `mlops-assets clean` does."""

    @dg.op(description="Removes what has outlived the days of the settings, and nothing that is still needed.")
    def remove_expired(context: dg.OpExecutionContext, project: dg.ResourceParam[Project]) -> None:
        from mlops_assets.operation.retention import expired, remove

        now = datetime.now(UTC)
        with clear_failures(project):
            kinds = expired(context.instance, project, now)
            remove(project, kinds, now)
        for kind in kinds:
            context.log.info(f"{kind.kind}: {kind.count:,} removed, {kind.size / 1e6:,.1f} MB")
        context.add_output_metadata({kind.kind: kind.count for kind in kinds})

    @dg.job(name="clean_up", description="Remove runs, trials, versions and answers that are old and not needed.")
    def clean_up() -> None:
        remove_expired()

    return clean_up


def build_clean_schedule(project: Project, job: dg.JobDefinition) -> dg.ScheduleDefinition:
    """Cleaning by cron; off unless the settings give one."""
    cron, status = cron_and_status("MLOPS_CLEAN_SCHEDULE", project.settings.clean_schedule, "weekly")
    return dg.ScheduleDefinition(
        name="clean_by_schedule",
        job=job,
        cron_schedule=cron,
        execution_timezone=project.settings.timezone,
        default_status=status,
        description=f"Removes what is old and not needed at `{cron}` ({project.settings.timezone}).",
        tags={STARTED_BY: "schedule"},
    )


def build_tidying_sensor(project: Project) -> dg.SensorDefinition:
    """Marks MLflow runs of a failed Dagster run as killed, where its process could not."""

    @dg.run_failure_sensor(
        name="tidy_mlflow",
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Ends what a killed run has left open in MLflow.",
    )
    def tidy_mlflow(context: dg.RunFailureSensorContext):
        def is_active(run_id: str) -> bool:
            run = context.instance.get_run_by_id(run_id)
            return run is not None and run.status in ACTIVE

        closed = project.tracking.close_abandoned(is_active)
        context.log.info(f"{closed} MLflow run(s) closed")

    return tidy_mlflow
