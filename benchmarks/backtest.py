"""The backtest on all taxi months at hand: which policy of retraining would have been best, and at what cost."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from benchmarks.homes import Home
from benchmarks.measuring import call, run
from benchmarks.places import Places
from benchmarks.results import Figure, Report, Table

START = 3
ORDER = ("window-12", "window-6", "window-3", "window-1")
PLOT = "benchmarks-backtest.svg"
BEST = Figure(
    "backtest on the taxi months: mean RMSE of the next month",
    "the longer the window, the better; the last month alone is worse than no retraining",
    f"`mlops-assets backtest` with XGBoost in an empty home; every policy begins with {START} months; table below",
)


def measure(places: Places) -> Report:
    if len(places.months) <= START:
        return Report([BEST.absent()])
    settings = {"MLOPS_DATASET": "nyc_green_taxi", "MLOPS_SOURCE_URI": places.source_uri}
    with Home.fresh(**settings, MLOPS_MODEL_TYPES="XGBoost") as home:
        run([Path(sys.executable).with_name("mlops-assets"), "backtest", "--start", str(START)], home.env)
        found = call(read_backtest, home.env).value
    rmse = {line[0]: float(line[2]) for line in found["lines"]}
    ranked = [rmse[name] for name in ORDER]
    reached = ranked == sorted(ranked) and rmse["window-1"] > rmse["never"]
    told = ", ".join(f"{name} {rmse[name]:.3f}" for name in sorted(rmse, key=rmse.__getitem__))
    table = Table(
        "Policies of retraining on the taxi months",
        tuple(found["header"]),
        tuple(tuple(line) for line in found["lines"]),
        text=f"Judged on {found['months']}; CPU seconds are of all fits that a policy asks for.",
        image=PLOT,
    )
    return Report([BEST.measured(told, reached)], [table])


def read_backtest() -> dict[str, Any]:
    """The lines of the table; the plot is written beside the page."""
    from benchmarks.measuring import ROOT
    from mlops_assets.assets.records import Records
    from mlops_assets.core.judge.backtest import HEADER, by_period, cells, steps_of, summarise
    from mlops_assets.instance import open_instance
    from mlops_assets.project import open_project

    project = open_project()
    with open_instance(project) as instance:
        record = Records(instance).latest("backtest_report")
    steps = steps_of(record.value("backtest_rows"))
    (ROOT / "docs" / PLOT).write_bytes(by_period(steps, project.spec.target.unit))
    return {
        "header": HEADER,
        "lines": [cells(summary) for summary in summarise(steps)],
        "months": record.value("periods"),
    }
