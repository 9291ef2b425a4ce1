"""What a daemon and its code server cost that have nothing to do, beside those of an empty project."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks.daemon import BEFORE, learnt
from benchmarks.places import Places
from benchmarks.results import Figure, Report
from benchmarks.site import cpu_seconds

SETTLED, IDLE = 90, 300  # seconds until the first looks are over, and seconds that are measured
EMPTY = """import dagster as dg

@dg.asset
def one() -> None: ...

defs = dg.Definitions(assets=[one])
"""
RESTING = Figure(
    "a daemon with all sensors at the defaults, and nothing to do",
    "at most 2 % of a core",
    f"CPU of the daemon and of a code server that lasts, as under `make dev` and in docs/deployment.md, in {IDLE} s; "
    "beside it an empty project of one asset, without sensors, in Dagster's own storage",
)


def measure(places: Places) -> Report:
    if len(places.months) < BEFORE:
        return Report([RESTING.absent()])
    with tempfile.TemporaryDirectory() as folder:
        empty = _empty_project(Path(folder))
        floor = _share(Path(folder), "empty", empty)
    with learnt(places) as site:
        ours = _share(site.root, "mlops_assets.definitions", site.env | {"MLOPS_WATCH_SECONDS": ""})
    return Report([RESTING.measured(f"{ours:.1%}; an empty project {floor:.1%}", ours <= 0.02)])


def _empty_project(folder: Path) -> Mapping[str, str]:
    (folder / "empty.py").write_text(EMPTY, encoding="utf-8")
    (folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    return os.environ | {"DAGSTER_HOME": str(folder), "PYTHONPATH": str(folder)}


def _share(folder: Path, module: str, env: Mapping[str, str]) -> float:
    """The share of a core that the services of a module take once they have settled."""
    socket, workspace = folder / "socket", folder / "apart.yaml"
    workspace.write_text(
        f"load_from: [{{grpc_server: {{socket: {socket}, location_name: mlops}}}}]\n", encoding="utf-8"
    )
    code = ["dagster", "api", "grpc", "--socket", str(socket), "-m", module, "-a", "defs"]
    services = [_start(folder, env, *code)]
    try:
        while not socket.exists():
            time.sleep(1)
        services.append(_start(folder, env, "dagster._daemon", "run", "-w", str(workspace)))
        time.sleep(SETTLED)
        before = sum(cpu_seconds(service.pid) for service in services)
        time.sleep(IDLE)
        return (sum(cpu_seconds(service.pid) for service in services) - before) / IDLE
    finally:
        for service in services:
            os.killpg(service.pid, signal.SIGTERM)
            service.wait(60)


def _start(folder: Path, env: Mapping[str, str], *module: str) -> subprocess.Popen[bytes]:
    with (folder / "services.log").open("ab") as log:
        command = [sys.executable, "-m", *module]
        return subprocess.Popen(command, env=env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
