"""Preparation and batch scoring of one to a hundred million rows: memory that stays, and a cost that grows in step.

`python -m benchmarks.big_data 1 10 100` makes so many million rows as 36 monthly files, prepares and scores them in
processes of their own, and draws docs/big-data.png.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.measuring import ROOT, call, timed

if TYPE_CHECKING:
    from mlops_assets.project import Project

MONTHS = tuple(f"{year}-{month:02}" for year in (2023, 2024, 2025) for month in range(1, 13))
SPEC = "nyc_green_taxi"
SEED, ZONES, GROUP = 7, 263, 131_072
LEARNT_FROM = 200_000  # rows of the model that scores
IMAGE = ROOT / "docs/big-data.png"


@dataclass(frozen=True)
class Cost:
    """Of so many million rows: CPU seconds, and the peak memory in MB of the process that did it."""

    millions: float
    prepare_cpu: float
    prepare_mb: float
    score_cpu: float
    score_mb: float


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.big_data", description=__doc__)
    parser.add_argument("millions", type=float, nargs="+", help="million rows to measure")
    parser.add_argument("--folder", type=Path, help="where the files go; a temporary folder without it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        costs = [measure(Path(folder) / f"{millions:g}", millions) for millions in options.millions]
    draw(costs)


def measure(folder: Path, millions: float) -> Cost:
    folder.mkdir()
    rows = round(millions * 1e6)
    call(make_files, folder=str(folder), rows=rows)
    model = call(make_model, folder=str(folder)).value
    prepared = call(prepare, folder=str(folder))
    scored = call(score, folder=str(folder), model=model, stored=prepared.value["raw"])
    cost = Cost(
        millions,
        prepared.value["cpu"],
        prepared.usage.peak_mb,
        scored.value["cpu"],
        scored.usage.peak_mb,
    )
    print({name: round(value, 2) for name, value in asdict(cost).items()}, flush=True)
    return cost


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
    from mlops_assets.core.encoding import fit_encoder
    from mlops_assets.core.estimators import FitData, fit
    from mlops_assets.core.model import Model
    from mlops_assets.core.model_types import resolve_model_type

    taxi = Taxi(SPEC, f"{folder}/{{month}}.parquet")
    train = taxi.split(MONTHS[:1], MONTHS[1])["train"]
    step = max(1, len(train) // LEARNT_FROM)
    columns, y = {alias: values[::step] for alias, values in train.columns.items()}, train.y[::step]
    fitted = fit_encoder(taxi.spec.features, columns, y, SEED)
    data = FitData(fitted.dense, y, fitted.encoder.dense_categorical)
    kind = resolve_model_type("XGBoost")
    estimator = fit(kind, {"n_estimators": 200, "max_depth": 6}, data, seed=SEED, threads=1).estimator
    target = Path(folder) / "model"
    target.mkdir()
    Model(taxi.spec, fitted.encoder, estimator, "XGBoost", kind.matrix).save(target)
    return str(target)


def prepare(folder: str) -> dict[str, Any]:
    """What `raw_data` and `clean_data` do with their rows, month after month in one process, without Dagster."""
    from mlops_assets.assets.month_rows import store_clean, store_raw
    from mlops_assets.core.cleaning import Cleaner
    from mlops_assets.core.quality import judge_clean, judge_raw
    from mlops_assets.core.tallies import CleanRows, RawRows

    project, stored = _project(folder), []
    with timed() as used:
        for month in MONTHS:
            raw = RawRows(project.spec, month)
            stored.append(store_raw(project, month, raw).path)
            judge_raw(project.spec, raw, month, {})
            cleaner, clean = Cleaner(project.spec, month), CleanRows(project.spec)
            store_clean(project, month, stored[-1], cleaner, clean)
            judge_clean(project.spec, clean, month, cleaner.dropped, raw.rows)
    return used | {"raw": stored}


def score(folder: str, model: str, stored: list[str]) -> dict[str, Any]:
    """What `predictions` does with its rows, month after month in one process, without Dagster and MLflow."""
    import pyarrow as pa

    from mlops_assets.assets.prediction import COLUMNS, DISTINCT, Tally, score_rows
    from mlops_assets.core.model import load_model

    project, loaded = _project(folder), load_model(Path(model))
    schema = pa.schema([(name, getattr(pa, kind)()) for name, kind in COLUMNS.items()])
    with timed() as used:
        for month, path in zip(MONTHS, stored, strict=True):
            rows = score_rows(project, loaded, 1, month, path, Tally(1))
            project.storage.write_batches("predictions", month, schema, rows, DISTINCT)
    return used


def _project(folder: str) -> Project:
    from mlops_assets.project import open_project

    source = f"{folder}/{{month}}.parquet"
    return open_project({"MLOPS_DATASET": SPEC, "MLOPS_SOURCE_URI": source, "MLOPS_HOME": f"{folder}/home"})


def draw(costs: list[Cost]) -> None:
    """CPU seconds and peak memory by million rows, on axes whose both scales are logarithmic."""
    from matplotlib.figure import Figure

    millions = [cost.millions for cost in costs]
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    seconds, memory = figure.subplots(1, 2)
    for axes, unit, title in ((seconds, "cpu", "CPU seconds"), (memory, "mb", "peak memory, MB")):
        for name, word, colour in (("prepare", "preparation", "#3b6ea5"), ("score", "scoring", "#d9822b")):
            axes.plot(millions, [getattr(cost, f"{name}_{unit}") for cost in costs], "o-", color=colour, label=word)
        axes.set(title=title, xlabel="million rows", xscale="log")
        axes.legend(frameon=False)
    seconds.set_yscale("log")
    memory.set_ylim(bottom=0)
    figure.savefig(IMAGE, dpi=120, metadata={"Software": None})


if __name__ == "__main__":
    from benchmarks import big_data  # under a name that its child processes can import

    big_data.main()
