"""`dev`: the Dagster UI with its daemon, and the MLflow UI, until one of them ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from mlops_assets.cli.tracking_server import BACKEND, ENVIRONMENT, server_command
from mlops_assets.instance import prepare_dagster_home
from mlops_assets.project import open_project
from mlops_assets.settings import project_root


def serve(port: int, mlflow_port: int) -> int:
    """Start both and wait; Ctrl-C, or the end of one, ends the other."""
    project = open_project()
    prepare_dagster_home(project)
    project.tracking.check()  # makes the database once, before two processes want it
    env = os.environ | {
        "MLOPS_DAGSTER_URL": f"http://127.0.0.1:{port}",
        "MLOPS_MLFLOW_URL": f"http://127.0.0.1:{mlflow_port}",
        **ENVIRONMENT,
        BACKEND: project.settings.tracking,
    }
    workspace = str(project_root() / "workspace.yaml")
    dagster = [sys.executable, "-m", "dagster", "dev", "-w", workspace, "-h", "127.0.0.1", "-p", str(port)]
    mlflow = server_command(project, "127.0.0.1", mlflow_port)
    print(
        f"Dagster: {env['MLOPS_DAGSTER_URL']}   MLflow: {env['MLOPS_MLFLOW_URL']}   (Ctrl-C stops both)",
        flush=True,
    )
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's `&` has it ignored, and children inherit that
    processes = [subprocess.Popen(command, env=env) for command in (dagster, mlflow)]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        while all(process.poll() is None for process in processes):
            time.sleep(0.5)
        return next(process.returncode for process in processes if process.poll() is not None)
    except KeyboardInterrupt:
        return 0
    finally:
        for process in processes:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        for process in processes:
            process.wait(30)
