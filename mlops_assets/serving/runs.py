"""`GET /runs/{run_id}/predictions`: what a run of the job `predict` answered, page by page.

The application keeps the project as `app.state.project`.
"""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field

from mlops_assets.errors import LaunchError
from mlops_assets.project import Project
from mlops_assets.resources.artefacts.requested_predictions import RUN_ID
from mlops_assets.resources.dagster_client import LaunchClient
from mlops_assets.serving.errors import ApiError

MOST_ROWS = 10_000
ASK_SECONDS = 3.0  # that Dagster may take to say what became of a run

router = APIRouter()


class Shape(StrEnum):
    """How the answers of a page are laid out."""

    ROWS = "rows"
    COLUMNS = "columns"


class RunPredictions(BaseModel):
    """A page of a run's answers: `rows` or `columns`, as asked for."""

    run_id: str
    at: str = Field(description="When the run answered, in UTC.")
    model_version: int
    model_type: str
    unit: str
    total: int = Field(description="How many answers the run gave.")
    offset: int
    rows: list[dict[str, Any]] | None = None
    columns: dict[str, list[Any]] | None = None


@router.get("/runs/{run_id}/predictions", response_model=RunPredictions)
def predictions_of_a_run(
    request: Request,
    run_id: Annotated[str, Path(pattern=RUN_ID, description="Id of the Dagster run.")],
    offset: Annotated[int, Query(ge=0, le=2**53, description="Answers to leave out.")] = 0,
    limit: Annotated[int, Query(ge=1, le=MOST_ROWS, description="Answers to give, at most.")] = 1_000,
    shape: Annotated[Shape, Query(description="Row by row, or column by column.")] = Shape.ROWS,
) -> Response:
    """What a run of the job `predict` answered, in the order of its rows."""
    project: Project = request.app.state.project
    page = project.requested_answers.read(run_id, offset, limit)
    if page is None:
        raise _absent(project, run_id)
    content = asdict(page.about) | {"total": page.total, "offset": offset}
    content |= {"rows": page.as_rows()} if shape is Shape.ROWS else {"columns": page.columns}
    return Response(orjson.dumps(content), media_type="application/json")


def _absent(project: Project, run_id: str) -> ApiError:
    """Why a run has no answers: it is under way, it failed, or nobody knows it."""
    unknown = ApiError(404, "not_found", "no run with this id has left predictions")
    try:
        run = LaunchClient(project.settings.launch_url, timeout=ASK_SECONDS).find(run_id)
    except LaunchError:  # Dagster need not be up for answers to be read
        return unknown
    if run is None:
        return unknown
    if not run.ended:
        return ApiError(409, "not_finished", f"the run is {run.status.lower()}: ask again when it has ended")
    ended = f"it is a run of {run.job_name} and ended with {run.status.lower()}"
    return ApiError(404, "not_found", f"the run has left no predictions: {ended}")
