"""`dev`: the Dagster UI with its daemon, the MLflow UI, and the server with form and dashboards, until one ends.

`mlflow`: the MLflow UI and API alone.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import IO, NoReturn, TypeAlias

from mlops_assets.addresses import mlflow_page
from mlops_assets.errors import SettingsError
from mlops_assets.instance import open_instance, prepare_dagster_home
from mlops_assets.project import Project, open_project
from mlops_assets.resources.mlflow.connection import connect
from mlops_assets.settings import project_root

MAIN = "from mlops_assets.cli import main; main()"
# Not an argument, which others see: it may hold a password.
BACKEND = "MLFLOW_BACKEND_STORE_URI"
# For services to stop by themselves, then for what they have started, and then for what is killed: 5 s with the rest.
ASKED_SECONDS, TOLD_SECONDS, KILLED_SECONDS = 1.5, 1.0, 1.0
Service: TypeAlias = tuple[Sequence[str], signal.Signals]  # a command, and the signal that ends it


def serve_and_leave(port: int, mlflow_port: int, serve_port: int | None, *, verbose: bool) -> NoReturn:
    """Serve, and end this process at once: what it has imported takes seconds to be taken down one by one."""
    code = serve(port, mlflow_port, serve_port, verbose=verbose)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def serve(port: int, mlflow_port: int, serve_port: int | None, *, verbose: bool) -> int:
    """Start all three and wait; Ctrl-C, or the end of one, ends the others with all that they have started.

    What they say goes to a file, or with `verbose` to the terminal.
    """
    project = open_project()
    prepare_dagster_home(project)
    project.tracking.check()  # makes the database once, before several processes want it
    serve_port = project.settings.serve_port if serve_port is None else serve_port
    env = os.environ | {
        "MLOPS_SERVE_URL": f"http://127.0.0.1:{serve_port}",
        "MLOPS_DAGSTER_URL": f"http://127.0.0.1:{port}",
        "MLOPS_MLFLOW_URL": f"http://127.0.0.1:{mlflow_port}",
        BACKEND: project.settings.tracking,
    }
    workspace = str(project_root() / "workspace.yaml")
    dagster = [sys.executable, "-m", "dagster", "dev", "-w", workspace, "-h", "127.0.0.1", "-p", str(port)]
    mlflow = server_command(project, "127.0.0.1", mlflow_port)
    server = [sys.executable, "-c", MAIN, "serve", "--host", "127.0.0.1", "--port", str(serve_port)]
    links = {
        "Form": env["MLOPS_SERVE_URL"],
        "Dashboards": f"{env['MLOPS_SERVE_URL']}/dashboards/",
        "Dagster": env["MLOPS_DAGSTER_URL"],
        "MLflow": mlflow_page(env["MLOPS_MLFLOW_URL"]),
    }
    services = [
        (dagster, signal.SIGINT),
        (mlflow, signal.SIGINT),
        (server, signal.SIGTERM),
    ]
    if verbose:
        for name, address in links.items():
            print(f"{name}: {address}", flush=True)
        return wait_for_the_end(services, env)
    return _serve_quietly(project, services, env, links)


def _serve_quietly(
    project: Project, services: Sequence[Service], env: Mapping[str, str], links: Mapping[str, str]
) -> int:
    from rich.console import Console

    from mlops_assets.cli.dev_screen import DevScreen, RunNews, last_lines

    log, console = project.home / "dev.log", Console()
    with (
        log.open("w", encoding="utf-8") as out,
        open_instance(project) as instance,
        DevScreen(console, links, RunNews(instance, env["MLOPS_DAGSTER_URL"]), log) as screen,
    ):
        code = wait_for_the_end(services, env, screen.look, out)
    if code:
        console.print(last_lines(log), markup=False, highlight=False, soft_wrap=True)
        console.print(f"One of the servers has ended by itself; all that they said is in {log}", soft_wrap=True)
    return code


def wait_for_the_end(
    services: Sequence[Service], env: Mapping[str, str], look: Callable[[], None] = lambda: None, out: IO | None = None
) -> int:
    """Start commands, each with the signal that ends it, and wait; the exit code of the first that ends by itself.

    `look` is called several times a second; `out` gets what the commands print, in place of the terminal.
    SIGINT, SIGTERM and SIGHUP end all with 0. None of them, nor of their children, is left: a code server would wait
    for its runs, and a run for nobody.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # a shell's `&` has SIGINT ignored, for children too
        signal.signal(number, _stop)
    started: dict[subprocess.Popen[bytes], signal.Signals] = {}
    try:
        for command, end in services:
            # In a session of its own it has a group of its own, and hears of Ctrl-C from here alone.
            process = subprocess.Popen(command, env=env, start_new_session=True, stdout=out, stderr=out)
            started[process] = end
        while all(process.poll() is None for process in started):
            look()
            time.sleep(0.2)
        return next(process.returncode for process in started if process.poll() is not None)
    except _Stopped:
        return 0
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        _end(started)


class _Stopped(BaseException):
    """The process was told to stop."""


def _stop(*_: object) -> None:
    raise _Stopped


def _end(started: Mapping[subprocess.Popen[bytes], signal.Signals]) -> None:
    """Ask the processes, then what is left of their groups, then insist."""
    for process, end in started.items():
        process.send_signal(end)
    _wait_while(started, lambda process: process.poll() is None, ASKED_SECONDS)
    for number, seconds in ((signal.SIGTERM, TOLD_SECONDS), (signal.SIGKILL, KILLED_SECONDS)):
        for process in started:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
        _wait_while(started, lambda process: process.poll() is None or _has_members(process.pid), seconds)


def _wait_while(
    started: Iterable[subprocess.Popen[bytes]], going_on: Callable[[subprocess.Popen[bytes]], bool], seconds: float
) -> None:
    """Wait until that is true of no process, for so many seconds at most."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and any(going_on(process) for process in started):
        time.sleep(0.05)


def _has_members(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def serve_tracking(host: str, port: int) -> None:
    """Become the server. Raises SettingsError where the settings name another one, TrackingError without a database."""
    project = open_project()
    uri = project.settings.tracking
    if uri.startswith(("http:", "https:")):
        raise SettingsError(
            "MLOPS_TRACKING_URI names a server: leave it out here, and this one keeps its runs in MLOPS_DATABASE_URL"
        )
    connect(uri)  # makes the tables; the experiment is left to who asks the server, which then keeps its artefacts
    os.environ[BACKEND] = uri
    command = server_command(project, host, port)
    os.execv(command[0], command)


def server_command(project: Project, host: str, port: int) -> list[str]:
    command = [sys.executable, "-m", "mlflow", "server", "--host", host, "--port", str(port), "--workers", "1"]
    return [*command, "--artifacts-destination", project.settings.artefacts_url]
