"""What answers promise, on months not learnt from: intervals by month and by category, each input left out, the level.

A home of each dataset ends with a month, as it did when that month was new; its candidate answers that one.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from benchmarks.homes import Home
from benchmarks.measuring import call
from benchmarks.places import Places
from benchmarks.results import Figure, Report, Table

if TYPE_CHECKING:
    from mlops_assets.core.columns import Columns
    from mlops_assets.core.model.model import Model

FLIGHTS, TAXI = "nyc_flights", "nyc_green_taxi"
MONTHS = {
    FLIGHTS: ("2013-07", "2013-08", "2013-09", "2013-10", "2013-11", "2013-12"),
    TAXI: ("2023-10", "2023-11", "2023-12", "2024-01", "2024-02"),
}
FEWEST = 300  # rows of a group whose coverage is looked at
TRIED = 50  # rows from which an input is left out
LOW, HIGH = 0.85, 0.95
COVERED = Figure(
    "coverage of 90 % intervals, by month and by main category",
    "85-95 % in nine of ten groups",
    f"each month answered by XGBoost, which has learnt from those before; categories of {FEWEST} rows or more",
)
LEVEL = Figure(
    "RMSE of these months with the level that periods pass on, beside the same without it",
    "lower on average",
    "the same answers; the level is learnt before the month: see the table",
)
LEFT_OUT = Figure(
    "each input left out in turn, where training rows had it always",
    "refused, or flagged and without an interval",
    f"{TRIED} rows of each such month",
)


def measure(places: Places) -> Report:
    sources = {FLIGHTS: ""} | ({TAXI: places.source_uri} if places.months else {})
    groups, tried, silent, levels = [], 0, [], []
    for name, uri in sources.items():
        for month in MONTHS[name]:
            with tempfile.TemporaryDirectory() as folder:
                found = _answered(name, uri, month, Path(folder))
            groups += [(name, month, *group) for group in found["groups"]]
            tried += found["tried"]
            silent += found["silent"]
            levels.append((name, month, *found["level"]))
    within = sum(LOW <= share <= HIGH for *_, share in groups)
    rows = [
        COVERED.measured(f"{within} of {len(groups)} groups", within >= 0.9 * len(groups)),
        LEFT_OUT.measured(f"{len(silent)} of {tried} silent {', '.join(sorted(set(silent)))}".strip(), not silent),
    ]
    rows.insert(1, LEVEL.measured(*_levels_in_words(levels)))
    return Report(rows, [_table(groups), _level_table(levels)])


def _answered(name: str, uri: str, month: str, folder: Path) -> dict[str, Any]:
    """What the candidate gives for the month that it is judged on."""
    from mlops_assets.dataset.spec import SHIPPED

    document = yaml.safe_load((SHIPPED / f"{name}.yaml").read_text(encoding="utf-8"))
    document["time"]["last"] = month
    dataset = folder / f"{name}.yaml"
    dataset.write_text(yaml.safe_dump(document), encoding="utf-8")
    settings = {"MLOPS_DATASET": str(dataset), "MLOPS_MODEL_TYPES": "XGBoost", "MLOPS_MAX_TRIALS": "1"}
    with Home.fresh(**settings, MLOPS_SOURCE_URI=uri) as home:
        home.run(codes=(0, 1))  # 1 where nobody was promoted, so that nobody can score
        return call(examine, home.env, dataset=name, source_uri=uri or None, month=month).value


def examine(dataset: str, source_uri: str | None, month: str) -> dict[str, Any]:
    """Shares of truths within their intervals by group, and inputs whose absence nobody was told of."""
    from mlops_assets.assets.records import Records
    from mlops_assets.core.columns import from_table
    from mlops_assets.core.prepare.cleaning import TARGET, clean
    from mlops_assets.dataset import load_dataset
    from mlops_assets.instance import open_instance
    from mlops_assets.project import open_project
    from mlops_assets.sources import open_source

    project = open_project()
    with open_instance(project) as instance:
        model = project.registry.load(Records(instance).newest("xgboost_model").value("version"))
    spec = load_dataset(dataset, {}, source_uri)
    source = open_source(spec, Path(tempfile.gettempdir()), timeout=30, retries=0)
    table = clean(spec, source.read(month), month).table
    columns, y = from_table(table, spec.inputs()), table.column(TARGET).to_numpy()
    learnt = {together[0] for together in model.absences or () if len(together) == 1}  # absent in training rows too
    tried = [alias for alias in columns if alias not in learnt]
    silent = [alias for alias in tried if _is_silent(model, columns, alias)]
    return {
        "groups": _groups(model, columns, y),
        "tried": len(tried),
        "silent": silent,
        "level": _level(model, columns, y),
    }


def _groups(model: Model, columns: Columns, y: Any) -> list[tuple[str, int, float]]:
    import numpy as np

    answers = model.answer_complete(columns)
    holds = (answers.low <= y) & (y <= answers.high)
    groups = [("all", len(y), float(holds.mean()))]
    main = model.spec.features.main_category
    for value in sorted(set(columns[main].tolist()), key=str) if main else ():
        rows = columns[main] == value
        if np.count_nonzero(rows) >= FEWEST:
            groups.append((f"{main} {value}", int(np.count_nonzero(rows)), float(holds[rows].mean())))
    return groups


def _level(model: Model, columns: Columns, y: Any) -> tuple[float, float, float]:
    """What is added to each answer, and the RMSE with it and without."""
    import dataclasses

    from mlops_assets.core.targets.metrics import RMSE

    plain = dataclasses.replace(model, finish=None)
    both = (RMSE(y, asked.output(columns)) for asked in (model, plain))
    return (model.kind.added(model.finish), *both)


def _levels_in_words(levels: list[tuple]) -> tuple[str, bool]:
    """Of each dataset the mean over its months."""
    from statistics import mean

    names = dict.fromkeys(name for name, *_ in levels)
    means = {name: [mean(level[place] for level in levels if level[0] == name) for place in (3, 4)] for name in names}
    words = "; ".join(f"{name} {have:.3f} : {lack:.3f}" for name, (have, lack) in means.items())
    return words, all(have < lack for have, lack in means.values())


def _level_table(levels: list[tuple]) -> Table:
    return Table(
        "The level on months not learnt from",
        ("dataset", "month", "added to each answer", "RMSE", "without"),
        tuple(
            (name, month, f"{added:+.2f}", f"{have:.2f}", f"{lack:.2f}") for name, month, added, have, lack in levels
        ),
    )


def _is_silent(model: Model, columns: Columns, alias: str) -> bool:
    """Whether rows without an input are answered as if nothing were amiss."""
    import numpy as np

    from mlops_assets.core.columns import take
    from mlops_assets.errors import InputError

    rows = take(columns, np.arange(TRIED))
    absent = {"O": None, "M": np.datetime64("NaT")}.get(rows[alias].dtype.kind, np.nan)
    try:
        answers = model.answer_complete(rows | {alias: np.full(TRIED, absent, rows[alias].dtype)})
    except InputError:
        return False
    return not (np.isnan(answers.low).all() and alias in answers.missing)


def _table(groups: list[tuple]) -> Table:
    """All rows of each month, and its groups furthest from what was promised."""
    lines = []
    for dataset, month in dict.fromkeys((name, month) for name, month, *_ in groups):
        (whole, *parts) = [group[2:] for group in groups if group[:2] == (dataset, month)]
        within = sum(LOW <= share <= HIGH for *_, share in parts)
        worst = min(parts, key=lambda part: part[2])
        lines.append((dataset, month, f"{whole[2]:.3f}", f"{within} of {len(parts)}", f"{worst[0]}: {worst[2]:.3f}"))
    return Table(
        "Coverage of intervals on months not learnt from",
        ("dataset", "month", "all rows", "categories between 85 % and 95 %", "the least"),
        tuple(lines),
    )
