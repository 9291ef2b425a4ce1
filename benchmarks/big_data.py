"""Big data on one machine: preparation and scoring of one to a hundred million rows, and training beyond memory.

Memory has to stay, and cost to grow in step with the rows. It takes an hour, so it is measured only when it is named:
`python -m benchmarks big_data`. Each size has 36 monthly files of its own, removed afterwards (up to 12 GB).
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import big_rows
from benchmarks.measuring import ROOT, call
from benchmarks.places import Places
from benchmarks.results import Figure, Report, Table

SIZES = (1, 3, 10, 30, 100)  # million rows
TRAINED = (3, 10)  # of these sizes, a model is trained as well
MEMORY_ROWS = 500_000  # that training may hold, so that every window is larger
IMAGE = ROOT / "docs/big-data.png"
ONE = "One process for 36 monthly files, without Dagster"
MEMORY = Figure("preparation of 100 million rows, peak memory", "500 MB", f"{ONE}; imports have a share of 160 MB")
COST = Figure(
    "CPU s a million rows of preparation",
    "0.3",
    "growth from the smallest size to the largest, so without imports; reading and writing alone stands in the table",
)
SCORING = Figure("scoring of 100 million rows, peak memory", "1,000 MB", f"{ONE}; XGBoost, 100 trees")
BEYOND = Figure(
    "XGBoost on more rows than memory holds",
    "100 bytes a row or less",
    f"{MEMORY_ROWS:,} rows in memory at once; growth of memory that is no mapped file; {big_rows.TREES} trees",
)
TITLE = "From one million rows to a hundred"


@dataclass(frozen=True)
class Cost:
    """Of so many million rows: CPU seconds, and the peak memory in MB of the process that did it."""

    millions: float
    floor_cpu: float
    prepare_cpu: float
    prepare_mb: float
    score_cpu: float
    score_mb: float


@dataclass(frozen=True)
class Training:
    """Of so many million rows, `way` of memory_rows: CPU seconds and MB to write the training set and to fit."""

    millions: float
    way: str
    wrote_cpu: float
    wrote_mb: float
    fit_cpu: float
    fit_mb: float
    train_rows: int
    rmse: float

    @property
    def peak_mb(self) -> float:
        return max(self.wrote_mb, self.fit_mb)


def measure(places: Places) -> Report:
    costs, trainings = [], []
    for millions in SIZES:
        with tempfile.TemporaryDirectory(prefix="big-data-", dir=ROOT) as folder:
            cost, trained = measure_size(Path(folder), millions)
        costs.append(cost)
        trainings += trained
    draw(costs)
    return report(costs, trainings)


def measure_size(folder: Path, millions: float) -> tuple[Cost, list[Training]]:
    """What one size costs; the folder is empty at first."""
    place = str(folder)
    call(big_rows.make_files, folder=place, rows=round(millions * 1e6))
    floor = call(big_rows.read_and_write, folder=place)
    prepared = call(big_rows.prepare, folder=place)
    model = call(big_rows.make_model, folder=place).value
    scored = call(big_rows.score, folder=place, model=model, stored=prepared.value["raw"])
    cost = Cost(
        millions,
        floor.value["cpu"],
        prepared.value["cpu"],
        prepared.usage.peak_mb,
        scored.value["cpu"],
        scored.usage.peak_mb,
    )
    ways = {"from disk": MEMORY_ROWS, "in memory": 10**12} if millions == TRAINED[0] else {"from disk": MEMORY_ROWS}
    trained = [_train(place, prepared.value, millions, *way) for way in ways.items() if millions in TRAINED]
    print(cost, *trained, sep="\n", flush=True)
    return cost, trained


def _train(folder: str, prepared: dict[str, Any], millions: float, way: str, memory_rows: int) -> Training:
    arguments = {"clean": prepared["clean"], "rows": prepared["rows"], "memory_rows": memory_rows}
    return Training(millions, way, **call(big_rows.train, folder=folder, **arguments).value)


def report(costs: Sequence[Cost], trainings: Sequence[Training]) -> Report:
    first, last = costs[0], costs[-1]
    per_million = (last.prepare_cpu - first.prepare_cpu) / (last.millions - first.millions)
    floor = (last.floor_cpu - first.floor_cpu) / (last.millions - first.millions)
    whole = last.millions == SIZES[-1]
    rows = [
        MEMORY.measured(f"{last.prepare_mb:,.0f} MB of {last.millions:g} million", whole and last.prepare_mb <= 500),
        COST.measured(f"{per_million:.2f}; reading and writing alone {floor:.2f}", per_million <= 0.3),
        SCORING.measured(f"{last.score_mb:,.0f} MB of {last.millions:g} million", whole and last.score_mb <= 1000),
    ]
    few, many, *_ = sorted((each for each in trainings if each.way == "from disk"), key=lambda each: each.train_rows)
    grown = 1e6 * (many.peak_mb - few.peak_mb) / (many.train_rows - few.train_rows)
    told = ", ".join(f"{each.peak_mb:,.0f} MB of {each.train_rows / 1e6:.1f} million" for each in (few, many))
    rows.append(BEYOND.measured(f"{grown:.0f}: {told} training rows", grown <= 100))
    return Report(rows, [_growth(costs), _training(trainings)])


def _growth(costs: Sequence[Cost]) -> Table:
    header = ("million rows", "reading and writing alone, CPU s", "preparation, CPU s", "MB", "scoring, CPU s", "MB")
    lines = [
        (
            f"{cost.millions:g}",
            f"{cost.floor_cpu:.1f}",
            f"{cost.prepare_cpu:.1f}",
            f"{cost.prepare_mb:,.0f}",
            f"{cost.score_cpu:,.0f}",
            f"{cost.score_mb:,.0f}",
        )
        for cost in costs
    ]
    text = "Of 8 columns in 36 monthly files, in one process each; seconds have those of imports in them."
    return Table(TITLE, header, tuple(lines), text, IMAGE.name)


def _training(trainings: Sequence[Training]) -> Table:
    header = ("million rows", "way", "training set, CPU s", "MB", "fit, CPU s", "MB", "test RMSE")
    lines = [
        (
            f"{each.millions:g}",
            each.way,
            f"{each.wrote_cpu:.0f}",
            f"{each.wrote_mb:,.0f}",
            f"{each.fit_cpu:.0f}",
            f"{each.fit_mb:,.0f}",
            f"{each.rmse:.3f}",
        )
        for each in trainings
    ]
    text = f"{big_rows.TREES} trees; from disk, {MEMORY_ROWS:,} rows are in memory at once. MB without mapped files."
    return Table("Training in memory and from disk", header, tuple(lines), text)


def draw(costs: Sequence[Cost]) -> None:
    """CPU seconds and peak memory by million rows; seconds on logarithmic scales, with the slope of equal growth."""
    from matplotlib.figure import Figure as Canvas

    millions = [cost.millions for cost in costs]
    canvas = Canvas(figsize=(8, 3.2), layout="constrained")
    seconds, memory = canvas.subplots(1, 2)
    for axes, unit, title in ((seconds, "cpu", "CPU seconds"), (memory, "mb", "peak memory, MB")):
        for name, word, colour in (("prepare", "preparation", "#3b6ea5"), ("score", "scoring", "#d9822b")):
            axes.plot(millions, [getattr(cost, f"{name}_{unit}") for cost in costs], "o-", color=colour, label=word)
        axes.set(title=title, xlabel="million rows", xscale="log", xticks=millions, xticklabels=map(str, millions))
        axes.minorticks_off()
    seconds.plot(
        millions, [cost.floor_cpu for cost in costs], "o--", color="#999999", label="reading and writing alone"
    )
    seconds.set_yscale("log")
    memory.set_ylim(bottom=0)
    for axes in (seconds, memory):
        axes.legend(frameon=False)
    canvas.savefig(IMAGE, dpi=120, metadata={"Software": None})
