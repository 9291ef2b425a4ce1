"""The server, as one process or several: its address, its signals, its log."""

from __future__ import annotations

import logging
import signal
import socket
import sys

import uvicorn
from fastapi import FastAPI

from mlops_assets.dashboards.theme import DASHBOARDS
from mlops_assets.errors import SettingsError
from mlops_assets.instance import open_instance
from mlops_assets.logs import configure as configure_log
from mlops_assets.project import Project
from mlops_assets.serving.app import FLUSH_SECONDS, OpenDashboards, build_app
from mlops_assets.serving.connections import Limits
from mlops_assets.serving.hosts import is_loopback
from mlops_assets.serving.metrics import PipelineMetrics
from mlops_assets.serving.workers import STOP, Workers, hint_all

log = logging.getLogger(__name__)

KEEP_ALIVE_SECONDS = 75  # longer than the minute after which proxies let go of an idle connection
BACKLOG = 2048  # connections that wait to be taken up
GRACE_SECONDS = 30  # for requests in flight when the server is told to stop


def serve(project: Project, host: str, port: int, open_dashboards: OpenDashboards) -> None:
    """Serve predictions and dashboards until SIGINT or SIGTERM; requests in flight are answered first.

    Raises SettingsError where the address cannot be used, or would be open to all.
    """
    pipeline, count = PipelineMetrics(lambda: open_instance(project)), project.settings.serve_workers
    hint = hint_all if count > 1 else None
    app = build_app(project, open_dashboards=open_dashboards, pipeline=pipeline, hint=hint)
    has_keys = bool(app.state.keys)
    if not has_keys and not is_loopback(host):
        raise SettingsError(
            f"without an API key predictions are served on loopback only, not on {host}: "
            "set MLOPS_API_KEYS (`mlops-assets new-key` makes one), or MLOPS_SERVE_HOST=127.0.0.1"
        )
    sockets = listen(host, port, count)
    configure_log(project.settings.log_format)
    who = "with an API key" if has_keys else "without an API key, to this machine only (MLOPS_API_KEYS opens it)"
    bound, at = sockets[0].getsockname()[:2]
    bracketed = f"[{bound}]" if ":" in bound else bound
    address = f"http://{bracketed}:{at}"
    line = f"Predictions: {address}/predict, {who}"
    if project.settings.log_format == "json":
        log.info(line)
    else:
        print(f"{line}   (Ctrl-C stops it)", flush=True)
        print(f"Form: {address}/   Dashboards: {address}{DASHBOARDS}", flush=True)
    if count > 1:
        hear = app.state.predict.predictor.hint
        workers = Workers(sockets, lambda listening: answer(app, listening), hear, app.state.predict.metrics.forget)
        workers.run(GRACE_SECONDS + FLUSH_SECONDS)
        return
    for number in STOP:
        signal.signal(number, lambda *_: None)  # uvicorn sends itself the signal again once it has stopped
    answer(app, sockets[0])


def answer(app: FastAPI, listening: socket.socket) -> None:
    """Answer until SIGINT or SIGTERM, which this process then gets once more."""
    uvicorn.Server(configure(app)).run(sockets=[listening])


def configure(app: FastAPI) -> uvicorn.Config:
    """How uvicorn serves the application."""
    settings = app.state.project.settings
    limits = Limits(settings.serve_timeout, settings.serve_connections)
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=limits.protocol(),
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        proxy_headers=False,  # callers are told apart by their keys, and without keys all are on this machine
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


def listen(host: str, port: int, count: int = 1) -> list[socket.socket]:
    """Listening sockets of one address, between which the kernel divides connections.

    Raises SettingsError where the address cannot be had.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        first = socket.create_server(address, family=family, backlog=BACKLOG)
        if count == 1 or sys.platform != "linux":  # elsewhere one socket gets all: processes take turns at it
            return [first] * count
        address = first.getsockname()
        first.close()  # it was there to see that nobody else has the address, with whom it would be shared
        return [socket.create_server(address, family=family, backlog=BACKLOG, reuse_port=True) for _ in range(count)]
    except OSError as error:
        reason = error.strerror or str(error)
        raise SettingsError(f"{host}, port {port}, cannot be served on: {reason} (MLOPS_SERVE_HOST, _PORT)") from None
