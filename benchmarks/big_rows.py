"""What the benchmark of big data measures, each function in a process of its own."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.measuring import timed

if TYPE_CHECKING:
    import pyarrow as pa

    from mlops_assets.project import Project

MONTHS = tuple(f"{year}-{month:02}" for year in (2023, 2024, 2025) for month in range(1, 13))
SPEC = "nyc_green_taxi"
SEED, ZONES, GROUP = 7, 263, 131_072
LEARNT_FROM = 200_000  # rows of the model that scores
TREES = 10  # of the model that is trained on many rows


def make_files(folder: str, rows: int) -> int:
    """Monthly files in the layout of the published ones; the same number of rows gives the same files."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    for number, month in enumerate(MONTHS):
        rng = np.random.default_rng(SEED + number)
        days = (np.datetime64(month, "M") + 1).astype("datetime64[D]") - np.datetime64(month, "D")
        left, writer = rows // len(MONTHS), None
        while left:
            n = min(left, GROUP)
            pickup = np.datetime64(month, "us") + rng.integers(0, int(days.astype(int)) * 86_400, n).astype("m8[s]")
            zones = rng.integers(1, ZONES + 1, (2, n))
            distance = rng.gamma(2, 1.5, n).round(2)
            minutes = 3 + distance * (3 + zones[1] % 3) * rng.lognormal(0, 0.3, n)
            table = pa.table(
                {
                    "lpep_pickup_datetime": pickup,
                    "lpep_dropoff_datetime": pickup + (minutes * 60).astype("m8[s]"),
                    "PULocationID": zones[0],
                    "DOLocationID": zones[1],
                    "trip_distance": distance,
                    "VendorID": rng.integers(1, 3, n),
                    "passenger_count": pa.array(rng.integers(1, 7, n).astype(float), mask=rng.random(n) < 0.05),
                    "trip_type": rng.integers(1, 3, n),
                }
            )
            writer = writer or pq.ParquetWriter(Path(folder) / f"{month}.parquet", table.schema, compression="zstd")
            writer.write_table(table)
            left -= n
        writer.close()
    return rows


