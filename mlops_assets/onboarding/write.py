"""The YAML of a table, with the reasons for what stands in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from mlops_assets.dataset.target import READ_AS_BINARY
from mlops_assets.errors import InputError
from mlops_assets.onboarding.plan import Periods, target_keys
from mlops_assets.onboarding.profile import Kind, Seen

_UNPRINTABLE = yaml.reader.Reader.NON_PRINTABLE  # not even in a comment
_ALWAYS_KNOWN = "Is each of these known when the question is asked? What is known only afterwards has to go."


def write(
    name: str,
    source: Mapping[str, Any],
    columns: Sequence[Seen],
    target: Seen,
    periods: Periods | None,
    leaks: Mapping[str, str],
    rows: int,
    notes: Sequence[str] = (),
) -> str:
    """The text. `source`: its keys; `leaks`: why columns give the target away, by alias; `notes`: of the source."""
    time = periods.column if periods else None
    why_not = {c.alias: leaks.get(c.alias) or c.left_out for c in columns if c is not target}
    used = [c for c in columns if c in (target, time) or not why_not.get(c.alias)]
    key = next((c for c in columns if c.left_out.startswith("an identifier") and not periods), None)
    if key:
        used = [c for c in columns if c in used or c is key]
    features = [c for c in used if c not in (target, key)]
    lines = [
        f"# Written by `mlops-assets init` from {rows:,} rows. Read it through: what was guessed is said beside it.",
        f"name: {name}",
        "",
        *_mapping("source", source),
        *(f"  # {note}" for note in notes),
        "",
        "columns:  # alias: how it is called in the table, and how it is read",
        *map(_column, used),
    ]
    left = [c for c in columns if c not in used]
    if left:
        lines += ["  # Left out; give one a line above, and a place among the features, to have it back:"]
        lines += [f"  # {c.alias}{f' ({c.name})' if c.name != c.alias else ''}: {why_not[c.alias]}" for c in left]
    lines += ["", *_time(periods)]
    if key:
        lines += [f"key: [{key.alias}]  # {key.left_out}", ""]
    keys = target_keys(target)
    note = f"  # {READ_AS_BINARY}" if keys.get("kind") == "binary" and target.kind == "integer" else ""
    lines += [f"target: {_flow(keys)}{note}", "", f"features:  # {_ALWAYS_KNOWN}"]
    if categories := [c.alias for c in features if c.is_category]:
        lines += [f"  categorical: {_flow(categories)}"]
    if numbers := [c for c in features if c.is_number and not c.is_category]:
        lines += ["  numeric:", *(f"    {_flow(c.alias)}: {{}}" for c in numbers)]
    if times := [(c, parts) for c in features if c.kind == "time" and (parts := _parts(c))]:
        lines += ["  calendar:", *(f"    {_flow(c.alias)}: {{parts: {_flow(parts)}}}" for c, parts in times)]
    if not (categories or numbers or times):
        raise InputError(f"no column is left to learn {target.alias} from: each is empty, constant or an identifier")
    if periods and periods.every != "month":
        window = {"train_periods": periods.train}
        lines += ["", f"window: {_flow(window)}  # then one {periods.every} to tune on, and the newest to judge by"]
    asked = [c for c in features if c.kind != "time" or any(c is time for time, _ in times)]
    if example := _example(asked):
        lines += ["", f"example: {_flow(example)}  # a row of the table, to try the first prediction with"]
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", "\n".join(lines) + "\n")


def _column(column: Seen) -> str:
    keys: dict[str, Any] = {} if column.name == column.alias else {"from": column.name}
    keys |= ({} if column.kind == "number" else {"type": column.kind}) | column.keys
    note = "; ".join(column.notes)
    if column.missing > 0:
        note = "; ".join(filter(None, [note, f"empty in {max(column.missing, 0.001):.1%} of the rows"]))
    return f"  {_flow(column.alias)}: {_flow(keys)}" + (f"  # {note}" if note else "")


def _example(columns: Sequence[Seen]) -> dict[str, Any]:
    """The values of the last row without a gap; none where there is no such row."""
    import pyarrow as pa

    whole = pa.table({c.alias: c.values for c in columns}).drop_null()
    row = whole.slice(max(0, whole.num_rows - 1)).to_pylist()
    return {c.alias: _plain(row[0][c.alias], c.kind) for c in columns if row}


def _plain(value: Any, kind: Kind) -> str | int | float:
    """A value as YAML writes it."""
    if kind == "time":
        return str(value.isoformat())
    return int(value) if kind in ("integer", "boolean") else value


def _time(periods: Periods | None) -> list[str]:
    if periods is None:
        return ["# No column gives enough periods of enough rows: the table is one snapshot, split by a hash.", ""]
    every = [] if periods.every == "month" else [f"  every: {periods.every}"]
    note = periods.note or "leave it out for a table that grows"
    return [
        "time:",
        f"  column: {_flow(periods.column.alias)}",
        *every,
        f"  first: {_flow(periods.first)}",
        f"  last: {_flow(periods.last)}  # {note}",
        "",
    ]


def _parts(column: Seen) -> list[str]:
    """Parts of the calendar that there are enough of to learn from."""
    import pyarrow.compute as pc

    has_clock = pc.any(pc.not_equal(pc.hour(column.values), 0)).as_py()
    span = pc.min_max(column.values)
    days = (span["max"].as_py() - span["min"].as_py()).days
    has_days = pc.any(pc.not_equal(pc.day(column.values), 1)).as_py()
    parts = (["hour"] if has_clock else []) + (["weekday"] if has_days and days > 14 else [])
    return parts + (["month"] if days > 730 else [])


def _mapping(name: str, keys: Mapping[str, Any]) -> list[str]:
    return [f"{name}:", *(f"  {key}: {_flow(value)}" for key, value in keys.items())]


def _flow(value: Any) -> str:
    """A value in one line of YAML."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000, sort_keys=False).strip()
    return text.removesuffix("\n...").strip()
