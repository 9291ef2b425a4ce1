"""The whole pipeline on two months of taxi trips, tracked and with models logged, beside the tutorial's script."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmarks.homes import Home
from benchmarks.measuring import ROOT, Ran, in_turns, middle, run
from benchmarks.places import Places
from benchmarks.results import Figure, Report, Table
from benchmarks.taxi import TUTORIAL

REPEATS = 3
MONTHS = ("2024-01", "2024-02")
SPECS = ROOT / "benchmarks/specs"
SHIPPED = ROOT / "mlops_assets/dataset/shipped/nyc_green_taxi.yaml"
SAME = Figure(
    "whole pipeline (2 months; LinearRegression and Lasso 10 evaluations, XGBoost 3; all tracked, models logged) "
    "beside the tutorial's plain script",
    "at most 1.5 times its wall time",
    "`mlops-assets run` in an empty home with the tutorial's features, matrix and search spaces "
    "(`benchmarks/specs/tutorial*.yaml`), beside `tutorial_baseline.py --evals 3 --sk-evals 10`. Ours also fits the "
    "champion again on both months and predicts both; LinearRegression has 2 points, and none is tried twice",
)
OWN = Figure(
    "the same with all features of `nyc_green_taxi` and our search spaces",
    "",
    "2 : 10 : 3 trials as above; more columns and several hundred trees instead of tens",
)
PLAIN = Figure(
    "the same with all features of `nyc_green_taxi`, beside a plain script that does the same work",
    "at most 1.25 times its wall time",
    "`benchmarks/plain_script.py`: the same reading, cleaning, encodings, trials, fits, refit, intervals and answers, "
    "tracked and logged; without Dagster, storage, checks, gate, explanations, card, drift and plots",
)


def measure(places: Places) -> Report:
    if not places.has(*MONTHS) or not places.baseline:
        return Report([SAME.absent(), OWN.absent(), PLAIN.absent()])
    with tempfile.TemporaryDirectory() as folder:
        own = _two_months(Path(folder))
        files = [places.file(month) for month in MONTHS]
        script = [sys.executable, places.baseline, "--evals", "3", "--sk-evals", "10", *files]
        homes: dict[str, dict[str, Any]] = {}

        def pipeline(dataset: str, spaces: str) -> Ran:
            settings = {"MLOPS_DATASET": dataset, "MLOPS_SOURCE_URI": places.source_uri}
            settings |= {"MLOPS_MODEL_TYPES": "LinearRegression,Lasso,XGBoost", "MLOPS_MAX_TRIALS": "10"}
            settings |= {"MLOPS_SEARCH_SPACES": str(SPECS / spaces)}
            with Home.fresh(**settings) as home:
                ran = home.run_counting()
                homes[dataset] = home.recorded()
                return ran

        def plain() -> Ran:
            with tempfile.TemporaryDirectory() as work:
                command = [
                    sys.executable,
                    "-m",
                    "benchmarks.plain_script",
                    own,
                    SPECS / "three_points.yaml",
                    "10",
                    work,
                ]
                return run(command, {"MLOPS_SOURCE_URI": places.source_uri})

        tutorial, bare, same, full = in_turns(
            REPEATS,
            lambda: run(script),
            plain,
            lambda: pipeline(TUTORIAL, "tutorial_spaces.yaml"),
            lambda: pipeline(own, "three_points.yaml"),
        )
    ratio, rest, beside = _wall(same) / _wall(tutorial), _wall(full) / _wall(tutorial), _wall(full) / _wall(bare)
    rows = [
        SAME.measured(
            f"{ratio:.2f} times: {_cost(same)}, of which XGBoost and scikit-learn themselves "
            f"{middle(same, lambda ran: ran.value):.0f} CPU s; tutorial {_cost(tutorial)}",
            ratio <= 1.5,
        ),
        OWN.measured(f"{rest:.2f} times: {_cost(full)}"),
        PLAIN.measured(f"{beside:.2f} times: {_cost(full)}; script {_cost(bare)}", beside <= 1.25),
    ]
    return Report(rows, [_table(json.loads(tutorial[0].output), homes[TUTORIAL], homes[own])])


def _two_months(folder: Path) -> str:
    """The shipped dataset on the two months: its own YAML with another window."""
    document = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    document["time"] |= {"first": MONTHS[0], "last": MONTHS[1]}
    document["window"] = {"train_periods": 1, "validation_periods": 1, "test_periods": 0}
    path = folder / "nyc_green_taxi.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return str(path)


def _wall(runs: Sequence[Ran]) -> float:
    return middle(runs, lambda ran: ran.usage.wall)


def _cost(runs: Sequence[Ran]) -> str:
    cpu, peak = middle(runs, lambda ran: ran.usage.cpu), middle(runs, lambda ran: ran.usage.peak_mb)
    return f"{_wall(runs):.0f} s wall, {cpu:.0f} CPU s, peak {peak:,.0f} MB"


def _table(tutorial: dict[str, Any], same: dict[str, Any], own: dict[str, Any]) -> Table:
    models = tutorial["models"]
    theirs = {name: models[name]["rmse_val"] for name in ("LinearRegression", "Lasso")}
    theirs["XGBoost"] = models["XGBoost"]["rmse_val_final_model"]
    ours = [{row["model"]: row["validation_loss"] for row in home["leaderboard_rows"]} for home in (same, own)]
    lines = [(name, f"{rmse:.3f}", *(f"{found[name]:.3f}" for found in ours)) for name, rmse in theirs.items()]
    return Table(
        "RMSE on 2024-02 of the models of the whole pipeline",
        ("model", "tutorial", "ours, its features and spaces", "ours, our features and spaces"),
        tuple(lines),
        text="Validation RMSE of the final models after so few trials; for the linear ones of the tutorial, of the "
        "best trial, since its final fits have seen these rows.",
    )
