"""Predictions over HTTP: beside the same server without a model, MLflow's own server, and XGBoost alone."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.homes import Home
from benchmarks.load import drive
from benchmarks.measuring import call
from benchmarks.places import Places
from benchmarks.results import Figure, Report, Row
from benchmarks.servers import Server, server
from benchmarks.serving_work import move_alias, predict_bare, send_batch, take_sample

ROUNDS = 5
SECONDS = 4.0
CLIENTS = 64
BATCH_ROWS = 100_000
SWAPS = 12
MINUTES = 10
FLAT = 1.03  # growth of memory that is taken for noise

HOW = "champion of the embedded default; our own client in a process of its own, on the same cores as the server"
ONE = Figure(
    "a row, one client: p50 beside a no-op",
    "at most 1.8 times",
    "the no-op is a FastAPI endpoint of the same schema in the same server; then `/predict` itself, with a model that "
    f"answers constants; {HOW}",
)
MANY = Figure(f"requests a second, {CLIENTS} clients, beside a no-op", "at least 0.85", "as above")
TWO = Figure(
    f"requests a second, {CLIENTS} clients, two workers beside one",
    "at least 1.7 times",
    "`MLOPS_SERVE_WORKERS=2`, on two cores, where client and prediction log have their share of the second one",
)
MLFLOW = Figure(
    f"requests a second, {CLIENTS} clients, beside `mlflow models serve`", "at least 5 times", "the same model and row"
)
BATCH = Figure(
    f"{BATCH_ROWS:,} rows in one request, beside bare `inplace_predict`",
    "at least 0.7",
    "Arrow in and out; the bare call has the encoded matrix and all cores",
)
SWAP = Figure(
    f"swap under load, {CLIENTS} clients",
    "0 failed, 0 of a wrong version",
    f"the alias moves {SWAPS} times; each answer is compared with what its version says of that row",
)
MEMORY = Figure(f"memory in {MINUTES} minutes of load", "flat", f"{CLIENTS} clients; resident, from the second minute")


def measure(places: Places) -> Report:
    with Home.fresh(MLOPS_MODEL_POLL_SECONDS="2") as home:
        home.run()
        sample = call(take_sample, home.env).value
        rows = [*_beside_no_op(home, sample), _two_workers(home, sample), _beside_mlflow(home, sample), _batch(home)]
        rows += _long(home, sample)
    return Report(rows)


@contextmanager
def ours(home: Home, workers: int = 1) -> Iterator[Server]:
    command = [sys.executable, "-c", "from mlops_assets.cli import main; main()", "serve", "--port", "{port}"]
    with server(command, home.env | {"MLOPS_SERVE_WORKERS": str(workers)}, "/ready") as started:
        yield started


def _beside_no_op(home: Home, sample: Mapping[str, Any]) -> list[Row]:
    with ours(home) as real, server([sys.executable, "-m", "benchmarks.noop", "{port}"], home.env, "/ready") as no_op:
        places = ((real, "/predict"), (no_op, "/no-op"), (no_op, "/predict"))
        one, many = (
            _in_turns([partial(_drive, started, sample["rows"], clients, path) for started, path in places])
            for clients in (1, CLIENTS)
        )
    p50, floor, constant = (_middle(runs, "p50_ms") for runs in one)
    text = f"{p50 / floor:.2f} and {p50 / constant:.2f} times: {p50:.2f} : {floor:.2f} : {constant:.2f} ms"
    rate, most, same = (_middle(runs, "rate") for runs in many)
    cpu = " : ".join(f"{_middle(runs, 'cpu_us'):.0f}" for runs in many)
    rates = f"{rate / most:.2f} and {rate / same:.2f}: {rate:,.0f} : {most:,.0f} : {same:,.0f}"
    return [
        ONE.measured(text, p50 <= 1.8 * floor),
        MANY.measured(f"{rates}; server CPU {cpu} µs a request", rate >= 0.85 * most),
    ]


def _two_workers(home: Home, sample: Mapping[str, Any]) -> Row:
    with ours(home) as one, ours(home, workers=2) as two:
        time.sleep(10)  # until the second worker has its model, too
        runs = _in_turns([partial(_drive, started, sample["rows"], CLIENTS, "/predict") for started in (one, two)])
    single, double = (_middle(rounds, "rate") for rounds in runs)
    alone, together = (_middle(rounds, "cpu_us") for rounds in runs)
    client = median(run["client_cpu"] / run["requests"] for run in runs[1]) * 1e6
    most = (os.cpu_count() or 1) * 1e6 / (together + client)
    text = (
        f"{double / single:.2f} times: {double:,.0f} : {single:,.0f}; server CPU {together:.0f} : {alone:.0f} µs a "
        f"request and the client's {client:.0f}, with which these cores give {most / single:.2f} times at most"
    )
    return TWO.measured(text, double >= 1.7 * single)


def _beside_mlflow(home: Home, sample: Mapping[str, Any]) -> Row:
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", sample["model"], "--env-manager", "local"]
    command += ["--host", "127.0.0.1", "--port", "{port}"]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # it looks for uvicorn there
    env = home.env | {"MLFLOW_TRACKING_URI": sample["tracking"], "PATH": path}
    records = [f'{{"dataframe_records": [{row}]}}' for row in sample["rows"]]
    with ours(home) as real, server(command, env, "/ping") as theirs:
        rates, cpus, memory = [], [], []
        for started, path, bodies in ((real, "/predict", sample["rows"]), (theirs, "/invocations", records)):
            runs = [_drive(started, bodies, CLIENTS, path) for _ in range(ROUNDS)]
            rates.append(_middle(runs, "rate"))
            cpus.append(_middle(runs, "cpu_us"))
            memory.append(started.memory_mb())
    text = (
        f"{rates[0] / rates[1]:.1f} times: {rates[0]:,.0f} : {rates[1]:,.0f}; server CPU {cpus[0]:,.0f} : "
        f"{cpus[1]:,.0f} µs a request; {memory[0]:.0f} : {memory[1]:.0f} MB"
    )
    return MLFLOW.measured(text, rates[0] >= 5 * rates[1])


def _batch(home: Home) -> Row:
    with ours(home) as real:
        seconds, bare = [], []
        for _ in range(ROUNDS):
            seconds.append(call(send_batch, home.env, port=real.port, count=BATCH_ROWS).value)
            bare.append(call(predict_bare, home.env, count=BATCH_ROWS).value)
    whole, alone = median(seconds), median(bare)
    text = f"{alone / whole:.2f}: {BATCH_ROWS / whole:,.0f} : {BATCH_ROWS / alone:,.0f} rows a second"
    return BATCH.measured(text, alone >= 0.7 * whole)


def _long(home: Home, sample: Mapping[str, Any]) -> list[Row]:
    """Swaps under load, then load for minutes, on one server."""
    with ours(home) as real, ThreadPoolExecutor() as pool:
        expected = sample["expected"]
        arguments = {"port": real.port, "path": "/predict", "bodies": sample["rows"], "clients": CLIENTS}
        driving = pool.submit(call, drive, seconds=3.0 * (SWAPS + 1), expected=expected, **arguments)
        call(move_alias, home.env, port=real.port, versions=sample["versions"], times=SWAPS)
        swapped = driving.result().value
        driving = pool.submit(call, drive, seconds=60.0 * MINUTES, **arguments)
        memory = []
        while not driving.done():
            memory.append(real.memory_mb())
            time.sleep(5)
        loaded = driving.result().value
    told = ", ".join(f"version {name}: {count:,}" for name, count in swapped["versions"].items())
    is_clean = not swapped["failed"] and not swapped["wrong"] and len(swapped["versions"]) == 2
    text = f"{swapped['failed']} failed, {swapped['wrong']} wrong of {swapped['requests']:,} ({told})"
    minute = 60 // 5
    early, late = median(memory[minute : 2 * minute]), median(memory[-minute:])
    grown = f"{early:.0f} to {late:.0f} MB in {loaded['requests']:,} requests, {loaded['failed']} failed"
    return [SWAP.measured(text, is_clean), MEMORY.measured(grown, late <= FLAT * early and not loaded["failed"])]


def _in_turns(drives: Sequence[Callable[[], dict[str, Any]]]) -> list[list[dict[str, Any]]]:
    rounds = [[drive_one() for drive_one in drives] for _ in range(ROUNDS)]
    return [list(runs) for runs in zip(*rounds, strict=True)]


def _drive(started: Server, bodies: Sequence[str], clients: int, path: str) -> dict[str, Any]:
    before = started.cpu_seconds()
    run = call(drive, port=started.port, path=path, bodies=bodies, clients=clients, seconds=SECONDS).value
    if run["failed"]:
        sys.exit(f"{run['failed']} of {run['requests']} requests to {path} failed")
    return run | {"cpu_us": (started.cpu_seconds() - before) / run["requests"] * 1e6}


def _middle(runs: Sequence[Mapping[str, float]], name: str) -> float:
    return median(run[name] for run in runs)
