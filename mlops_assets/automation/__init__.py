"""What starts a retraining, how it goes on, and what tidies up: schedules, sensors, launchers of runs.

In: a project, and the jobs that make its assets. Out: definitions for Dagster; who hears of it is in `alerts`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg

from mlops_assets.automation.housekeeping import build_clean_schedule, build_tidying_sensor
from mlops_assets.automation.retraining import build_retraining_sensor
from mlops_assets.automation.triggers import (
    build_drift_sensor,
    build_first_run_sensor,
    build_freshness_sensor,
    build_monitoring_sensor,
    build_repeat_sensor,
    build_schedule,
    build_scoring_schedule,
    build_scoring_sensor,
    build_source_sensor,
)
from mlops_assets.project import Project

if TYPE_CHECKING:
    from mlops_assets.compat import AssetJob


def build_schedules(
    project: Project, stages: Sequence[AssetJob], retrain: dg.JobDefinition, clean: dg.JobDefinition
) -> list[dg.ScheduleDefinition]:
    """Scheduled retraining, scoring and cleaning: on where the settings ask for it, else there to be turned on."""
    return [
        build_schedule(project, retrain),
        build_scoring_schedule(project, stages),
        build_clean_schedule(project, clean),
    ]


def build_sensors(project: Project, stages: Sequence[AssetJob], retrain: dg.JobDefinition) -> list[dg.SensorDefinition]:
    """Five start a retraining, one carries it on, one scores the newest period, one measures it, one tidies up."""
    return [
        build_source_sensor(project, retrain),
        build_freshness_sensor(project, retrain),
        build_first_run_sensor(project, retrain),
        build_repeat_sensor(project, retrain),
        build_drift_sensor(project, retrain),
        build_retraining_sensor(project, stages),
        build_scoring_sensor(project, stages),
        build_monitoring_sensor(project, stages),
        build_tidying_sensor(project),
    ]
