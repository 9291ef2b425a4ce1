"""`mlflow`: MLflow's own server on the database that the settings name."""

from __future__ import annotations

import os
import sys

from mlops_assets.errors import SettingsError
from mlops_assets.project import Project, open_project
from mlops_assets.resources.mlflow_connection import connect

# Not an argument, which others see: it may hold a password.
BACKEND = "MLFLOW_BACKEND_STORE_URI"
ENVIRONMENT = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # eight processes that nothing here asks for


def server_command(project: Project, host: str, port: int) -> list[str]:
    command = [sys.executable, "-m", "mlflow", "server", "--host", host, "--port", str(port), "--workers", "1"]
    return [*command, "--artifacts-destination", project.settings.artefacts_url]


def serve_tracking(host: str, port: int) -> None:
    """Become the server. Raises SettingsError where the settings name another one, TrackingError without a database."""
    project = open_project()
    uri = project.settings.tracking
    if uri.startswith(("http:", "https:")):
        raise SettingsError(
            "MLOPS_TRACKING_URI names a server: leave it out here, and this one keeps its runs in MLOPS_DATABASE_URL"
        )
    connect(uri)  # makes the tables; the experiment is left to who asks the server, which then keeps its artefacts
    os.environ.update(ENVIRONMENT | {BACKEND: uri})
    command = server_command(project, host, port)
    os.execv(command[0], command)
