"""Everything is wired here, and nothing else. Dagster loads `defs`."""

import dagster as dg

from mlops_assets.assets import build_assets
from mlops_assets.jobs import build_jobs
from mlops_assets.project import Project, open_project
from mlops_assets.resources.progress import LogProgress, Progress


def build_definitions(project: Project, progress: Progress | None = None) -> dg.Definitions:
    """The code location of a project; `progress` hears how long assets come along."""
    return dg.Definitions(
        assets=build_assets(project),
        jobs=build_jobs(project),
        resources={"project": project, "progress": progress or LogProgress()},
        # A process for each step costs seconds here; parallel work comes from runs side by side.
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    return build_definitions(open_project())
