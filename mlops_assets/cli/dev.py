"""`dev`: the Dagster UI with its daemon, the MLflow UI, and the server with form and dashboards, until one ends.

`mlflow`: the MLflow UI and API alone.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from mlops_assets.errors import SettingsError
from mlops_assets.instance import prepare_dagster_home
from mlops_assets.project import Project, open_project
from mlops_assets.resources.mlflow.connection import connect
from mlops_assets.settings import project_root

MAIN = "from mlops_assets.cli import main; main()"
# Not an argument, which others see: it may hold a password.
BACKEND = "MLFLOW_BACKEND_STORE_URI"
ENVIRONMENT = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # eight processes that nothing here asks for


def serve(port: int, mlflow_port: int, serve_port: int | None) -> int:
    """Start all three and wait; Ctrl-C, or the end of one, ends the others."""
    project = open_project()
    prepare_dagster_home(project)
    project.tracking.check()  # makes the database once, before several processes want it
    serve_port = project.settings.serve_port if serve_port is None else serve_port
    env = os.environ | {
        "MLOPS_SERVE_URL": f"http://127.0.0.1:{serve_port}",
        "MLOPS_DAGSTER_URL": f"http://127.0.0.1:{port}",
        "MLOPS_MLFLOW_URL": f"http://127.0.0.1:{mlflow_port}",
        **ENVIRONMENT,
        BACKEND: project.settings.tracking,
    }
    workspace = str(project_root() / "workspace.yaml")
    dagster = [sys.executable, "-m", "dagster", "dev", "-w", workspace, "-h", "127.0.0.1", "-p", str(port)]
    mlflow = server_command(project, "127.0.0.1", mlflow_port)
    server = [sys.executable, "-c", MAIN, "serve", "--host", "127.0.0.1", "--port", str(serve_port)]
    print(f"Dagster: {env['MLOPS_DAGSTER_URL']}   MLflow: {env['MLOPS_MLFLOW_URL']}", flush=True)
    print(f"Form and dashboards: {env['MLOPS_SERVE_URL']}/dashboards/   (Ctrl-C stops all)", flush=True)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's `&` has it ignored, and children inherit that
    ends = {subprocess.Popen(command, env=env): signal.SIGINT for command in (dagster, mlflow)}
    ends[subprocess.Popen(server, env=env)] = signal.SIGTERM  # a second SIGINT, after the terminal's, would hurry it
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        while all(process.poll() is None for process in ends):
            time.sleep(0.5)
        return next(process.returncode for process in ends if process.poll() is not None)
    except KeyboardInterrupt:
        return 0
    finally:
        for process, end in ends.items():
            if process.poll() is None:
                process.send_signal(end)
        for process in ends:
            process.wait(30)


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


def server_command(project: Project, host: str, port: int) -> list[str]:
    command = [sys.executable, "-m", "mlflow", "server", "--host", host, "--port", str(port), "--workers", "1"]
    return [*command, "--artifacts-destination", project.settings.artefacts_url]
