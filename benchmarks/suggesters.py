"""What suggests points: random, hyperopt's TPE and Optuna's TPE at equal trials, over five seeds."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.searches import flights

SEEDS, TRIALS, ROWS = range(5), 10, 8_000
SHOWN = (1, 5, TRIALS)
NAMES = ("random", "hyperopt", "optuna")


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


def measure() -> None:
    """Print the mean over the seeds after some trials, and what the space's own start gives in one."""
    from mlops_assets.core.learners.model_types import resolve_model_type
    from mlops_assets.core.search.trials import FitTrial

    with flights() as folder:
        kind = resolve_model_type("XGBoost")
        start = FitTrial(folder, kind, 7, os.cpu_count() or 1, ROWS)(kind.space.adopt(kind.space.start), float("inf"))
        print(f"start point: {start.loss:.4f}", flush=True)
        for name in NAMES:
            runs = [losses(folder, "XGBoost", name, seed) for seed in SEEDS]
            by_trials = ", ".join(f"{sum(run[n - 1] for run in runs) / len(runs):.4f} after {n}" for n in SHOWN)
            last = [run[-1] for run in runs]
            print(f"{name}: {by_trials}; from {min(last):.4f} to {max(last):.4f}", flush=True)


if __name__ == "__main__":
    measure()
