"""How long dashboards take on large stores: 10,000 runs in Dagster, 100,000 trials in MLflow."""

from __future__ import annotations

import json
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measuring import call
from benchmarks.places import Places
from benchmarks.results import Figure, Report

RUNS, TRIALS, TRIALS_OF_A_SEARCH = 10_000, 100_000, 250
MODEL_TYPES = ("LinearRegression", "Ridge", "Lasso", "XGBoost")
FIRST = Figure(
    f"dashboards: first reading of {RUNS:,} runs and {TRIALS:,} trials",
    "",
    "rows written into the SQLite files of Dagster and MLflow, then read through their public APIs, in threads, while "
    "pages show what has been read so far",
)
OPEN = Figure(
    "dashboards: the slowest page afterwards",
    "at most 2 s",
    "every chart of the page, one after the other, with a look at both stores for what is newer: tables, figures and "
    "their JSON; the slowest chart in brackets",
)


def measure(places: Places) -> Report:
    ran = call(open_pages)
    told = ran.value
    slowest = max(told["pages"], key=told["pages"].get)
    seconds, chart = told["pages"][slowest], told["slowest_chart"]
    rows = [
        FIRST.measured(f"{told['first']:.1f} s, peak {ran.usage.peak_mb:.0f} MB"),
        OPEN.measured(f"{slowest} {seconds:.2f} s ({chart[0]} {chart[1]:.2f} s)", seconds <= 2),
    ]
    return Report(rows)


def open_pages() -> dict[str, Any]:
    """Seconds until all was read, and then of each page."""
    import dagster as dg
    from plotly.utils import PlotlyJSONEncoder

    from mlops_assets.dashboards.catalogue import Catalogue
    from mlops_assets.dashboards.context import open_dashboards
    from mlops_assets.dashboards.sources.serving import Sampler
    from mlops_assets.project import open_project

    with tempfile.TemporaryDirectory() as folder, dg.DagsterInstance.local_temp(folder) as instance:
        project = open_project({"MLOPS_HOME": folder, "MLOPS_MODEL_TYPES": ",".join(MODEL_TYPES)})
        write_runs(Path(folder), RUNS)
        write_trials(project)
        dashboards = open_dashboards(project, instance, Catalogue(jobs={"clean": ("clean_data",)}), Sampler(bytes))
        first = read_all(dashboards)
        time.sleep(6)  # so that a look at the stores is due
        pages, charts = {}, {}
        for page in dashboards.library.page_list().pages:
            for chart in page.board.charts.values():
                started = time.perf_counter()
                view = dashboards.view("light", "all", datetime.now(UTC))
                json.dumps(dashboards.renderer.render(chart, view).body, cls=PlotlyJSONEncoder)
                charts[f"{page.slug}: {chart.title}"] = time.perf_counter() - started
            pages[page.slug] = sum(seconds for name, seconds in charts.items() if name.startswith(f"{page.slug}: "))
        slowest = max(charts, key=charts.get)
        return {"first": first, "pages": pages, "slowest_chart": [slowest.partition(": ")[2], charts[slowest]]}


def read_all(dashboards: Any) -> float:
    """Seconds until every run and every trial is there."""
    started = time.perf_counter()
    while True:
        readings = [dashboards.sources[name].read() for name in ("runs", "trials")]
        counts = [len(reading.frame) for reading in readings]
        if all(reading.complete for reading in readings):
            assert counts == [RUNS, TRIALS], counts
            return time.perf_counter() - started
        time.sleep(1.5)  # as a chart does


def write_runs(home: Path, count: int) -> list[str]:
    """Runs of half a year, as Dagster stores them; their ids."""
    import sqlite3

    import dagster as dg
    from dagster._serdes import serialize_value

    rng, now = np.random.default_rng(0), datetime.now(UTC).replace(tzinfo=None)
    jobs = ("ingest", "clean", "tune", "fit_sklearn", "promote", "retrain", "predict_batch")
    rows, tags = [], []
    for number in range(count):
        asked = now - timedelta(days=180 * (count - number) / count)
        status = str(rng.choice(["SUCCESS", "SUCCESS", "SUCCESS", "FAILURE", "CANCELED"]))
        job, run_id = str(rng.choice(jobs)), f"{number:08x}-0000-4000-8000-000000000000"
        own = {"mlops/started_by": str(rng.choice(["cli", "schedule", "sensor", "retry"]))}
        own["dagster/partition"] = str(rng.choice(["2024-01", "2024-02", *MODEL_TYPES]))
        run = dg.DagsterRun(job_name=job, run_id=run_id, status=dg.DagsterRunStatus(status), tags=own)
        begun = asked.replace(tzinfo=UTC).timestamp() + 3
        ended = begun + float(rng.lognormal(3, 1))
        rows.append((run_id, job, status, serialize_value(run), str(asked), str(asked), begun, ended))
        tags += [(run_id, name, value) for name, value in own.items()]
    columns = "run_id, pipeline_name, status, run_body, create_timestamp, update_timestamp, start_time, end_time"
    with sqlite3.connect(home / "history" / "runs.db") as connection:
        connection.executemany(f"INSERT INTO runs ({columns}) VALUES ({', '.join('?' * 8)})", rows)
        connection.executemany("INSERT INTO run_tags (run_id, key, value) VALUES (?, ?, ?)", tags)
    return [run_id for run_id, *_ in rows]


def write_trials(project: Any) -> None:
    """Searches of half a year, as MLflow stores them."""
    import sqlite3

    rng, now = np.random.default_rng(0), time.time() * 1000
    experiment = int(project.tracking.experiment_id)  # makes the database
    tables: dict[str, list[tuple]] = {"runs": [], "params": [], "latest_metrics": [], "tags": []}
    for number in range(TRIALS):
        search, trial = divmod(number, TRIALS_OF_A_SEARCH)
        model_type, run_id = MODEL_TYPES[search % len(MODEL_TYPES)], f"{number:032x}"
        start = int(now - 180 * 86_400_000 * (TRIALS - number) / TRIALS)
        run = (run_id, f"trial {trial}", "someone", "FINISHED", start, start + 2000, "active", "", experiment)
        tables["runs"].append(run)
        drawn = {"learning_rate": rng.lognormal(-3, 1), "max_depth": int(rng.integers(3, 12)), "alpha": rng.random()}
        drawn |= {name: rng.random() for name in ("subsample", "colsample_bytree", "gamma", "eta", "reg_lambda")}
        tables["params"] += [(name, json.dumps(value), run_id) for name, value in drawn.items()]
        measured = {"loss": 8 + rng.gamma(2, 1) + drawn["alpha"], "seconds": 2.0, "rounds": 200}
        tables["latest_metrics"] += [(name, value, start, 0, 0, run_id) for name, value in measured.items()]
        tags = {"trial": str(trial + 1), "search": f"search {search}", "model_type": model_type}
        tables["tags"] += [(name, value, run_id) for name, value in tags.items()]
    names = {
        "runs": "run_uuid, name, user_id, status, start_time, end_time, lifecycle_stage, artifact_uri, experiment_id",
        "params": "key, value, run_uuid",
        "latest_metrics": "key, value, timestamp, step, is_nan, run_uuid",
        "tags": "key, value, run_uuid",
    }
    with sqlite3.connect(project.settings.home_path / "mlflow.db") as connection:
        for table, rows in tables.items():
            places = ", ".join("?" * len(rows[0]))
            connection.executemany(f"INSERT INTO {table} ({names[table]}) VALUES ({places})", rows)
