"""What a terminal shows: bars while the pipeline works, tables of what came out."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column, Table

from mlops_assets.resources.progress import RunNotes
from mlops_assets.run_tags import partitions_of

if TYPE_CHECKING:
    import dagster as dg

    from mlops_assets.assets.plan import Part, Task
    from mlops_assets.cli.runner import Outcome
    from mlops_assets.core.search.trials import Trial
    from mlops_assets.core.targets.kind import TargetKind


def open_console(*, aside: bool = False) -> Console:
    """A console on the terminal that there is now: while a step is at work, Dagster takes standard output away.

    `aside`: on standard error, since standard output is for an answer as JSON.
    """
    stream = sys.stderr if aside else sys.stdout
    if not stream.isatty():
        return Console(stderr=aside)
    return Console(file=os.fdopen(os.dup(stream.fileno()), "w", encoding=stream.encoding))


class TerminalProgress:
    """Bars for the stage and, while tuning, for the trials of a model type with the best so far."""

    def __init__(self, console: Console) -> None:
        self.bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", table_column=Column(no_wrap=True, min_width=17)),
            BarColumn(bar_width=None, table_column=Column(min_width=3, max_width=24)),
            MofNCompleteColumn(table_column=Column(no_wrap=True, min_width=5)),
            TimeElapsedColumn(table_column=Column(no_wrap=True, min_width=7)),
            TextColumn("{task.fields[note]}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
            console=console,
            transient=not console.is_terminal,
        )
        self._console, self._notes = console, RunNotes()
        self._stage: Any = None
        self._done = 0
        self._name = ""

    def __enter__(self) -> TerminalProgress:
        self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bars.stop()

    def stage(self, name: str, total: int) -> None:
        """A new asset with `total` partitions."""
        if not self._console.is_terminal:
            self._console.print(f"{name} …")
        self._name, self._done = name, 0
        self._stage = self.bars.add_task(name, total=total, note="")

    def part(self, part: Part) -> None:
        """What the next run makes, and why."""
        reason, partitions = part.tasks[0].reasons[0], partitions_of(part.tags)
        self.bars.update(self._stage, note=escape(f"{partitions} ({reason})" if partitions else reason))

    def done(self, note: str, count: int = 1) -> None:
        """So many partitions more are done with."""
        self._done += count
        self.bars.update(self._stage, completed=self._done, note=note)

    def say(self, problem: str) -> None:
        """A line that stays above the bars."""
        self.bars.console.print(problem, style="red", markup=False, highlight=False)

    def period(self, context: dg.AssetExecutionContext, period: str, number: int, of: int) -> None:
        self.bars.update(self._stage, completed=self._done + number, note=escape(period))
        if of > 1:
            self._notes.tell(context, f"{number} of {of}")

    def trial(
        self, context: dg.AssetExecutionContext, model_type: str, trial: Trial, best: float | None, of: int
    ) -> None:
        so_far = f"best loss {best:.4g}" if best is not None else "no trial has succeeded yet"
        note = escape(f"{model_type}: trial {trial.number + 1} of {of}, {so_far}")
        self.bars.update(self._stage, note=note)
        self._notes.tell(context, f"trial {trial.number + 1} of {of}")
        if not self._console.is_terminal:
            self._console.print(f"  {note}")

    def step(self, context: dg.AssetExecutionContext, number: int, of: int, text: str) -> None:
        self.bars.update(self._stage, completed=number, total=of, note=escape(text))
        self._notes.tell(context, f"step {number} of {of}")
        if not self._console.is_terminal:
            self._console.print(f"  {number} of {of}: {escape(text)}")


def outcomes_table(outcomes: Sequence[Outcome]) -> Table:
    """A line an asset: how many partitions were computed, left alone or failed, and why."""
    table = Table(title="Assets", title_justify="left")
    for heading in ("asset", "computed", "up to date", "failed"):
        table.add_column(heading, justify="left" if heading == "asset" else "right", no_wrap=True)
    table.add_column("why")
    for asset in dict.fromkeys(outcome.task.asset for outcome in outcomes):
        own = [outcome for outcome in outcomes if outcome.task.asset == asset]
        failed = [outcome for outcome in own if outcome.error]
        computed = [outcome for outcome in own if outcome.run_id and not outcome.error]
        waiting = [outcome for outcome in own if outcome.task.waits_for]
        left = len(own) - len(computed) - len(failed) - len(waiting)
        counts = (str(count or "") for count in (len(computed), left, len(failed)))
        table.add_row(asset, *counts, _why(computed, failed, waiting))
    return table


def _why(computed: Sequence[Outcome], failed: Sequence[Outcome], waiting: Sequence[Outcome]) -> str:
    if failed:
        failure = f"{failed[0].task.partition or ''} {failed[0].error}".strip()
        return f"[red]{escape(failure)}[/red]"
    if waiting:
        return f"[yellow]{escape(waiting[0].task.waits_for or '')}[/yellow]"
    reasons = list(dict.fromkeys(reason for outcome in computed for reason in outcome.task.reasons))
    more = f"; and {len(reasons) - 2} more" if len(reasons) > 2 else ""
    return escape("; ".join(reasons[:2]) + more) or "nothing changed"


def leaderboard_table(
    rows: Iterable[Mapping[str, Any]], judged_on: str, target: TargetKind, confidence: float
) -> Table:
    """Candidates by their loss on validation; below them the champion before and the baselines."""
    metric, unit = target.metric, target.unit
    in_unit = f" ({metric.label} in {unit})" if unit and metric.has_unit else ""
    table = Table(title=f"Leaderboard{in_unit}", title_justify="left")
    table.add_column("model", overflow="fold")
    for heading in (
        "trials",
        f"validation\n{metric.label}",
        f"{judged_on}\n{metric.label}",
        f"{confidence:.0%}\ninterval",
        "fit\nseconds",
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    role = "candidate"
    for row in rows:
        if row["role"] != role:
            table.add_section()
            role = row["role"]
        name = row["model"] if role == "candidate" else f"{role}: {row['model']}"
        interval = f"{_number(row['low'])}–{_number(row['high'])}"
        numbers = _number(row["validation_loss"]), _number(row["loss"]), interval, _number(row["fit_seconds"])
        table.add_row(escape(name), str(row["trials"] or ""), *numbers)
    return table


def _number(value: float | None) -> str:
    """With two decimals, or with four digits where it is small, as the losses of classes are."""
    return "" if value is None else f"{value:.2f}" if abs(value) >= 1 else f"{value:.4f}"


def print_json(answer: Any) -> None:
    """What a command answers, for programs: one JSON document on standard output, times in ISO 8601."""
    print(json.dumps(answer, default=str, ensure_ascii=False, indent=2))


def reasons_table(tasks: Sequence[Task]) -> Table:
    table = Table(show_header=True, title_justify="left")
    table.add_column("asset", no_wrap=True)
    table.add_column("to compute", no_wrap=True)
    table.add_column("why")
    for task in tasks:
        why = "; ".join([*task.reasons, *([f"waits: {task.waits_for}"] if task.waits_for else [])])
        table.add_row(escape(task.name), "yes" if task.stale else "no", escape(why or "nothing changed"))
    return table
