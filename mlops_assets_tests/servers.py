"""A real MLflow server, and a line to it that can be cut."""

import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from time import monotonic, sleep

import pytest

from mlops_assets.resources.mlflow.connection import DEFAULTS


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """Address of a server on the `mlflow.db` in the folder."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
    command += ["--artifacts-destination", str(folder / "served")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=os.environ | DEFAULTS, stdout=log, stderr=log)
    try:
        wait_for(f"http://127.0.0.1:{port}/health", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def wait_for(url: str, process: subprocess.Popen, seconds: float = 120) -> None:
    """Wait until a server that a process is to be answers."""
    end = monotonic() + seconds
    while monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            sleep(0.1)
    pytest.fail(f"the server at {url} did not start (exit code {process.poll()})")


class Line:
    """A line to a server that can be cut, as when the server dies, and mended."""

    def __init__(self, address: str) -> None:
        self._target = ("127.0.0.1", int(address.rpartition(":")[2]))
        self._port = 0
        self.mend()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    def mend(self) -> None:
        self._open = [socket.create_server(("127.0.0.1", self._port))]
        self._port = self._open[0].getsockname()[1]
        Thread(target=self._accept, args=(self._open,), daemon=True).start()

    def cut(self) -> None:
        for end in self._open:
            with suppress(OSError):  # the other side was first
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self, opened: list[socket.socket]) -> None:
        with suppress(OSError):  # cut
            while True:
                near, far = opened[0].accept()[0], socket.create_connection(self._target)
                opened += [near, far]
                for source, sink in ((near, far), (far, near)):
                    Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):  # cut
            while data := source.recv(65_536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
