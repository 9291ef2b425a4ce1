"""Retrainings over simulated years, by chance: no month lost, nothing twice; and planted bugs, to be found.

    python -m benchmarks simulate [--histories 10000] [--seed 1] [--planted]

A history is some events (months, deaths, places that are away, people) and the calm after them, in memory, with the
real decisions: mlops_assets_tests/automation/simulated_world.py says what is real and what is modelled.
"""

from __future__ import annotations

import argparse
import gc
import os
import time
from collections.abc import Sequence

from benchmarks.measuring import call
from benchmarks.places import Places
from benchmarks.results import Figure, Report

HISTORIES, MOST_SECONDS = 10_000, 300
TO_FIND = 1_000  # histories at most, of one planted bug
SIMULATED = Figure(
    "10,000 simulated histories of retraining: months, deaths, places away, people",
    f"no month lost, nothing twice, within {MOST_SECONDS} CPU seconds",
    "`python -m benchmarks simulate --histories 10000`, seed 1: the real decisions, all places in memory",
)


def measure(places: Places) -> Report:
    """The row of the table; bugs are planted by `--planted` only."""
    found = call(simulate, histories=HISTORIES, seed=1).value
    text = f"{found['broken']} broken; {found['cpu']:.0f} CPU s"
    return Report([SIMULATED.measured(text, not found["broken"] and found["cpu"] <= MOST_SECONDS)])


def simulate(histories: int, seed: int) -> dict[str, float]:
    """How many histories broke a promise, each printed with its story, and the CPU seconds of all."""
    from mlops_assets_tests.automation.simulated_events import history
    from mlops_assets_tests.automation.simulated_world import Broken, quick

    began, broken = time.process_time(), 0
    with quick():
        gc.freeze()
        for number in range(histories):
            try:
                history(f"{seed}/{number}")
            except Broken as error:
                broken += 1
                print("\n".join([*error.__notes__, f"{error}", ""]), flush=True)
    return {"broken": broken, "cpu": time.process_time() - began}


def plant(seed: int) -> int:
    """Print which planted bug is found, by which history, and how; how many are."""
    from mlops_assets_tests.automation.planted_bugs import BUGS
    from mlops_assets_tests.automation.simulated_events import history
    from mlops_assets_tests.automation.simulated_world import quick

    count = 0
    for bug in BUGS:
        began, how = time.process_time(), f"not found in {TO_FIND} histories"
        with bug.planted(), quick():
            for number in range(TO_FIND):
                try:
                    history(f"{seed}/{number}")
                except Exception as error:  # a bug may show as any error
                    count, how = count + 1, f"history {number + 1}: {error}"
                    break
        print(f"{bug.what} | {how[:110]} | {time.process_time() - began:.1f} CPU s", flush=True)
    print(f"{count} of {len(BUGS)} planted bugs are found")
    return count


def main(arguments: Sequence[str]) -> int:
    """The command; 1 where a promise was broken, or more than one planted bug in ten was not found."""
    from mlops_assets_tests.automation.planted_bugs import BUGS

    parser = argparse.ArgumentParser(prog="python -m benchmarks simulate", description=__doc__.splitlines()[0])
    parser.add_argument("--histories", type=int, default=HISTORIES)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--planted", action="store_true", help="plant bugs, and see which are found")
    options = parser.parse_args(arguments)
    print(f"seed {options.seed}, load {os.getloadavg()[1]:.1f}", flush=True)
    if options.planted:
        return int(plant(options.seed) < 0.9 * len(BUGS))
    found = simulate(options.histories, options.seed)
    print(f"{options.histories:,} histories: {found['broken']} broken, {found['cpu']:.0f} CPU s")
    return int(found["broken"] > 0)
