"""What suggests points: random, hyperopt's TPE and Optuna's TPE at equal trials, over five seeds."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from benchmarks.measuring import call
from benchmarks.places import Places
from benchmarks.results import Figure, Report, Table
from benchmarks.searches import flights

SEEDS, TRIALS, ROWS = range(5), 10, 8_000
SHOWN = (1, 5, TRIALS)
NAMES = ("random", "hyperopt", "optuna")
EQUAL = Figure(
    "suggesters at equal trials: RMSE on validation",
    "hyperopt no worse than random",
    f"XGBoost on {ROWS:,} rows of flights, {TRIALS} trials without the space's own start, the first five at random; "
    "mean over five seeds",
)


def losses(folder: Path, model_type: str, name: str, seed: int) -> list[float]:
    """The best loss after each trial of a search that begins without the space's own start."""
    from mlops_assets.core.learners.model_types import resolve_model_type
    from mlops_assets.core.search.suggestions import make_suggester
    from mlops_assets.core.search.trials import FitTrial

    kind = resolve_model_type(model_type)
    objective = FitTrial(folder, kind, 7, os.cpu_count() or 1, ROWS)
    suggester = make_suggester(kind.space, seed=seed, startup=5, first=[], name=name)
    best: list[float] = []
    for number in range(TRIALS):
        point = suggester.next()
        if point is None:
            break
        loss = objective(point, float("inf")).loss
        suggester.tell(number, loss)
        best.append(min([loss, *best[-1:]]))
    return best


def measure(places: Places) -> Report:
    found = call(search_all).value
    lines, means = [], {}
    for name in NAMES:
        runs = found[name]
        shown = [f"{sum(run[number - 1] for run in runs) / len(runs):.3f}" for number in SHOWN]
        last = [run[-1] for run in runs]
        means[name] = sum(last) / len(last)
        lines.append((name, *shown, f"{min(last):.3f} to {max(last):.3f}"))
    told = ", ".join(f"{name} {mean:.3f}" for name, mean in means.items())
    row = EQUAL.measured(f"{told}; the start point alone {found['start']:.3f}", means["hyperopt"] <= means["random"])
    header = ("suggester", *(f"after {number}" for number in SHOWN), f"seeds after {TRIALS}")
    return Report([row], [Table("Best RMSE of a search, mean over five seeds", header, tuple(lines))])


def search_all() -> dict[str, Any]:
    """The courses of each suggester's searches by seed, and what the space's own start gives in one trial."""
    from mlops_assets.core.learners.model_types import resolve_model_type
    from mlops_assets.core.search.trials import FitTrial

    with flights() as folder:
        kind = resolve_model_type("XGBoost")
        start = FitTrial(folder, kind, 7, os.cpu_count() or 1, ROWS)(kind.space.adopt(kind.space.start), float("inf"))
        courses = {name: [losses(folder, "XGBoost", name, seed) for seed in SEEDS] for name in NAMES}
    return courses | {"start": start.loss}
