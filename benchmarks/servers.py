"""A server as a process: started, asked what it used, and stopped."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring import ROOT, UNSET

READY_SECONDS = 120


@dataclass(frozen=True)
class Server:
    """A process that listens on `port`."""

    process: subprocess.Popen
    port: int

    @property
    def pids(self) -> list[int]:
        """The process and those that it has started."""
        found = [self.process.pid]
        for pid in found:
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                found += map(int, task.read_text().split())
        return found

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        ticks = 0
        for pid in self.pids:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory_mb(self) -> float:
        """Resident memory now."""
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self.pids)
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@contextmanager
def server(command: Sequence[str], env: Mapping[str, str], path: str) -> Iterator[Server]:
    """A server that is ready: `{port}` in the command is its port, `path` answers 200 once it is."""
    port = free_port()
    words = [word.format(port=port) for word in command]
    everything = os.environ | UNSET | {"PYTHONPATH": str(ROOT)} | env
    null = subprocess.DEVNULL
    process = subprocess.Popen(words, env=everything, cwd=ROOT, stdout=null, stderr=null, start_new_session=True)
    try:
        wait_for(f"http://127.0.0.1:{port}{path}", process)
        yield Server(process, port)
    finally:
        with suppress(ProcessLookupError):  # it has ended by itself
            os.killpg(process.pid, signal.SIGTERM)  # some are started by another
        process.wait(60)


def wait_for(url: str, process: subprocess.Popen) -> None:
    """Until the address answers; a process that ends, or takes too long, ends the benchmark."""
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    sys.exit(f"{' '.join(process.args)} did not start (exit code {process.poll()})")
