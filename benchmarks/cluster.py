"""A Dask cluster of one worker and of two: a search of XGBoost on the embedded flights, and a final fit.

`python -m benchmarks.cluster` prints the tables of docs/distributed.md. Each worker is a process with one thread.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measuring import ROOT
from benchmarks.searches import flights
from benchmarks.taxi import SEED

if TYPE_CHECKING:
    from mlops_assets.core.learners.estimators import Fitted

TRIALS, WIDTH, TRIAL_ROWS = 8, 2, 50_000
ROUNDS, PARAMS = 200, {"learning_rate": 0.1, "max_depth": 8, "min_child_weight": 30.0}
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cluster:
    """A scheduler at `address`, and the process ids of its workers; none of both is this process alone."""

    address: str = ""
    workers: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        count = len(self.workers)
        return f"Dask, {count} worker{'s' * (count > 1)}" if count else "`local`, one thread"


@dataclass
class Used:
    """Seconds by the clock, and of CPU in the processes that work."""

    wall: float = 0.0
    cpu: float = 0.0


def main() -> None:
    with flights() as training_set:
        for workers in (0, 1, 2):
            with cluster(workers) as at:
                losses, search = timed_search(training_set, at)
                fitted, fit = timed_fit(training_set, at)
            told = f"{min(losses):.6f} | {sum(losses):.6f}"
            print(f"| search | {at.name} | {search.wall:.1f} | {search.cpu:.1f} | {told} |", flush=True)
            rmse = validation_rmse(training_set, fitted)
            print(f"| final fit | {at.name} | {fit.wall:.1f} | {fit.cpu:.1f} | {rmse:.4f} |", flush=True)


def timed_search(training_set: Path, at: Cluster) -> tuple[list[float], Used]:
    """All losses of a search, in order, and what it took."""
    from mlops_assets.core.learners.model_types import resolve_model_type
    from mlops_assets.core.search.trials import FitTrial, TrialStore
    from mlops_assets.core.search.tuning import SearchPlan, search
    from mlops_assets.resources.dask.cluster import open_executor

    kind = resolve_model_type("XGBoost")
    plan = SearchPlan(max_trials=TRIALS, seconds=3_600, patience=TRIALS, seed=SEED, width=WIDTH)
    with open_executor(f"dask:{at.address}" if at.address else "local") as executor:
        objective = FitTrial(training_set, kind, SEED, threads=1, most_rows=TRIAL_ROWS)
        for _ in at.workers or (0,):  # pays for imports
            executor.submit(objective, {"n_estimators": 10}, 0.0).result()
        with tempfile.TemporaryDirectory() as folder, measured(at) as used:
            store = TrialStore(Path(folder), "benchmark")
            result = search(
                objective, kind.space, plan, executor=executor, store=store, on_trial=lambda trial, *, resumed: None
            )
    return [trial.loss for trial in result.trials], used


def timed_fit(training_set: Path, at: Cluster) -> tuple[Fitted, Used]:
    """A final fit on all rows, and what it took."""
    from mlops_assets.core.learners.estimators import FitData, fit
    from mlops_assets.core.learners.model_types import resolve_model_type
    from mlops_assets.core.training_set import TrainingSet
    from mlops_assets.resources.dask.divided_fit import DividedFit, fit_divided

    kind = resolve_model_type("XGBoost")
    with measured(at) as used:
        if at.address:
            divided = DividedFit(training_set, kind, PARAMS, ROUNDS, seed=SEED, threads=1)
            return fit_divided(at.address, divided), used
        rows = TrainingSet.load(training_set)
        data = FitData(rows.matrix(kind.matrix, "train"), rows.target("train"), rows.categorical)
        return fit(kind, PARAMS, data, seed=SEED, threads=1, rounds=ROUNDS), used


def validation_rmse(training_set: Path, fitted: Fitted) -> float:
    from mlops_assets.core.learners.estimators import predict
    from mlops_assets.core.metrics import score
    from mlops_assets.core.training_set import TrainingSet

    rows = TrainingSet.load(training_set)
    return score(rows.target("validation"), predict(fitted.estimator, rows.matrix("dense", "validation"))).rmse


@contextmanager
def measured(at: Cluster) -> Iterator[Used]:
    """Filled at the end."""
    used, workers = Used(), at.workers or (os.getpid(),)
    cpu, wall = cpu_seconds(workers), time.perf_counter()
    yield used
    used.wall, used.cpu = time.perf_counter() - wall, cpu_seconds(workers) - cpu


def cpu_seconds(processes: Sequence[int]) -> float:
    """User and system seconds of processes and of their children that have ended."""
    fields = [Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split() for process in processes]
    return sum(int(ticks) for each in fields for ticks in each[11:15]) / TICKS


@contextmanager
def cluster(workers: int) -> Iterator[Cluster]:
    """A scheduler and so many workers of one thread; with none, this process."""
    from distributed import Client

    if not workers:
        yield Cluster()
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:
        commands = [["scheduler", "--host", "127.0.0.1", "--port", str(port)]]
        commands += [["worker", address, "--nthreads", "1", "--no-nanny", "--local-directory", folder]] * workers
        quiet = {"cwd": ROOT, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        started = [
            subprocess.Popen([sys.executable, "-m", "dask", *command, "--no-dashboard"], **quiet)
            for command in commands
        ]
        try:
            with Client(address, timeout=120, set_as_default=False) as client:
                client.wait_for_workers(workers, timeout=120)
            yield Cluster(address, tuple(process.pid for process in started[1:]))
        finally:
            for process in started:
                process.kill()
                process.wait()


if __name__ == "__main__":
    main()