def make_model(folder: str) -> str:
    """A gradient boosting model on some rows of the first months, saved; gives its folder."""
    from benchmarks.taxi import Taxi
    from mlops_assets.core.features.encoder import fit_encoder
    from mlops_assets.core.learners.estimators import FitData, fit
    from mlops_assets.core.learners.model_types import resolve_model_type
    from mlops_assets.core.model.model import Model

    taxi = Taxi(SPEC, f"{folder}/{{period}}.parquet")
    train = taxi.split(MONTHS[:1], MONTHS[1])["train"]
    step = max(1, len(train) // LEARNT_FROM)
    columns, y = {alias: values[::step] for alias, values in train.columns.items()}, train.y[::step]
    fitted = fit_encoder(taxi.spec.features, columns, y, SEED)
    data = FitData(fitted.dense, y, fitted.encoder.dense_categorical)
    kind = resolve_model_type("XGBoost")
    estimator = fit(kind, {"n_estimators": 100, "max_depth": 6}, data, seed=SEED, threads=1).estimator
    target = Path(folder) / "model"
    target.mkdir()
    Model(taxi.spec, fitted.encoder, estimator, "XGBoost", kind.matrix).save(target)
    return str(target)


def read_and_write(folder: str) -> dict[str, Any]:
    """The same files read and written twice, as preparation does it, and nothing else: what no code gets below."""
    project = _project(folder)
    spec, storage = project.spec, project.storage
    names = [spec.source_name(alias) for alias in spec.used_columns()]
    with timed() as used:
        for month in MONTHS:
            tables = _batches(Path(folder) / f"{month}.parquet", names)
            raw = storage.write_batches("bare_raw", month, (first := next(tables)).schema, chain([first], tables))
            tables = storage.read_batches(raw.path, names, GROUP)
            storage.write_batches("bare_clean", month, first.schema, tables)
    shutil.rmtree(Path(project.home) / "bare_raw")
    shutil.rmtree(Path(project.home) / "bare_clean")
    return used


def prepare(folder: str) -> dict[str, Any]:
    """What `raw_data` and `clean_data` do with their rows, month after month in one process, without Dagster."""
    from mlops_assets.assets.clean_data import store_clean
    from mlops_assets.assets.raw_data import store_raw
    from mlops_assets.core.prepare.cleaning import Cleaner
    from mlops_assets.core.prepare.quality import judge_clean, judge_raw
    from mlops_assets.core.prepare.row_statistics import CleanRows, RawRows

    project, raw, clean, rows = _project(folder), [], [], 0
    with timed() as used:
        for month in MONTHS:
            seen = RawRows(project.spec, month)
            raw.append(store_raw(project, month, seen).path)
            judge_raw(project.spec, seen, month, {})
            found = seen.rows
            del seen  # `clean_data` is a step of its own
            cleaner, kept = Cleaner(project.spec, month), CleanRows(project.spec)
            clean.append(store_clean(project, month, raw[-1], cleaner, kept).path)
            judge_clean(project.spec, kept, month, cleaner.dropped, found)
            rows += cleaner.kept
    return used | {"raw": raw, "clean": clean, "rows": rows}


def train(folder: str, clean: list[str], rows: int, memory_rows: int) -> dict[str, Any]:
    """A training set of 36 months and XGBoost on its train split, with so many rows in memory at once.

    `wrote_mb` and `fit_mb` are peaks of memory that is no mapped file, which the system takes back when it needs it.
    """
    import numpy as np

    from mlops_assets.assets.training_set import WindowRows
    from mlops_assets.core.learners.estimators import FitData, fit, predict
    from mlops_assets.core.learners.model_types import resolve_model_type
    from mlops_assets.core.prepare.splitting import Periods
    from mlops_assets.core.training_set import TrainingSet, write_training_set

    project = _project(folder, MLOPS_MEMORY_ROWS=str(memory_rows))
    months = Periods(MONTHS[:-2], MONTHS[-2:-1], MONTHS[-1:])
    window = WindowRows(project, months, tuple(clean), rows)
    params = {"n_estimators": TREES, "max_depth": 6}
    with tempfile.TemporaryDirectory(dir=folder) as place, tempfile.TemporaryDirectory(dir=folder) as spill:
        with timed() as wrote, watched() as wrote_mb:
            write_training_set(Path(place), project.spec, window, months, SEED, window.share)
        written = TrainingSet.load(Path(place))
        X, y = written.matrix("dense", "train"), written.target("train")
        with timed() as fitted, watched() as fit_mb:
            data = FitData(X, y, written.categorical, spill=Path(spill) if window.share < 1 else None)
            booster = fit(resolve_model_type("XGBoost"), params, data, seed=SEED, threads=2, rounds=TREES).estimator
            del data
        error = predict(booster, written.matrix("dense", "test")) - written.target("test")
    rmse = float(np.sqrt((error**2).mean()))
    return {"wrote_cpu": wrote["cpu"], "wrote_mb": max(wrote_mb), "fit_cpu": fitted["cpu"], "fit_mb": max(fit_mb)} | {
        "train_rows": len(y),
        "rmse": rmse,
    }


@contextmanager
def watched() -> Iterator[list[float]]:
    """Fills the list with this process's MB of memory of its own, again and again."""
    seen, done = [], threading.Event()

    def watch() -> None:
        while not seen or not done.wait(0.02):
            status = Path("/proc/self/status").read_text(encoding="ascii")
            seen.append(int(status.split("RssAnon:")[1].split()[0]) / 1024)

    watcher = threading.Thread(target=watch)
    watcher.start()
    yield seen
    done.set()
    watcher.join()


def score(folder: str, model: str, stored: list[str]) -> dict[str, Any]:
    """What `predictions` does with its rows, month after month in one process, without Dagster and MLflow."""
    import pyarrow as pa

    from mlops_assets.assets.predictions import COLUMNS, DISTINCT, Tally, score_rows
    from mlops_assets.core.model.model import load_model

    project, loaded = _project(folder), load_model(Path(model))
    schema = pa.schema([(name, getattr(pa, kind)()) for name, kind in COLUMNS.items()])
    with timed() as used:
        for month, path in zip(MONTHS, stored, strict=True):
            rows = score_rows(project, loaded, 1, month, path, Tally(1))
            project.storage.write_batches("predictions", month, schema, rows, DISTINCT)
    return used


def _project(folder: str, **settings: str) -> Project:
    from mlops_assets.project import open_project

    source = f"{folder}/{{period}}.parquet"
    return open_project({"MLOPS_DATASET": SPEC, "MLOPS_SOURCE_URI": source, "MLOPS_HOME": f"{folder}/home"} | settings)


def _batches(path: Path, columns: list[str]) -> Iterator[pa.Table]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(GROUP, columns=columns, use_threads=False):
            yield pa.table(batch)
