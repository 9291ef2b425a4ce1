"""What is made of the columns of a table: its periods, its candidates for a target, and what gives a target away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops_assets.dataset.periods import Cadence, Every
from mlops_assets.onboarding.profile import Seen

if TYPE_CHECKING:
    from mlops_assets.core.types import FloatArray

FEWEST_PERIODS = 3  # to learn from, tune on and judge on
ROWS_OF_A_PERIOD = 60  # on average, at least
MOST_TRAINED: dict[Every, int] = {"hour": 168, "day": 60, "week": 26, "month": 12, "quarter": 12, "year": 20}
_FEW = 0.2  # of the usual rows: the newest period has only begun
_SURE = 0.9999  # a rank correlation beyond which a column is the target in other words
_EQUAL = 0.99  # share of rows in which a sum of two columns is the target
_LOOKED_AT = 5_000  # rows
MOST_CLASSES = 20
_MOST_SUMMED = 30  # columns of which pairs are tried


@dataclass(frozen=True)
class Periods:
    """The time column, how long periods are, the first and the last that is whole, and how many are learnt from."""

    column: Seen
    every: Every
    first: str
    last: str
    train: int
    note: str = ""


def choose_time(columns: Sequence[Seen], rows: int) -> Periods | None:
    """The first time column that gives enough periods of enough rows; months where they do."""
    for column in sorted((c for c in columns if c.kind == "time" and not c.left_out), key=lambda c: c.missing):
        if column.missing < 0.05 and (found := _periods(column, rows)):
            return found
    return None


def _periods(column: Seen, rows: int) -> Periods | None:
    times = column.values.drop_null().to_numpy().astype("datetime64[us]")
    share = rows / max(1, len(column.values))
    order: list[Every] = ["month", "week", "day", "hour", "quarter", "year"]
    for every in order:
        cadence = Cadence(every)
        names, counts = np.unique([cadence.of(t) for t in times.astype(datetime)], return_counts=True)
        if len(names) < FEWEST_PERIODS or np.median(counts) * share < ROWS_OF_A_PERIOD:
            continue
        note, last = "", str(names[-1])
        if counts[-1] < _FEW * np.median(counts):
            note, last = f"{last} has only begun, with {round(counts[-1] * share):,} rows", str(names[-2])
        return Periods(column, every, str(names[0]), last, MOST_TRAINED[every], note)
    return None


def candidates(columns: Sequence[Seen]) -> list[Seen]:
    """Columns that can be predicted: the last of the table first, as most tables have it."""
    return [c for c in reversed(columns) if can_be_predicted(c) and not c.left_out]


def can_be_predicted(column: Seen) -> bool:
    """Numbers that differ, and texts of few classes."""
    return column.distinct > 1 and (column.is_number or (column.kind == "text" and column.distinct <= MOST_CLASSES))


def target_keys(target: Seen) -> dict[str, Any]:
    """The keys of the target: two classes, of texts the rarer as the positive one; more classes; or a number."""
    import pyarrow.compute as pc

    if target.is_number and target.distinct == 2:
        low, high = sorted(target.values.unique().drop_null().to_pylist())
        return {"column": target.alias} | ({"kind": "binary"} if (low, high) == (0, 1) else {"positive": high})
    if target.kind != "text":
        return {"column": target.alias}
    counts = {item["values"].as_py(): item["counts"].as_py() for item in pc.value_counts(target.values.drop_null())}
    if len(counts) == 2:
        return {"column": target.alias, "positive": min(sorted(counts), key=lambda text: counts[text])}
    return {"column": target.alias, "classes": sorted(counts)}


def leaks(columns: Sequence[Seen], target: Seen, time: Seen | None) -> dict[str, str]:
    """Why columns must not be features, by alias: they give the target away, or are known only after the event."""
    rows = np.linspace(0, len(target.values) - 1, min(_LOOKED_AT, len(target.values))).astype(np.int64)
    y = _numbers(target, rows) if target.is_number else _codes(target, rows)
    found: dict[str, str] = {}
    numbers: dict[str, FloatArray] = {}
    for column in columns:
        if column.alias == target.alias or column.left_out:
            continue
        if column.kind == "time":
            if time and column.alias != time.alias and _is_later(column, time, rows):
                found[column.alias] = f"known only afterwards: it is never before {time.alias}"
        elif column.is_number:
            x = numbers[column.alias] = _numbers(column, rows)
            known = np.isfinite(x) & np.isfinite(y)
            if target.distinct > 2 and known.sum() > 10 and _rises_with(x[known], y[known]):
                found[column.alias] = f"it gives {target.alias} away: one rises with the other in every row"
            elif target.distinct <= 20 and column.distinct <= 20 and _says(x[known], y[known]):
                found[column.alias] = f"it gives {target.alias} away: each of its values goes with one of these alone"
        elif column.is_category and 1 < column.distinct <= 50 and _says(_codes(column, rows), y):
            found[column.alias] = f"it gives {target.alias} away: each of its values goes with one of these alone"
    return found | _sums(numbers, y, target, found)


def _numbers(column: Seen, rows: Any) -> FloatArray:
    import pyarrow as pa

    values = column.values.take(pa.array(rows)).cast(pa.float64(), safe=False).to_numpy()
    return np.asarray(values, np.float64)


def _codes(column: Seen, rows: Any) -> FloatArray:
    import pyarrow as pa

    encoded = column.values.take(pa.array(rows)).combine_chunks().dictionary_encode()
    return np.asarray(encoded.indices.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)


def _is_later(column: Seen, time: Seen, rows: Any) -> bool:
    import pyarrow as pa

    late, early = (
        c.values.take(pa.array(rows)).to_numpy().astype("datetime64[us]").astype(np.int64) for c in (column, time)
    )
    known = (late > np.iinfo(np.int64).min) & (early > np.iinfo(np.int64).min)
    return bool(known.any() and (late >= early)[known].mean() > _EQUAL and (late > early)[known].mean() > 0.5)


def _rises_with(x: FloatArray, y: FloatArray) -> bool:
    """Whether one orders the rows as the other does, and in their steps too: both may just grow with time."""
    steps = np.diff(x), np.diff(y)
    return abs(_rank_correlation(x, y)) > _SURE and abs(_rank_correlation(*steps)) > _SURE


def _rank_correlation(x: FloatArray, y: FloatArray) -> float:
    from scipy.stats import rankdata

    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    return float(np.corrcoef(rankdata(x), rankdata(y))[0, 1])


def _says(x: FloatArray, y: FloatArray) -> bool:
    """Whether each value of x, of which there are few, goes with one value of y."""
    known = np.isfinite(x) & np.isfinite(y)
    if known.sum() < 20 or np.ptp(y[known]) == 0:
        return False
    pairs = np.unique(np.column_stack([x[known], y[known]]), axis=0)
    return len(pairs) == len(np.unique(x[known]))


def _sums(numbers: dict[str, FloatArray], y: FloatArray, target: Seen, found: dict[str, str]) -> dict[str, str]:
    """Pairs of columns whose sum or difference is the target, such as the parts of a total."""
    sums: dict[str, str] = {}
    names = [name for name, x in numbers.items() if name not in found and len(np.unique(x[np.isfinite(x)])) > 1]
    for one, other in combinations(names[:_MOST_SUMMED], 2):
        for sign, word in ((1, "and"), (-1, "less")):
            known = np.isfinite(numbers[one]) & np.isfinite(numbers[other]) & np.isfinite(y)
            gap = numbers[one][known] + sign * numbers[other][known] - y[known]
            gap = gap if sign == 1 or np.abs(gap).sum() <= np.abs(gap + 2 * y[known]).sum() else gap + 2 * y[known]
            if known.sum() > 20 and (np.abs(gap) <= 1e-9 * (1 + np.abs(y[known]))).mean() > _EQUAL:
                why = f"it gives {target.alias} away: {one} {word} {other} make it"
                sums |= {one: why, other: why}
    return sums
