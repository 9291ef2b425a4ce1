"""What a caller may send: each input's type, the categories and the range that training rows had, and what they lacked.

A row that lacks an input which no training row lacked is like none that the model has learnt from: trees send it down
an arbitrary branch, linear models lose a level. So it is known which inputs were missing, and in which company.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlops_assets.core.columns import Columns, Row, is_absent, is_missing
from mlops_assets.core.features.categories import UNKNOWN, Codes, RowCodes, Vocabulary
from mlops_assets.core.features.derive import DAY, clock_minutes
from mlops_assets.core.types import Array, BoolArray, FloatArray
from mlops_assets.dataset import DatasetSpec
from mlops_assets.errors import InputError

# Models are asked for what comes after their training rows; past one cycle of the seasons they are out of date.
AHEAD = np.timedelta64(366, "D")
FEWEST_LACKING = 10  # training rows that lack the same inputs; from fewer nothing is learnt of such rows
MOST_ABSENCES = 1_000
_CLOCKS = ("clock_minutes", "clock_minutes_between")  # functions whose inputs are clock times written hhmm


@dataclass(frozen=True)
class Input:
    """One input. `categories` where it is one; `low` and `high` of a number, or of a time as ISO text.

    The range is that of the training rows, within the limits to which the spec clips it; None where they had no value.
    `was_missing`: some training row lacked it; None where that was not looked at, as in models of format 2. `least` and
    `most`: what a number may be by the spec's clip and rules. `is_clock`: a clock time written hhmm.
    """

    name: str
    type: str
    categories: tuple[str, ...] | None
    low: float | str | None
    high: float | str | None
    timezone: str | None
    was_missing: bool | None = None
    least: float | None = None
    most: float | None = None
    is_clock: bool = False

    def allows(self, value: float) -> bool:
        """Whether a number can be at all: within what the spec says, and as a clock time one that clocks show."""
        below = self.least is not None and value < self.least
        above = self.most is not None and value > self.most
        return not (below or above or (self.is_clock and _is_no_clock_time(value)))


@dataclass(frozen=True, eq=False)
class Limits:
    """The ranges of inputs of one kind, numbers or times, in the form in which columns are compared with them."""

    names: tuple[str, ...]
    low: Array  # (inputs, 1) float64 or datetime64[us]
    high: Array


def learn_signature(spec: DatasetSpec, columns: Columns, vocabularies: dict[str, Vocabulary]) -> tuple[Input, ...]:
    """The inputs, in the spec's order, of a model that learnt from these rows."""
    inputs = []
    clocks = {
        alias for derived in spec.features.derived.values() if derived.function in _CLOCKS for alias in derived.of
    }
    for name in spec.inputs():
        column = spec.columns[name]
        categories = tuple(map(_label, vocabularies[name].values)) if name in vocabularies else None
        low, high = _range(spec, name, columns[name]) if _has_range(spec, name) else (None, None)
        was_missing = bool(absent(columns[name]).any())
        known = column.type, categories, low, high, column.timezone, was_missing
        inputs.append(Input(name, *known, *_allowed(spec, name), is_clock=name in clocks))
    return tuple(inputs)


def absent(values: Array) -> BoolArray:
    """Whether each value (n,) is missing; a number that is not finite counts as such, as in every feature."""
    return ~np.isfinite(values) if values.dtype.kind == "f" else is_missing(values)


def _is_complete(columns: Columns, names: Collection[str]) -> bool:
    """Whether no value of some columns is missing; mostly none is, which is seen soonest for all numbers together."""
    for kind in ("f", "M"):
        values = [columns[name] for name in names if columns[name].dtype.kind == kind]
        if values and not np.isfinite(np.array(values)).all():
            return False
    return not any(is_missing(columns[name]).any() for name in names if columns[name].dtype == object)


Absences = tuple[tuple[str, ...], ...]


def learn_absences(columns: Columns) -> Absences:
    """Which inputs were missing together, in FEWEST_LACKING training rows or more: the most frequent come first."""
    lacking = {name: absent(values) for name, values in columns.items()}
    names = [name for name, rows in lacking.items() if rows.any()]
    if not names:
        return ()
    table = np.array([lacking[name] for name in names]).T
    patterns = Counter(map(bytes, table[table.any(axis=1)]))
    frequent = [pattern for pattern, count in patterns.most_common(MOST_ABSENCES) if count >= FEWEST_LACKING]
    return tuple(
        tuple(name for name, is_absent in zip(names, pattern, strict=True) if is_absent) for pattern in frequent
    )


def missing(columns: Columns, absences: Absences) -> dict[str, BoolArray]:
    """Rows (n,) that lack an input as no training row did, for each input that has any.

    An input may be missing where training rows lacked it in the same company, or in less: with nothing missing beside
    it that this row has.
    """
    if _is_complete(columns, columns):
        return {}
    lacking = {name: rows for name, values in columns.items() if (rows := absent(values)).any()}
    flags = {name: rows.copy() for name, rows in lacking.items()}
    for together in absences:
        if all(name in lacking for name in together):
            is_known = np.logical_and.reduce([lacking[name] for name in together])
            for name in together:
                flags[name] &= ~is_known
    return {name: rows for name, rows in flags.items() if rows.any()}


def missing_row(row: Row, absences: Absences) -> list[str]:
    lacking = [name for name, value in row.items() if is_absent(value)]
    known: set[str] = set()
    if lacking:
        known.update(*(together for together in absences if set(together) <= set(lacking)))
    return [name for name in lacking if name not in known]


