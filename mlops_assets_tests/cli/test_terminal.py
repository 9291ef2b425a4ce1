"""What a terminal shows, with texts that hold brackets as they are."""

import os
import re
from io import StringIO
from unittest.mock import MagicMock

import pytest
from rich.console import Console

from mlops_assets.assets.plan import Part, Task
from mlops_assets.cli.runner import Outcome
from mlops_assets.cli.terminal import TerminalProgress, leaderboard_table, outcomes_table, reasons_table
from mlops_assets.core.search.trials import Trial
from mlops_assets.core.targets.kinds import target_of
from mlops_assets.dataset.target import Target
from mlops_assets_tests.screens import run_in_terminal, screen_of

CONTEXT = MagicMock()


MINUTES = target_of(Target(column="price", unit="minutes"))


@pytest.fixture
def console():
    return Console(file=StringIO(), width=200)


def cells_of(console, table):
    """The cells of a table as it is shown, without its headings."""
    console.print(table)
    lines = [line for line in console.file.getvalue().splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines]


def made(asset, partition=None, reason="never made", error=None):
    return Outcome(Task(asset, partition, (reason,)), "run", error)


def test_an_asset_has_a_line_with_what_became_of_its_partitions(console):
    fresh = Outcome(Task("raw_data", "2024-01", ()))
    waits = Outcome(Task("sklearn_model", "Ridge", ("never made",), "hyperparameters[Ridge] has not been materialised"))
    failed = made("hyperparameters", "linear_model.Ridge", error="alpha must be in [0, inf)")
    assert cells_of(console, outcomes_table([fresh, made("raw_data", "2024-02"), failed, waits])) == [
        ["raw_data", "1", "1", "", "never made"],
        ["hyperparameters", "", "", "1", "linear_model.Ridge alpha must be in [0, inf)"],
        ["sklearn_model", "", "", "", "hyperparameters[Ridge] has not been materialised"],
    ]


def test_the_first_reasons_are_told_and_the_others_counted(console):
    outcomes = [made("raw_data", f"2024-0{n}", reason=f"data: {n} [red]") for n in (1, 2, 3, 4)]
    (cells,) = cells_of(console, outcomes_table(outcomes))
    assert cells[-1] == "data: 1 [red]; data: 2 [red]; and 2 more"


def test_the_leaderboard_names_the_roles_below_the_candidates(console):
    def row(role, model, trials=None, validation=None):
        numbers = {"loss": 13.84, "low": 13.66, "high": 14.02, "fit_seconds": None}
        return {"role": role, "model": model, "trials": trials, "validation_loss": validation} | numbers

    rows = [row("candidate", "linear_model.Ridge", 10, 11.2), row("champion", "XGBoost"), row("baseline", "mean")]
    assert cells_of(console, leaderboard_table(rows, "test", MINUTES, 0.9)) == [
        ["linear_model.Ridge", "10", "11.20", "13.84", "13.66–14.02", ""],
        ["champion: XGBoost", "", "", "13.84", "13.66–14.02", ""],
        ["baseline: mean", "", "", "13.84", "13.66–14.02", ""],
    ]
    assert "RMSE in minutes" in console.file.getvalue() and "90%" in console.file.getvalue()


def test_reasons_say_what_is_made_again_what_waits_and_what_has_not_changed(console):
    tasks = [
        Task("raw_data", "2024-01", ()),
        Task("training_set", None, ("settings: [a] gained", "seed 7 -> 8")),
        Task("champion_model", None, ("never made",), "training_set has not been materialised"),
    ]
    assert cells_of(console, reasons_table(tasks)) == [
        ["raw_data[2024-01]", "no", "nothing changed"],
        ["training_set", "yes", "settings: [a] gained; seed 7 -> 8"],
        ["champion_model", "yes", "never made; waits: training_set has not been materialised"],
    ]


def trial(number, loss):
    return Trial(number, {}, "ok" if loss else "failed", loss, {}, 0.1, None, None if loss else "no")


def test_progress_is_a_line_a_trial_where_there_is_no_terminal(console):
    with TerminalProgress(console) as progress:
        progress.stage("hyperparameters", 2)
        progress.part(Part((Task("hyperparameters", "Ridge", ("settings: [x] gained",)),)))
        progress.trial(CONTEXT, "linear_model.Ridge", trial(0, None), None, 3)
        progress.trial(CONTEXT, "linear_model.Ridge", trial(1, 4.5678), 4.5678, 3)
        progress.done("computed")
    assert console.file.getvalue().splitlines()[:3] == [
        "hyperparameters …",
        "  linear_model.Ridge: trial 1 of 3, no trial has succeeded yet",
        "  linear_model.Ridge: trial 2 of 3, best loss 4.568",
    ]


def test_progress_is_bars_with_the_best_so_far_in_a_terminal():
    console = Console(file=StringIO(), width=200, force_terminal=True, color_system=None)
    with TerminalProgress(console) as progress:
        progress.stage("hyperparameters", 2)
        progress.trial(CONTEXT, "Ridge", trial(1, 4.5678), 4.5678, 3)
        progress.bars.refresh()
        progress.done("computed")
    shown = console.file.getvalue()
    assert "Ridge: trial 2 of 3, best loss 4.568" in shown
    assert "1/2" in shown


BARS = """
import os, time
from unittest.mock import MagicMock
from mlops_assets.assets.plan import Part, Task
from mlops_assets.core.targets.kinds import target_of
from mlops_assets.dataset.target import Target
from mlops_assets.cli.terminal import TerminalProgress, open_console
from mlops_assets.core.search.trials import Trial

CONTEXT = MagicMock()
console = open_console()
time.sleep(0.5)  # until the terminal has its size
with TerminalProgress(console) as progress:
    for asset in ("raw_data", "model_performance"):
        progress.stage(asset, 14)
        kept = os.dup(1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # as Dagster does while a step is at work
        progress.part(Part((Task(asset, "2024-01", ("never made, and for many other reasons " * 9,)),)))
        for number in range(1, 15):
            progress.period(CONTEXT, f"2024-{number}", number, 14)
            progress.trial(CONTEXT, "Ridge", Trial(number, {}, "ok", 1.0, {}, 1.0, None, None), 1.0, 14)
        os.dup2(kept, 1)
        progress.done("computed", 14)
console.print("the end")
"""


@pytest.mark.parametrize("columns", [40, 80, 110])
def test_a_terminal_shows_each_asset_once_with_its_bar_whole(columns):
    env = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    screen = screen_of(run_in_terminal(BARS, columns, env | {"TERM": "xterm-256color"}), columns)
    shown = [line for line in screen if line]
    assert len(shown) == 3 and shown[-1] == "the end", shown
    for line, asset in zip(shown, ("raw_data", "model_performance"), strict=False):
        assert re.fullmatch(rf" *{asset} +{'━+ ' if columns >= 80 else ''}14/14 0:00:0\d .*", line + " "), line
    if columns >= 80:
        assert all(line.endswith("computed") for line in shown[:2])
