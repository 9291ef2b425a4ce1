"""The server in a thread of this process, on a port of its own, with its application at hand."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Thread
from time import sleep

import httpx
import uvicorn
from fastapi import FastAPI

from mlops_assets.project import Project
from mlops_assets.serving.app import OpenDashboards, build_app
from mlops_assets.serving.metrics import PipelineMetrics
from mlops_assets.serving.predictor import Predictor
from mlops_assets.serving.server import configure, listen
from mlops_assets_tests.homes import Home

NEVER = "100000"


@dataclass(frozen=True)
class Served:
    """A server that runs; `client` speaks to it, `predictor` is its own."""

    app: FastAPI
    client: httpx.Client
    predictor: Predictor
    project: Project
    url: str

    @property
    def champion(self):
        return self.predictor.champion

    def error(self, method: str, path: str, **options) -> dict:
        """The error that a request is answered with, and its status."""
        answer = self.client.request(method, path, **options)
        assert answer.headers["content-type"] == "application/json"
        told = answer.json()
        assert set(told) == {"error"}
        assert set(told["error"]) == {"code", "message", "row", "field", "request_id"}
        assert told["error"]["request_id"] == answer.headers["x-request-id"]
        return told["error"] | {"status": answer.status_code}


def promote(served: Served, number: int) -> None:
    served.project.registry.promote(number, reason="A test.", at=datetime.now(UTC))


def another(served: Served) -> int:
    """A version beside the champion."""
    numbers = {version.number for version in served.project.registry._versions()}
    return min(numbers - {served.champion.number})


@contextmanager
def serving(
    home: Home, open_dashboards: OpenDashboards | None = None, pipeline: PipelineMetrics | None = None, **settings: str
) -> Iterator[Served]:
    """A server of this home that has had its first look at the registry, and looks again when a test says so."""
    project = home.project(**({"MLOPS_MODEL_POLL_SECONDS": NEVER} | settings))
    app = build_app(project, open_dashboards=open_dashboards, pipeline=pipeline)
    predictor = app.state.predict.predictor
    predictor.check_registry()
    looked = predictor.last_check
    with running(app) as url, httpx.Client(base_url=url, timeout=120) as client:
        while predictor.last_check is looked:  # the server's own first look must not end in the midst of a test
            sleep(0.01)
        yield Served(app, client, predictor, project, url)


@contextmanager
def running(app: FastAPI) -> Iterator[str]:
    """An application that listens; gives its address."""
    [listening] = listen("127.0.0.1", 0)
    server = uvicorn.Server(configure(app))
    thread = Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def wait_until(true: Callable[[], bool], tries: int = 600) -> None:
    for _ in range(tries):
        if true():
            return
        sleep(0.05)
    raise AssertionError("it did not come true")
