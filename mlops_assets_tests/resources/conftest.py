"""A real MLflow database a test, and the ways to use it from a Dagster run."""

import os
import shutil
import socket
import subprocess
import sys
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from time import monotonic, sleep

import dagster as dg
import pytest

from mlops_assets.resources.mlflow_connection import DEFAULTS, connect
from mlops_assets.resources.tracking import Tracking


@dataclass(frozen=True)
class FakeTrial:
    """A trial as a search hands it over."""

    number: int
    params: dict = field(default_factory=dict)
    status: str = "ok"
    loss: float | None = 1.0
    metrics: dict = field(default_factory=dict)
    seconds: float = 0.5
    rounds: int | None = None
    error: str | None = None


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory) -> Path:
    """MLflow's schema, made once: it takes seconds."""
    path = tmp_path_factory.mktemp("mlflow") / "empty.db"
    connect(f"sqlite:///{path}")
    return path


@pytest.fixture
def make_tracking(tmp_path):
    def make(uri: str) -> Tracking:
        return Tracking(uri, "taxi", tmp_path / "art files", "http://mlflow.test/", "http://dagster.test")

    return make


@pytest.fixture
def database(empty_database, tmp_path) -> str:
    """URI of an empty MLflow database of this test's own."""
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


@pytest.fixture
def tracking(make_tracking, database) -> Tracking:
    return make_tracking(database)


@pytest.fixture
def in_asset():
    """A function that runs `body(context)` as the asset `trips` of a real Dagster run, and gives that run's id.

    The body's own error comes out as it went in.
    """

    def run(body, partition: str | None = None) -> str:
        partitions = dg.StaticPartitionsDefinition([partition]) if partition else None

        @dg.asset(name="trips", partitions_def=partitions)
        def trips(context: dg.AssetExecutionContext) -> None:
            body(context)

        with dg.DagsterInstance.ephemeral() as instance:
            return dg.materialize([trips], instance=instance, partition_key=partition).run_id

    return run


@pytest.fixture
def runs_of():
    """A function that gives the newest state of all runs of an experiment, oldest first."""

    def find(tracking: Tracking):
        runs = tracking.client.search_runs([tracking.experiment_id], order_by=["attributes.start_time ASC"])
        return list(runs)

    return find


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.fixture(scope="session")
def server(empty_database, tmp_path_factory) -> str:
    """Address of a real MLflow server."""
    folder, port = tmp_path_factory.mktemp("server"), free_port()
    shutil.copy(empty_database, folder / "mlflow.db")
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
    command += ["--artifacts-destination", str(folder / "served")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=os.environ | DEFAULTS, stdout=log, stderr=log)
    try:
        _wait_for(f"http://127.0.0.1:{port}/health", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _wait_for(url: str, process: subprocess.Popen, seconds: float = 120) -> None:
    end = monotonic() + seconds
    while monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            sleep(0.1)
    pytest.fail(f"the MLflow server did not start (exit code {process.poll()})")


class Line:
    """A line to a server that can be cut, as when the server dies."""

    def __init__(self, address: str) -> None:
        self._target = ("127.0.0.1", int(address.rpartition(":")[2]))
        self._open = [socket.create_server(("127.0.0.1", 0))]
        self.address = f"127.0.0.1:{self._open[0].getsockname()[1]}"
        Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        for end in self._open:
            with suppress(OSError):  # the other side was first
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        with suppress(OSError):  # cut
            while True:
                near, far = self._open[0].accept()[0], socket.create_connection(self._target)
                self._open += [near, far]
                for source, sink in ((near, far), (far, near)):
                    Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):  # cut
            while data := source.recv(65_536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


@pytest.fixture
def line(server):
    line = Line(server)
    yield line
    line.cut()
