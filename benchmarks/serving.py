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
    "at most 1.3 times",
    "the no-op is a FastAPI endpoint of the same schema in the same server; then `/predict` itself, with a model that "
    f"answers constants; {HOW}",
)
MANY = Figure(f"requests a second, {CLIENTS} clients, beside a no-op", "at least 0.8", "as above")
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
        rows = [*_beside_no_op(home, sample), _beside_mlflow(home, sample), _batch(home), *_long(home, sample)]
    return Report(rows)


@contextmanager
def ours(home: Home) -> Iterator[Server]:
    command = [sys.executable, "-c", "from mlops_assets.cli import main; main()", "serve", "--port", "{port}"]
    with server(command, home.env, "/ready") as started:
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
        ONE.measured(text, p50 <= 1.3 * floor),
        MANY.measured(f"{rates}; server CPU {cpu} µs a request", rate >= 0.8 * most),
    ]


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


def take_sample() -> dict[str, Any]:
    """Rows to ask, and what the champion and the version that it was refitted from say of them."""
    import json

    from mlops_assets.project import open_project

    project = open_project()
    champion = project.registry.champion()
    versions = [champion.number, int(champion.tags["candidate"])]
    golden = project.registry.load(champion.number).golden.rows
    # Those that MLflow's server takes too: complete, with times on the wall clock.
    rows = [row for row in golden[::2] if None not in row.values()]
    return {
        "rows": [json.dumps(row) for row in rows],
        "versions": versions,
        "expected": {number: project.registry.load(number).predict(rows).tolist() for number in versions},
        "model": f"models:/{project.spec.name}@champion",
        "tracking": project.settings.tracking,
    }


def move_alias(port: int, versions: Sequence[int], times: int) -> None:
    """Let each version in turn be champion, some seconds each, and tell the server so every other time."""
    import urllib.request
    from datetime import UTC, datetime

    from mlops_assets.project import open_project

    registry = open_project().registry
    for number in range(times):
        registry.promote(versions[(number + 1) % len(versions)], reason="A benchmark.", at=datetime.now(UTC))
        if number % 2:
            urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/model/refresh", method="POST"))
        time.sleep(3)


def _raw_rows(count: int):
    """So many of the newest raw rows, repeated where there are not enough, as an Arrow table of the model's inputs."""
    import pyarrow as pa

    from mlops_assets.assets.records import all_latest
    from mlops_assets.cli.home import open_instance
    from mlops_assets.project import open_project

    project = open_project()
    with open_instance(project) as instance:
        paths = [record.path for _, record in sorted(all_latest(instance, "raw_data").items())]
    tables = [project.storage.read_table(path, list(project.spec.inputs())) for path in paths]
    table = pa.concat_tables(tables)
    return pa.concat_tables([table] * -(-count // table.num_rows)).slice(0, count)


def send_batch(port: int, count: int) -> float:
    """Seconds until the whole answer to so many rows is there."""
    import urllib.request

    import pyarrow as pa

    kind = "application/vnd.apache.arrow.stream"
    sink = pa.BufferOutputStream()
    table = _raw_rows(count)
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    url, body = f"http://127.0.0.1:{port}/predict/batch", sink.getvalue().to_pybytes()
    started = time.perf_counter()
    with urllib.request.urlopen(urllib.request.Request(url, body, {"Content-Type": kind})) as answer:
        received = pa.ipc.open_stream(answer.read()).read_all()
    seconds = time.perf_counter() - started
    if received.num_rows != count:
        sys.exit(f"{received.num_rows} answers to {count} rows")
    return seconds


def predict_bare(count: int) -> float:
    """Seconds of XGBoost alone, on the matrix of the same rows."""
    from mlops_assets.core.columns import from_table
    from mlops_assets.project import open_project

    project = open_project()
    model = project.registry.load(project.registry.champion().number)
    columns = from_table(_raw_rows(count), project.spec.inputs())
    X = model.encoder.transform(model.spec.features, columns, model.matrix)
    model.estimator.inplace_predict(X[:1_000])  # threads are started
    started = time.perf_counter()
    model.estimator.inplace_predict(X)
    return time.perf_counter() - started
