"""What loading the project costs Dagster, beside a project of three trivial assets."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from benchmarks.measuring import ROOT, in_turns, middle, run
from benchmarks.places import Places
from benchmarks.results import Figure, Report

REPEATS = 9
VALIDATE = Figure(
    "`dagster definitions validate`, CPU beside a project of three trivial assets",
    "at most 1.3 times",
    f"median of {REPEATS} in turns, each with an empty home; all imports included",
)
TRIVIAL = """import dagster as dg


@dg.asset
def first(): ...


@dg.asset(deps=[first])
def second(): ...


@dg.asset(deps=[second])
def third(): ...


defs = dg.Definitions([first, second, third])
"""
WORKSPACE = "load_from:\n  - python_file: {relative_path: trivial.py}\n"


def measure(places: Places) -> Report:
    command = [Path(sys.executable).with_name("dagster"), "definitions", "validate", "-w", "workspace.yaml"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "trivial.py").write_text(TRIVIAL)
        (folder / "workspace.yaml").write_text(WORKSPACE)
        (folder / "dagster").mkdir()
        env = {"DAGSTER_HOME": str(folder / "dagster"), "MLOPS_HOME": str(folder / "home")}
        ours, trivial = in_turns(REPEATS, lambda: run(command, env, ROOT), lambda: run(command, env, folder))
    cpu, beside = (middle(runs, lambda ran: ran.usage.cpu) for runs in (ours, trivial))
    peak, floor = (middle(runs, lambda ran: ran.usage.peak_mb) for runs in (ours, trivial))
    text = f"{cpu / beside:.2f} times: {cpu:.2f} : {beside:.2f} CPU s, peak {peak:,.0f} : {floor:,.0f} MB"
    return Report([VALIDATE.measured(text, cpu <= 1.3 * beside)])
