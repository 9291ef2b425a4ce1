"""One retraining at a time, whoever started it."""

from __future__ import annotations

import dagster as dg

from mlops_assets.project import Project

RETRAIN = "retrain"
STARTED_BY = "mlops/started_by"
RETRAINING = "mlops/retraining"  # on every run of a retraining: the run id of the job `retrain` that it belongs to
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
    runs = instance.get_runs(dg.RunsFilter(job_name=RETRAIN, statuses=ACTIVE))
    runs += instance.get_runs(dg.RunsFilter(tags={STARTED_BY: "cli"}, statuses=ACTIVE))
    return runs[-1] if runs else None


def why_not_now(instance: dg.DagsterInstance, project: Project) -> str | None:
    """The reason to skip a start, with a link to the retraining that is in the way; None where there is none."""
    run = active_retraining(instance)
    if run is None:
        return None
    starter = run.tags.get(STARTED_BY, "manual")
    return f"a retraining started by {starter} is {run.status.value.lower()}: {run_url(project, run.run_id)}"


def run_url(project: Project, run_id: str) -> str:
    return f"{project.settings.dagster_url.rstrip('/')}/runs/{run_id}"
