"""Addresses of pages, built when they are shown: ids are stored, so that another port, host or proxy breaks no link.

A page of MLflow is kept as its path in there: `experiments/1/runs/5e4a...`, `models/shop/versions/3`.
"""

from __future__ import annotations

from urllib.parse import quote

# Metadata of an asset: the page of the MLflow run that it has made. Once it was "mlflow", a whole address.
MLFLOW_RUN = "mlflow_run"
CLASSIC = "workflowType=machine_learning"  # MLflow opens on traces of language models otherwise
_START = "#/"


def mlflow_page(ui: str, path: str = "experiments") -> str:
    """A page of the MLflow at `ui`, by its path, or by a whole address as it was kept once."""
    return f"{ui.rstrip('/')}/{_START}{path.rpartition(_START)[2]}?{CLASSIC}"


def mlflow_run_path(experiment_id: str, run_id: str) -> str:
    return f"experiments/{experiment_id}/runs/{run_id}"


def mlflow_version_path(model: str, version: int) -> str:
    return f"{mlflow_model_path(model)}/versions/{version}"


def mlflow_model_path(model: str) -> str:
    return f"models/{quote(model)}"


def dagster_run_page(ui: str, run_id: str) -> str:
    return f"{ui.rstrip('/')}/runs/{run_id}"


def dagster_asset_page(ui: str, asset: str) -> str:
    return f"{ui.rstrip('/')}/assets/{asset}"
