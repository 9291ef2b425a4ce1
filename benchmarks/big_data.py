"""Preparation and batch scoring of one to a hundred million rows: memory that stays, and a cost that grows in step.

`python -m benchmarks.big_data 1 10 100` makes so many million rows as 36 monthly files, prepares and scores them in
processes of their own, and draws docs/big-data.png.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.measuring import ROOT, call

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
    """Monthly files in the layout of the published ones; a pure function of the number of rows."""
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
    """What `raw_data` and `clean_data` do, month after month in one process."""


def score(folder: str, model: str, stored: list[str]) -> dict[str, Any]:
    """What `predictions` does, month after month in one process."""


def draw(costs: list[Cost]) -> None:
    """CPU seconds and peak memory by million rows."""


if __name__ == "__main__":
    main()
