"""Servers that end with the test: MLflow's, one of any handler, and a line that can be cut."""

import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle
from pathlib import Path
from threading import Thread
from time import monotonic, sleep

import pytest


def free_port() -> int:
    """A port that nothing listens on, and that will be given to nobody else.

    The system's own choice would be free at this moment only: the next one who asks for a port, or only connects to
    somewhere, may get it. These lie below those that systems choose from, a stretch for each process of the tests.
    """
    return next(port for port in _PORTS if _is_free(port))


def _is_free(port: int) -> bool:
    with socket.socket() as taken:
        try:
            taken.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


FIRST_PORT, PORTS, PROCESSES = 12_000, 1_000, 20
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % PROCESSES
# Two runs of the tests at once start at two places.
_PORTS = cycle(FIRST_PORT + PORTS * _WORKER + (os.getpid() + number) % PORTS for number in range(PORTS))


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """Address of a server on the `mlflow.db` in the folder."""
    from mlops_assets.resources.mlflow.connection import DEFAULTS

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


@contextmanager
def answering(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[str]:
    """Address of a server, in threads of this process, whose requests a handler answers."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


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
        self._port = free_port()
        self.mend()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    def mend(self) -> None:
        self._open = [socket.create_server(("127.0.0.1", self._port))]
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
