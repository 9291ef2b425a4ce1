"""`mlops-assets init`: a first YAML for a table that nobody has described."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import typer
from rich.console import Console
from rich.markup import escape

from mlops_assets.dataset import load_dataset
from mlops_assets.dataset.periods import Cadence
from mlops_assets.errors import InputError
from mlops_assets.onboarding.plan import (
    FEWEST_PERIODS,
    MOST_CLASSES,
    MOST_TRAINED,
    Periods,
    can_be_predicted,
    candidates,
    choose_time,
    leaks,
)
from mlops_assets.onboarding.profile import Seen, profile
from mlops_assets.onboarding.tables import Found, dataset_name, look
from mlops_assets.onboarding.write import write
from mlops_assets.settings import read_settings

_MOST_LISTED = 15
# Of a first run, where nothing else is set: it takes two minutes for a table of usual size.
FEW = {"MLOPS_MAX_TRIALS": "3", "MLOPS_TUNING_SECONDS": "20"}


def try_out(settings: dict[str, str], wanted: bool | None) -> int:
    """`doctor`, and a first run with few trials by these settings, if it is wanted; the exit code."""
    if wanted is None:
        wanted = sys.stdin.isatty() and typer.confirm("A first run now, with few trials? It takes about two minutes")
    if not wanted:
        return 0
    from mlops_assets.cli.doctor import examine
    from mlops_assets.cli.run import run_pipeline

    os.environ.update(FEW | os.environ | settings)
    return examine(with_services=False, as_json=False) or run_pipeline()


def write_yaml(place: str, table: str | None, target: str | None, out: Path | None) -> dict[str, str]:
    """Look at the table, and write its YAML to `out`, or beside the working directory's other files.

    Gives the settings by which it is used. Raises InputError where the target is not known, or nothing can be learnt
    from the table.
    """
    console = Console(highlight=False)
    found = look(place, table, read_settings().http_timeout)
    name = found.name if out is None else dataset_name(str(out))
    out = out or Path(f"{name}.yaml")
    if out.exists():
        raise InputError(f"{out} exists already: remove it, or give another file by --out")
    columns = [_in_database(column, found) for column in profile(found.table, joins=not found.by_sql)]
    console.print(f"{found.rows:,} rows, {len(columns)} columns")
    chosen = _target(columns, target, console)
    periods = _periods(columns, found)
    given_away = leaks(columns, chosen, periods.column if periods else None)
    text = write(name, found.source, columns, chosen, periods, given_away, found.rows, found.notes)
    out.write_text(text, encoding="utf-8")
    try:
        load_dataset(str(out), {found.secret: "a-place"} if found.secret else {})
    except Exception:
        out.unlink()
        raise
    _tell(console, columns, given_away, periods, out, found)
    return {"MLOPS_DATASET": str(out)} | ({found.secret: place} if found.secret else {})


def _in_database(column: Seen, found: Found) -> Seen:
    """A database compares times itself, so that no other writing of them will do."""
    if found.by_sql and column.kind == "time" and column.keys:
        return replace(column, left_out="the database has it as text: make it a timestamp in source.query")
    return column


def _target(columns: Sequence[Seen], wanted: str | None, console: Console) -> Seen:
    options = candidates(columns)
    if wanted is None and sys.stdin.isatty() and options:
        _list(options, console)
        wanted = typer.prompt("What shall be predicted?")
    if wanted is None:
        _list(options, console)
        raise InputError(
            "what shall be predicted? Give it by --target" if options else "no column is a number that differs"
        )
    named = {name: column for column in columns for name in (column.alias, column.name, column.name.strip())}
    if wanted not in named:
        near = difflib.get_close_matches(wanted, named, 1)
        listed = ", ".join(column.alias for column in columns[:_MOST_LISTED])
        hint = f"did you mean '{near[0]}'?" if near else f"there are {listed}"
        raise InputError(f"there is no column '{wanted}': {hint}")
    chosen = named[wanted]
    if chosen.distinct < 2:
        raise InputError(f"{wanted} is the same in all rows: there is nothing to predict")
    if not can_be_predicted(chosen):
        raise InputError(
            f"{wanted} is of type {chosen.kind} with {chosen.distinct:,} values: what is predicted is a number, or "
            f"one of at most {MOST_CLASSES} classes"
        )
    return replace(chosen, left_out="")


def _list(options: Sequence[Seen], console: Console) -> None:
    import pyarrow.compute as pc

    console.print("It could be:")
    for column in options[:_MOST_LISTED]:
        ends = pc.min_max(column.values)
        shown = [f"{end:g}" if column.is_number else f"{end:.40}" for end in (ends["min"].as_py(), ends["max"].as_py())]
        console.print(f"  {column.alias}: {shown[0]} to {shown[1]}", markup=False)


def _periods(columns: Sequence[Seen], found: Found) -> Periods | None:
    if found.every is None:
        return choose_time(columns, found.rows)
    time = next((column for column in columns if column.kind == "time" and column.missing < 0.05), None)
    if time is None:
        raise InputError(
            "the files are of periods, but no column holds times: which row belongs to which cannot be told"
        )
    count = len(Cadence(found.every).between(found.first, found.last))
    if count < FEWEST_PERIODS:
        raise InputError(f"{count} periods are too few to learn, tune and judge by: {FEWEST_PERIODS} are needed")
    return Periods(time, found.every, found.first, found.last, MOST_TRAINED[found.every])


def _tell(
    console: Console, columns: Sequence[Seen], leaks: dict[str, str], periods: Periods | None, out: Path, found: Found
) -> None:
    for column in columns:
        if why := leaks.get(column.alias) or column.left_out:
            console.print(f"[dim]left out[/dim] {column.alias}: {escape(why)}")
    span = (
        f"{periods.every}s {periods.first} to {periods.last}, by {periods.column.alias}" if periods else "one snapshot"
    )
    console.print(f"[green]✓[/green] {escape(str(out))} ({span}). Read it through, then:")
    given = f"{found.secret}=... " if found.secret else ""
    for command in ("doctor", "run"):
        console.print(f"  {given}MLOPS_DATASET={out} mlops-assets {command}", markup=False)
