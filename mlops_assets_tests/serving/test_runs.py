"""`GET /runs/{run_id}/predictions`: pages of what a run has left. Runs that Dagster knows are in test_launch_api.py."""

from uuid import uuid4

import numpy as np
import pytest

from mlops_assets.core.model.answers import Answers
from mlops_assets.resources.artefacts.requested_predictions import About
from mlops_assets_tests.serving.served import serving

ID = "5c1b7450-8240-4822-8c39-6ae67062c0fe"


@pytest.fixture(scope="module")
def served(copy_shop):
    """A server of a shop of their own: they put answers there."""
    with serving(copy_shop()) as served:
        yield served


@pytest.fixture(scope="module")
def run_id(served):
    """A run that has left five answers."""
    run_id, n = str(uuid4()), np.arange(5.0)
    about = About(run_id, "2026-03-01T12:00:00+00:00", 2, "Ridge", "euros")
    columns = {"zone": n, "size": np.where(n == 1, np.nan, n)}
    answers = Answers(n * 10, np.full(5, np.nan), n * 10 + 1, {"size": n > 3}, {})
    served.project.requested_answers.write(about, [(columns, answers)])
    return run_id


def test_a_page_has_the_answers_row_by_row_and_what_holds_for_all(served, run_id):
    answer = served.client.get(f"/runs/{run_id}/predictions", params={"offset": 1, "limit": 2})
    assert answer.status_code == 200
    page = answer.json()
    rows = page.pop("rows")
    assert page == {
        "run_id": run_id,
        "at": "2026-03-01T12:00:00+00:00",
        "model_version": 2,
        "model_type": "Ridge",
        "unit": "euros",
        "total": 5,
        "offset": 1,
    }
    first = {"row": 1, "inputs": {"zone": 1.0, "size": None}, "prediction": 10.0, "low": None, "high": 11.0}
    assert rows[0] == first | {"out_of_range": [], "unseen": [], "missing": []}
    assert [row["row"] for row in rows] == [1, 2]


def test_a_page_may_be_laid_out_column_by_column(served, run_id):
    page = served.client.get(f"/runs/{run_id}/predictions", params={"shape": "columns"}).json()
    assert "rows" not in page
    assert page["columns"]["prediction"] == [0, 10, 20, 30, 40]
    assert page["columns"]["out_of_range"] == [[], [], [], [], ["size"]]


def test_a_page_past_the_end_is_empty(served, run_id):
    page = served.client.get(f"/runs/{run_id}/predictions", params={"offset": 5}).json()
    assert (page["rows"], page["total"]) == ([], 5)


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("nonsense", "run_id"),
        ("..%2F..%2Fshop", "run_id"),
        (f"{ID}.parquet", "run_id"),
        (ID.upper(), "run_id"),
        (f"{ID}%00", "run_id"),
        (f"{ID}%0A", "run_id"),
    ],
)
def test_what_is_no_run_id_is_refused(served, path, field):
    error = served.error("GET", f"/runs/{path}/predictions")
    assert error["status"] in (404, 422)
    assert error["status"] == 404 or error["field"] == field


@pytest.mark.parametrize(
    "params", [{"offset": -1}, {"limit": 0}, {"limit": 10_001}, {"offset": "x"}, {"shape": "arrow"}, {"offset": 1e300}]
)
def test_a_page_that_cannot_be_is_refused_by_the_name_of_its_parameter(served, run_id, params):
    error = served.error("GET", f"/runs/{run_id}/predictions", params=params)
    assert (error["status"], error["field"]) == (422, *params)[:2]


def test_a_run_that_nobody_can_tell_of_is_not_found(served):
    """No Dagster answers at the address of the settings."""
    error = served.error("GET", f"/runs/{uuid4()}/predictions")
    assert (error["status"], error["code"]) == (404, "not_found")
    assert error["message"] == "no run with this id has left predictions"


def test_the_endpoint_is_described(served):
    described = served.client.get("/openapi.json").json()["paths"]["/runs/{run_id}/predictions"]["get"]
    assert [parameter["name"] for parameter in described["parameters"]] == ["run_id", "offset", "limit", "shape"]