def required(spec: DatasetSpec, inputs: Iterable[Input]) -> tuple[str, ...]:
    """Inputs without which a row is refused: no training row lacked them, and the spec does not allow it."""
    return tuple(
        item.name for item in inputs if item.was_missing is False and spec.columns[item.name].missing == "refuse"
    )


def refuse_incomplete(columns: Columns, needed: Sequence[str], first: int = 0) -> None:
    """Raises InputError naming the first row that lacks a needed input, and all of them; `first` numbers the rows."""
    if _is_complete(columns, needed):
        return
    lacking = {name: rows for name in needed if (rows := absent(columns[name])).any()}
    place = min(int(rows.argmax()) for rows in lacking.values())
    names = tuple(name for name, rows in lacking.items() if rows[place])
    without = "it" if len(names) == 1 else "them"
    text = f"{', '.join(names)} must be given: the model has not learnt from rows without {without}"
    raise InputError(f"row {first + place}: {text}", row=first + place, field=names[0], fields=names)


def is_no_clock_time(hhmm: FloatArray) -> BoolArray:
    """Whether numbers (n,) are none that a clock shows as hhmm, such as 1275, 2399 or -5; a missing one is not told."""
    with np.errstate(invalid="ignore"):
        wrong: BoolArray = _is_no_clock_time(hhmm)
    return wrong


def _is_no_clock_time(hhmm: Any) -> Any:
    return (hhmm % 100 >= 60) | (hhmm < 0) | (clock_minutes(hhmm) > DAY)


def limits(inputs: Iterable[Input]) -> tuple[Limits, ...]:
    """The ranges of those inputs that have one; a time may lie AHEAD of the newest training row."""
    ranged = [item for item in inputs if item.low is not None]
    kinds: list[Limits] = []
    for kind, ahead in (("datetime64[us]", AHEAD), ("float64", 0.0)):
        those = [item for item in ranged if (item.type == "time") == (kind != "float64")]
        if those:
            low, high = (np.array([[getattr(item, end)] for item in those], kind) for end in ("low", "high"))
            kinds.append(Limits(tuple(item.name for item in those), low, high + ahead))
    return tuple(kinds)


def out_of_range(columns: Columns, within: Iterable[Limits], clocks: Iterable[str] = ()) -> dict[str, BoolArray]:
    """Rows (n,) whose value lies outside the range, for each input that has any; a missing value is not outside.

    Nor can the inputs `clocks` be what no clock shows.
    """
    flags: dict[str, BoolArray] = {}
    for limit in within:
        values = np.array([columns[name] for name in limit.names])
        outside = (values < limit.low) | (values > limit.high)
        if outside.any():
            flags |= {name: flag for name, flag in zip(limit.names, outside, strict=True) if flag.any()}
    for name in clocks:
        if (wrong := is_no_clock_time(columns[name])).any():
            flags[name] = flags[name] | wrong if name in flags else wrong
    return flags


Range = tuple[str, float, float]  # an input, its least and its most value, as rows have it


def ranges(within: Iterable[Limits]) -> list[Range]:
    ends = [(limit.names, limit.low.ravel(), limit.high.ravel()) for limit in within]
    plain = [[end.astype(np.int64) if end.dtype.kind == "M" else end for end in (low, high)] for _, low, high in ends]
    return [
        found
        for (names, _, _), (low, high) in zip(ends, plain, strict=True)
        for found in zip(names, low.tolist(), high.tolist(), strict=True)
    ]


def out_of_range_row(row: Row, within: Iterable[Range], clocks: Iterable[str] = ()) -> list[str]:
    outside = [name for name, low, high in within if row[name] < low or row[name] > high]
    return outside + [name for name in clocks if _is_no_clock_time(row[name]) and name not in outside]


def unseen(columns: Columns, codes: Codes) -> dict[str, BoolArray]:
    """Rows (n,) whose category the training rows did not have, for each input that has any."""
    flags = {}
    for name, code in codes.items():
        unknown = code == UNKNOWN
        if unknown.any():
            is_new = unknown & ~is_missing(columns[name])
            if is_new.any():
                flags[name] = is_new
    return flags


def unseen_row(row: Row, codes: RowCodes) -> list[str]:
    """A missing category is not unseen."""
    unknown = [name for name, code in codes.items() if code == UNKNOWN]
    return [name for name in unknown if row[name] is not None and row[name] == row[name]]


def _has_range(spec: DatasetSpec, name: str) -> bool:
    """Numbers and times have one; an integer that is nothing but a category has not."""
    features = spec.features
    counted = {*features.numeric, *(alias for derived in features.derived.values() for alias in derived.of)}
    return spec.columns[name].type != "text" and (name in counted or name not in features.categories)


def _allowed(spec: DatasetSpec, name: str) -> tuple[float | None, float | None]:
    """The least and the most that a number may be by its clip and by the rules about it."""
    numeric = spec.features.numeric.get(name)
    low, high = numeric.clip if numeric and numeric.clip else (-np.inf, np.inf)
    for rule in spec.rows:
        if rule.column == name:
            low = max(low, -np.inf if rule.min is None else rule.min)
            high = min(high, np.inf if rule.max is None else rule.max)
    return (float(low) if np.isfinite(low) else None), (float(high) if np.isfinite(high) else None)


def _range(spec: DatasetSpec, name: str, values: Array) -> tuple[float | str | None, float | str | None]:
    present = values[np.isfinite(values)]
    if not len(present):
        return None, None
    low, high = present.min(), present.max()
    if values.dtype.kind == "M":
        return str(low), str(high)
    numeric = spec.features.numeric.get(name)
    clip = numeric.clip if numeric and numeric.clip else (-np.inf, np.inf)
    return float(np.clip(low, *clip)), float(np.clip(high, *clip))


def _label(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.0f}"
