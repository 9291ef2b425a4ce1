"""After a run has failed or was killed, nothing of it stays open in MLflow."""

import dagster as dg

from mlops_assets.automation.guards import ACTIVE
from mlops_assets.project import Project


def build_tidying_sensor(project: Project) -> dg.SensorDefinition:
    """Marks MLflow runs of a failed Dagster run as killed, where its process could not."""

    @dg.run_failure_sensor(
        name="tidy_mlflow",
        minimum_interval_seconds=10,
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
