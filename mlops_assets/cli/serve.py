"""`serve`: predictions, form and dashboards over HTTP; `new-key`: a key for it."""

from __future__ import annotations

import os
import secrets
from contextlib import ExitStack
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from mlops_assets.dashboards.catalogue import Automation, Catalogue
from mlops_assets.definitions import build_definitions
from mlops_assets.project import Project

if TYPE_CHECKING:
    import dagster as dg
    from dash import Dash

    from mlops_assets.dashboards.sources.serving import Sampler


# A call of the model takes one thread: parallel work comes from requests and chunks side by side, which would
# otherwise fight over the cores. Read when the libraries are loaded, so set before.
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def serve_predictions(host: str | None, port: int | None) -> None:
    for name in ONE_THREAD:
        os.environ.setdefault(name, "1")
    from mlops_assets.project import open_project

    project = open_project()
    settings = project.settings
    with ExitStack() as stack:
        if settings.serve_workers > 1:  # read when Prometheus's library is loaded, so set before
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = stack.enter_context(TemporaryDirectory())
        from mlops_assets.serving.server import serve

        def open_dashboards(sampler: Sampler) -> Dash:
            """Read what is defined and open Dagster's stores; closed when the server ends."""
            from mlops_assets.dashboards import app, context
            from mlops_assets.instance import open_instance

            catalogue = read_catalogue(project)
            instance = stack.enter_context(open_instance(project))
            return app.build_app(context.open_dashboards(project, instance, catalogue, sampler))

        serve(project, host or settings.serve_host, settings.serve_port if port is None else port, open_dashboards)


def print_new_key() -> None:
    from mlops_assets.serving.keys import hash_of

    key = secrets.token_urlsafe(32)
    print(f"key, for the caller:      {key}")
    print(f"hash, for MLOPS_API_KEYS: {hash_of(key)}")


def read_catalogue(project: Project) -> Catalogue:
    """The jobs, checks, schedules, sensors and freshness policies of a project."""
    definitions = build_definitions(project)
    graph = definitions.resolve_asset_graph()
    repository = definitions.get_repository_def()
    nodes = {key.to_user_string(): graph.get(key) for key in graph.toposorted_asset_keys}
    limits = project.settings.warn_after_days, project.settings.fresh_days
    return Catalogue(
        jobs={job.name: _assets_of(job) for job in definitions.resolve_all_job_defs() if not job.name.startswith("__")},
        groups={name: node.group_name for name, node in nodes.items()},
        checks=tuple((key.asset_key.to_user_string(), key.name) for key in sorted(graph.asset_check_keys)),
        automations=(
            *(Automation(s.name, _cron(s), s.execution_timezone) for s in repository.schedule_defs),
            *(Automation(s.name, seconds=s.minimum_interval_seconds) for s in repository.sensor_defs),
        ),
        fresh_days={name: limits for name, node in nodes.items() if node.freshness_policy},
    )


def _assets_of(job: dg.JobDefinition) -> tuple[str, ...]:
    return tuple(sorted(key.to_user_string() for key in job.asset_layer.selected_asset_keys))


def _cron(schedule: dg.ScheduleDefinition) -> str:
    """One cron, or several as Dagster takes them."""
    cron = schedule.cron_schedule
    return cron if isinstance(cron, str) else ", ".join(cron)
