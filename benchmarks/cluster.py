"""Trials on a Dask cluster of one worker and of two: a search of XGBoost on the embedded flights.

`python -m benchmarks.cluster` prints the table of docs/distributed.md. Each worker is a process with one thread.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from benchmarks.measuring import ROOT
from benchmarks.searches import flights
from benchmarks.taxi import SEED

TRIALS, WIDTH = 16, 4


def main() -> None:
    with flights() as training_set:
        for workers in (0, 1, 2):
            started = cluster(workers) if workers else nullcontext("local")
            with started as where:
                seconds, losses = timed_search(training_set, where)
            name = f"Dask, {workers} worker{'s' * (workers > 1)}" if workers else "`local`, one thread"
            print(f"| {name} | {seconds:.1f} | {min(losses):.6f} | {sum(losses):.6f} |", flush=True)


def timed_search(training_set: Path, where: str) -> tuple[float, list[float]]:
    """Seconds by the clock, and all losses."""
    from mlops_assets.core.model_types import resolve_model_type
    from mlops_assets.core.trial_store import TrialStore
    from mlops_assets.core.trials import FitTrial
    from mlops_assets.core.tuning import SearchPlan, search
    from mlops_assets.resources.trial_executors import open_executor

    kind = resolve_model_type("XGBoost")
    plan = SearchPlan(max_trials=TRIALS, seconds=3_600, patience=TRIALS, seed=SEED, width=WIDTH)
    with open_executor(where) as executor, tempfile.TemporaryDirectory() as folder:
        objective = FitTrial(training_set, kind, SEED, threads=1)
        executor.submit(objective, {"n_estimators": 10}, 0.0).result()  # pays for imports
        started = time.perf_counter()
        result = search(
            objective,
            kind.space,
            plan,
            executor=executor,
            store=TrialStore(Path(folder), "benchmark"),
            on_trial=lambda trial, *, resumed: None,
        )
        seconds = time.perf_counter() - started
    return seconds, [trial.loss for trial in result.trials]


@contextmanager
def cluster(workers: int) -> Iterator[str]:
    """A scheduler and so many workers of one thread; gives what MLOPS_TRIALS would be."""
    from distributed import Client

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    commands = [["scheduler", "--host", "127.0.0.1", "--port", str(port)]]
    commands += [["worker", address, "--nthreads", "1", "--no-nanny"]] * workers
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "dask", *command, "--no-dashboard"],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for command in commands
    ]
    try:
        with Client(address, timeout=120, set_as_default=False) as client:
            client.wait_for_workers(workers, timeout=120)
        yield f"dask:{address}"
    finally:
        for process in processes:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
