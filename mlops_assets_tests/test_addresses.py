"""Addresses of pages: built from what is stored and where the pages are now."""

from mlops_assets.addresses import (
    dagster_run_page,
    mlflow_model_path,
    mlflow_page,
    mlflow_run_path,
    mlflow_version_path,
)

CLASSIC = "?workflowType=machine_learning"


def test_a_page_of_mlflow_opens_on_classic_experiments_wherever_it_is_served():
    path = mlflow_run_path("1", "5e4a")
    assert path == "experiments/1/runs/5e4a"
    assert mlflow_page("http://a:1/", path) == f"http://a:1/#/experiments/1/runs/5e4a{CLASSIC}"
    assert mlflow_page("https://b/mlflow") == f"https://b/mlflow/#/experiments{CLASSIC}"


def test_an_address_that_was_kept_whole_leads_to_where_the_page_is_now():
    kept = "http://127.0.0.1:5001/#/experiments/1/runs/5e4a"
    assert mlflow_page("http://a:1", kept) == mlflow_page("http://a:1", "experiments/1/runs/5e4a")


def test_names_are_quoted():
    assert mlflow_model_path("a b") == "models/a%20b"
    assert mlflow_version_path("a/b", 3) == "models/a/b/versions/3"
    assert dagster_run_page("http://d/", "r") == "http://d/runs/r"
