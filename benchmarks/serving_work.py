"""What the serving benchmark does in processes of their own: rows to ask, a moving alias, one large request."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any


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


def _raw_rows(count: int) -> Any:
    """So many of the newest raw rows, repeated where there are not enough, as an Arrow table of the model's inputs."""
    import pyarrow as pa

    from mlops_assets.assets.records import Records
    from mlops_assets.instance import open_instance
    from mlops_assets.project import open_project

    project = open_project()
    with open_instance(project) as instance:
        paths = [record.path for _, record in sorted(Records(instance).all_latest("raw_data").items())]
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
