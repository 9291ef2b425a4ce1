"""The Dagster UI as a person uses it: buttons with their default config, and what the pages then say."""

import re

import pytest
import requests

from mlops_assets.addresses import mlflow_page
from mlops_assets.resources.dagster_client import LOCATION, REPOSITORY
from mlops_assets.run_tags import STARTED_BY
from mlops_assets_tests.browser import needs_browser, open_page, open_uis

pytestmark = needs_browser

ASSETS = ("raw_data", "clean_data", "training_set", "hyperparameters", "sklearn_model", "champion_model", "predictions")
GROUPS = ("data_preparation", "training", "champion", "prediction")


@pytest.fixture(scope="module")
def uis(copy_shop):
    """The UIs on a home in which everything was made."""
    home = copy_shop()
    with open_uis(home.env, home.folder / "dev.log") as uis:
        yield uis


@pytest.fixture(scope="module")
def page(uis):
    """The one page of these tests, which compiles the UI's scripts once; Playwright has no second browser beside it."""
    with open_page() as page:
        yield page


def succeed(page):
    """Follow the note that a run was launched, until the run has succeeded."""
    page.get_by_text("Launched run").wait_for()
    page.get_by_text("View", exact=True).last.click()
    page.wait_for_url("**/runs/*")
    page.get_by_text("RUN_SUCCESS", exact=True).wait_for()


def metadata(page, key):
    """The text of a metadata row of the page."""
    return page.get_by_role("row").filter(has=page.get_by_text(key, exact=True)).last.inner_text()


def test_the_graph_shows_every_asset_as_made_and_its_checks_as_passed(uis, page):
    size = page.viewport_size
    page.set_viewport_size({"width": 3400, "height": 1000})  # wide enough for the graph to show details
    page.goto(f"{uis.dagster}/asset-groups?expanded={','.join(f'global@global:{group}' for group in GROUPS)}")
    for asset in ASSETS:
        node = page.locator("foreignObject").filter(has_text=re.compile(f"^{asset}Latest event"))
        node.filter(has_text=re.compile(r"Materialized|[1-9]\d*% filled")).wait_for(state="attached")
    for checks in ("7 / 7 Passed", "3 / 3 Passed"):
        page.get_by_text(checks).first.wait_for(state="attached")
    assert page.get_by_role("dialog").count() == 0
    page.set_viewport_size(size)


def test_runs_of_the_terminal_stand_on_the_timeline_and_with_their_job_and_say_who_launched_them(uis, page):
    asked = """query Timeline($since: Float!) {
      repositoriesOrError { ... on RepositoryConnection { nodes { pipelines { name runs(limit: 5) { runId } } } } }
      runsOrError(filter: {updatedAfter: $since}) {
        ... on Runs { results { jobName tags { key } repositoryOrigin { repositoryName repositoryLocationName } } }
      }
    }"""
    body = {"query": asked, "variables": {"since": 0.0}}
    answer = requests.post(f"{uis.dagster}/graphql", json=body, timeout=60).json()["data"]
    runs = answer["runsOrError"]["results"]
    assert {run["jobName"] for run in runs} >= {"ingest", "tune", "promote"}
    origin = {"repositoryName": REPOSITORY, "repositoryLocationName": LOCATION}
    assert all(run["repositoryOrigin"] == origin for run in runs)
    (repository,) = answer["repositoriesOrError"]["nodes"]
    assert {job["name"] for job in repository["pipelines"] if job["runs"]} >= {"ingest", "tune", "promote"}
    page.goto(f"{uis.dagster}/overview/activity/timeline")
    page.get_by_role("link", name="build_training_set").wait_for()
    page.goto(f"{uis.dagster}/runs")
    page.get_by_text("Success").first.wait_for()
    by_hand = [run for run in runs if STARTED_BY not in [tag["key"] for tag in run["tags"]]]
    assert page.get_by_text("Manually launched").count() == len(by_hand)
    assert page.get_by_text("cli", exact=True).count() > 3


def test_an_asset_is_materialised_by_its_button_and_says_that_nothing_changed(uis, page):
    address = f"{uis.dagster}/assets/training_set"
    page.goto(address)
    page.get_by_role("button", name="Materialize").first.click()
    succeed(page)
    page.goto(address)
    page.get_by_text("nothing changed since").first.wait_for()
    assert "false" in metadata(page, "recomputed")


def test_a_partition_is_materialised_by_its_button(uis, page):
    address = f"{uis.dagster}/assets/hyperparameters?view=partitions&partition=Ridge"
    page.goto(address)
    page.get_by_role("button", name="Materialize").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Launch 1 run").click()
    succeed(page)
    page.goto(address)
    page.get_by_text("nothing changed since").first.wait_for()
    assert "false" in metadata(page, "recomputed")


def test_metadata_show_the_leaderboard_and_a_plot(uis, page):
    page.goto(f"{uis.dagster}/assets/champion_model")
    page.get_by_text("validation RMSE").first.wait_for()
    row = page.get_by_role("row").filter(has=page.get_by_text("leaderboard_plot", exact=True))
    row.last.get_by_text("Show Markdown").click()
    image = page.get_by_role("dialog").locator("img[src^='data:image']")
    image.wait_for()
    assert image.evaluate("image => image.naturalWidth") > 100


def test_a_search_names_its_run_in_mlflow(uis, page):
    page.goto(f"{uis.dagster}/assets/hyperparameters?view=partitions&partition=Ridge")
    path = page.get_by_text(re.compile(r"^experiments/\d+/runs/\w+$")).first.inner_text()
    page.goto(mlflow_page(uis.mlflow, path))
    page.get_by_text("tune Ridge").first.wait_for()


def test_the_dashboards_beside_them_lead_to_the_same_runs(uis, page):
    page.goto(f"{uis.server}/dashboards/?board=data-preparation")
    page.get_by_role("link", name="raw_data").first.wait_for()
    assert page.get_by_role("link", name="raw_data").first.get_attribute("href").startswith(f"{uis.dagster}/runs/")


def test_the_servers_said_nothing_of_an_error(uis, page):
    said = uis.log.read_text()
    assert "Traceback" not in said
    assert "ERROR" not in said
