"""Everything is wired here, and nothing else. Dagster loads `defs`."""

import warnings

import dagster as dg

from mlops_assets.alerts.sensor import build_alert_sensor
from mlops_assets.assets.backtest_report import backtest_asset, backtest_job
from mlops_assets.assets.jobs import build_jobs
from mlops_assets.assets.registry import asset_graph
from mlops_assets.assets.requested_predictions import build_predict_job, requested_predictions
from mlops_assets.automation import build_schedules, build_sensors
from mlops_assets.automation.housekeeping import build_clean_job
from mlops_assets.automation.retrain_job import build_retrain_job
from mlops_assets.logs import tell_all_that_steps_print, tell_runs_in_json
from mlops_assets.project import Project, open_project
from mlops_assets.resources.progress import LogProgress, Progress


def build_definitions(project: Project, progress: Progress | None = None) -> dg.Definitions:
    """The code location of a project; `progress` hears how long assets come along."""
    # Dagster itself hands on a parameter in beta whenever it makes a sensor.
    warnings.filterwarnings("ignore", "Parameter `owners`", category=dg.BetaWarning)
    graph = asset_graph(project)
    stages, retrain, clean = build_jobs(graph), build_retrain_job(project), build_clean_job()
    alerts = build_alert_sensor(project)
    return dg.Definitions(
        assets=[*graph.definitions, backtest_asset(project), requested_predictions(project)],
        jobs=[*stages, retrain, build_predict_job(project), backtest_job(), clean],
        schedules=build_schedules(project, stages, retrain, clean),
        sensors=[*build_sensors(project, stages, retrain), *([alerts] if alerts else [])],
        resources={
            "project": project,
            "progress": progress or LogProgress(),
        },
        # A process for each step costs seconds here; parallel work comes from runs side by side.
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    tell_all_that_steps_print()
    project = open_project()
    if project.settings.log_format == "json":
        tell_runs_in_json()
    return build_definitions(project)
