"""400 days beside 13 months of the same rows: a first run, a run with one period more, one in which nothing changed."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import yaml

from benchmarks.dashboards import write_runs
from benchmarks.homes import Home
from benchmarks.measuring import ROOT, run
from benchmarks.places import Places
from benchmarks.results import Figure, Report

ROWS, DAYS = 52_000, 401
START = np.datetime64("2024-01-01")
WINDOWS = {"month": (11, 1, 1), "day": (340, 30, 30)}  # periods to train on, to tune on and to judge by
HOW = f"CPU s of `mlops-assets run`: {ROWS:,} made-up sales, Ridge with one trial"
FIRST = Figure("400 daily partitions beside 13 monthly ones of the same rows: the first run", "at most 3 times", HOW)
MORE = Figure("the same, one period more", "at most 1.5 times", "a run after the file of the next period was put there")
AGAIN = Figure("the same, nothing changed", "at most 1.5 times", "a run after that")
PAST, MADE = 5_000, 4  # runs of before, and what each has made
OLD = Figure(
    f"400 daily partitions and {PAST:,} past runs, nothing changed",
    "at most 5 s",
    f"CPU s of `mlops-assets run` after rows of {PAST:,} runs, and of {MADE} materialisations by each, were put before "
    "its own into Dagster's SQLite files",
)
LOADED = Figure("the same, `dagster definitions validate`", "at most 1.1 times", "in the homes of these runs")


def measure(places: Places) -> Report:
    with TemporaryDirectory() as folder:
        (*months, _), (*days, old) = (_measured(Path(folder) / every, every) for every in WINDOWS)
    limits = {FIRST: 3.0, MORE: 1.5, AGAIN: 1.5, LOADED: 1.1}
    rows = []
    for (figure, limit), cpu, beside in zip(limits.items(), days, months, strict=True):
        ratio = cpu / beside
        rows.append(figure.measured(f"{ratio:.2f} times: {cpu:.1f} : {beside:.1f} CPU s", ratio <= limit))
    return Report([*rows, OLD.measured(f"{old:.1f} CPU s", old <= 5)])


def _measured(folder: Path, every: str) -> list[float]:
    """CPU seconds of a first run, of one with a period more, of one without a change, of loading, and after years."""
    with _home(folder, every) as (home, later):
        first = home.run()
        later.rename(later.with_suffix(""))
        more, again = home.run(), home.run()
        command = [Path(sys.executable).with_name("dagster"), "definitions", "validate", "-w", "workspace.yaml"]
        dagster = Path(home.env["MLOPS_HOME"], "shop/dagster")
        loaded = run(command, home.env | {"DAGSTER_HOME": str(dagster)}, ROOT)
        _age(dagster)
        return [ran.usage.cpu for ran in (first, more, again, loaded, home.run())]


def _age(dagster: Path) -> None:
    """Give a home a past: runs, and what they have made, which was made again since."""
    columns = "run_id, event, dagster_event_type, timestamp, step_key, asset_key, partition"
    past = write_runs(dagster, PAST)
    with closing(sqlite3.connect(dagster / "history/runs/index.db")) as connection, connection:
        made = connection.execute(
            f"SELECT {columns} FROM event_logs WHERE dagster_event_type = 'ASSET_MATERIALIZATION'"
        ).fetchall()
        rows = [
            (place - len(past) * MADE, past[place // MADE], *made[place % len(made)][1:])
            for place in range(len(past) * MADE)
        ]
        connection.executemany(f"INSERT INTO event_logs (id, {columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)


@contextmanager
def _home(folder: Path, every: str) -> Iterator[tuple[Home, Path]]:
    """A home for sales in a file a period, and the file of the last one, which has another name yet."""
    names = write_sales(folder / "sales", every)
    last = folder / "sales" / f"sales_{names[-1]}.csv"
    (folder / "shop.yaml").write_text(yaml.safe_dump(dataset(folder, every, names), sort_keys=False))
    settings = {"MLOPS_DATASET": str(folder / "shop.yaml"), "MLOPS_MODEL_TYPES": "Ridge", "MLOPS_MAX_TRIALS": "1"}
    with Home.fresh(**settings) as home:
        yield home, last.rename(last.with_suffix(".csv.later"))


def write_sales(folder: Path, every: str, rows: int = ROWS) -> list[str]:
    """The same sales whatever a period is; the names of the periods."""
    rng = np.random.default_rng(5)
    at = np.sort(START.astype("datetime64[s]") + rng.integers(0, DAYS * 86_400, rows).astype("timedelta64[s]"))
    zone, size = rng.integers(1, 6, rows), rng.gamma(2, 15, rows).round(3)
    price = (5 + size * (1 + zone / 5) * rng.lognormal(0, 0.1, rows)).round(3)
    periods = at.astype(f"datetime64[{'D' if every == 'day' else 'M'}]").astype(str)
    folder.mkdir(parents=True)
    names, starts = np.unique(periods, return_index=True)
    for name, start, end in zip(names, starts, [*starts[1:], rows], strict=True):
        values = zip(at[start:end], zone[start:end], size[start:end], price[start:end], strict=True)
        lines = (",".join(map(str, row)) for row in values)
        (folder / f"sales_{name}.csv").write_text("\n".join(["at,zone,size,price", *lines, ""]))
    return names.tolist()


def dataset(folder: Path, every: str, names: list[str]) -> dict[str, Any]:
    """The YAML of the sales."""
    train, validation, test = WINDOWS[every]
    return {
        "name": "shop",
        "source": {"kind": "files", "uri": f"{folder}/sales/sales_{{period}}.csv"},
        "columns": {"at": {"type": "time"}, "zone": {"type": "integer"}, "size": {}, "price": {}},
        "time": {"column": "at", "every": every, "first": names[0], "last": names[-1]},
        "target": {"column": "price", "keep": [1, 1000], "unit": "euros"},
        "features": {
            "categorical": ["zone"],
            "numeric": {"size": {}},
            "calendar": {"at": {"parts": ["hour", "weekday"]}},
        },
        "window": {"train_periods": train, "validation_periods": validation, "test_periods": test},
    }
