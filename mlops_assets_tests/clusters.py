"""A real Dask cluster on this machine: a scheduler and workers, each a process of its own."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from distributed import Client

from mlops_assets_tests.homes import ROOT
from mlops_assets_tests.servers import free_port
from mlops_assets_tests.warm import TRUE_PYTHON

START_SECONDS = 120
SEARCH_PATH = os.pathsep.join([str(ROOT), str(ROOT / "mlops_assets_tests" / "spawned")])


class Cluster:
    """Where a scheduler listens, and the processes of its workers."""

    def __init__(self, folder: Path, **env: str) -> None:
        self.address = f"tcp://127.0.0.1:{free_port()}"
        self.setting = f"dask:{self.address}"
        self.workers: list[subprocess.Popen] = []
        self._folder, self._env = folder, env
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", self.address.rpartition(":")[2])

    def add_worker(self, **env: str) -> None:
        """One more worker of one thread, with no nanny: its process is the worker."""
        options = ["--nthreads", "1", "--no-nanny", "--local-directory", str(self._folder)]
        self.workers.append(self._start("worker", self.address, *options, **env))

    def wait(self) -> None:
        """Until all workers have come."""
        with Client(self.address, timeout=START_SECONDS, set_as_default=False) as client:
            client.wait_for_workers(len(self.workers), timeout=START_SECONDS)

    def kill(self, number: int) -> None:
        """End a worker as the system does for want of memory."""
        self.workers[number].kill()
        self.workers[number].wait()

    def stop(self) -> None:
        for process in [*self.workers, self.scheduler]:
            process.kill()
            process.wait()

    def _start(self, kind: str, *options: str, **env: str) -> subprocess.Popen:
        command = [TRUE_PYTHON, "-m", "dask", kind, "--no-dashboard", *options]
        with (self._folder / f"{kind}{len(self.workers)}.log").open("wb") as log:
            where = {"PYTHONPATH": SEARCH_PATH} | self._env | env
            # Elsewhere than in the checkout, which would come first where Python looks for modules.
            return subprocess.Popen(command, env=os.environ | where, cwd=self._folder, stdout=log, stderr=log)


@contextmanager
def dask_cluster(folder: Path, workers: int, **env: str) -> Iterator[Cluster]:
    """A cluster with so many workers; `env`: variables of all its processes."""
    cluster = Cluster(folder, **env)
    try:
        for _ in range(workers):
            cluster.add_worker()
        cluster.wait()
        yield cluster
    finally:
        cluster.stop()
