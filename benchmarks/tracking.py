"""What it costs a search that MLflow is told of each trial."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.measuring import call, in_turns, middle, timed
from benchmarks.places import Places
from benchmarks.results import Figure, Report
from benchmarks.searches import flights, search_flights, trial_logger

REPEATS = 3
SEARCHES = {"Ridge": 16, "XGBoost": 8}
LOGGING = Figure(
    "MLflow logging, as a share of a trial",
    "at most 1/10",
    "embedded flights, SQLite: seconds that the search's thread spends in the logger, the wait at its end included, "
    "over those of the trials; in brackets the CPU time of logging on all threads",
)


def measure(places: Places) -> Report:
    runs = in_turns(REPEATS, *(lambda n=name, k=k: call(log, model_type=n, trials=k) for name, k in SEARCHES.items()))
    parts, worst = [], 0.0
    for (name, trials), ran in zip(SEARCHES.items(), runs, strict=True):
        waited, cpu, trial = (middle(ran, lambda r, of=of: r.value[of]) for of in ("waited", "cpu", "trial"))
        worst = max(worst, waited / trial)
        parts.append(f"{name} {waited / trial:.1%} of {trial:.2f} s ({cpu * 1000:.0f} CPU ms a trial, {trials} trials)")
    return Report([LOGGING.measured("; ".join(parts), worst <= 0.1)])


def log(model_type: str, trials: int) -> dict[str, Any]:
    """Seconds a trial: `trial` itself, `waited` by the search for the logger, `cpu` of logging on all threads."""
    import time

    with flights() as folder:
        waited, finished = 0.0, []
        search_flights(folder, model_type, trials, "local", lambda trial, *, resumed: finished.append(trial))
        with trial_logger(Path(folder).parent, model_type) as logger:

            def hand_over(trial: Any, *, resumed: bool) -> None:
                nonlocal waited
                started = time.perf_counter()
                logger.log(trial)
                waited += time.perf_counter() - started

            search_flights(folder, model_type, trials, "local", hand_over)
            closing = time.perf_counter()
        waited += time.perf_counter() - closing
        with timed() as used, trial_logger(Path(folder).parent, f"{model_type} again") as logger:
            for trial in finished:
                logger.log(trial)
    seconds = sum(trial.seconds for trial in finished)
    count = len(finished)
    return {"trial": seconds / count, "waited": waited / count, "cpu": used["cpu"] / count}
