"""What dashboards show of the code location: read from its definitions, which dashboards themselves must not import."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_assets.dashboards.catalogue import Automation, Catalogue
from mlops_assets.definitions import build_definitions
from mlops_assets.project import Project

if TYPE_CHECKING:
    import dagster as dg


def read_catalogue(project: Project) -> Catalogue:
    """The jobs, checks, schedules, sensors and freshness policies of a project."""
    definitions = build_definitions(project)
    graph = definitions.resolve_asset_graph()
    repository = definitions.get_repository_def()
    nodes = {key.to_user_string(): graph.get(key) for key in graph.toposorted_asset_keys}
    policies = {name: node.freshness_policy for name, node in nodes.items()}
    return Catalogue(
        jobs={job.name: _assets_of(job) for job in definitions.resolve_all_job_defs() if not job.name.startswith("__")},
        groups={name: node.group_name for name, node in nodes.items()},
        checks=tuple((key.asset_key.to_user_string(), key.name) for key in sorted(graph.asset_check_keys)),
        automations=(
            *(Automation(s.name, s.cron_schedule, s.execution_timezone) for s in repository.schedule_defs),
            *(Automation(s.name, seconds=s.minimum_interval_seconds) for s in repository.sensor_defs),
        ),
        fresh_days={name: _days(policy) for name, policy in policies.items() if policy},
    )


def _assets_of(job: dg.JobDefinition) -> tuple[str, ...]:
    return tuple(sorted(key.to_user_string() for key in job.asset_layer.selected_asset_keys))


def _days(policy: dg.FreshnessPolicy) -> tuple[float | None, float]:
    """Days after which an asset with this policy warns and fails."""
    warn = policy.warn_window.to_timedelta().total_seconds() / 86_400 if policy.warn_window else None
    return warn, policy.fail_window.to_timedelta().total_seconds() / 86_400
