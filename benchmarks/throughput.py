"""Trials in a minute: one at a time on all cores, or one a process side by side."""

from __future__ import annotations

from typing import Any

from benchmarks.measuring import call, in_turns, middle, timed
from benchmarks.places import Places
from benchmarks.results import Figure, Report
from benchmarks.searches import flights, search_flights

REPEATS = 3
TRIALS = 8
THROUGHPUT = Figure(
    "trials in a minute, `MLOPS_TRIALS=local:2` beside `local`",
    "",
    f"the same {TRIALS} points of XGBoost on the embedded flights; all threads for one trial, or one each for two; the "
    "start of the processes is counted",
)


def measure(places: Places) -> Report:
    one, two = in_turns(REPEATS, lambda: call(tune, where="local"), lambda: call(tune, where="local:2"))
    speed = [middle(runs, lambda ran: TRIALS * 60 / ran.value["wall"]) for runs in (one, two)]
    text = f"{speed[1] / speed[0]:.2f} times: {speed[1]:.1f} beside {speed[0]:.1f}"
    return Report([THROUGHPUT.measured(text)])


def tune(where: str) -> dict[str, Any]:
    with flights() as folder, timed() as used:
        search_flights(folder, "XGBoost", TRIALS, where, lambda trial, *, resumed: None)
    return used
