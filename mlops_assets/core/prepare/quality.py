"""Judgements of one period's table: what an asset check says, and whether the period may go on.

A failure that blocks means that the period cannot be used; any other is a warning for people. No check knows
how many rows a period has: a new period is held against the periods before it and against shares.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlops_assets.core.columns import slices
from mlops_assets.core.prepare.row_statistics import CleanRows, RawRows
from mlops_assets.core.prepare.schemas import required_columns
from mlops_assets.core.types import FloatArray
from mlops_assets.dataset import DatasetSpec

if TYPE_CHECKING:
    import pyarrow as pa

HISTORY = 12  # earlier periods compared with: one turn of the seasons, and old growth is forgotten
FEWEST_ROWS = 0.5  # of their median: seasons move a period by less, a file cut short by more
MOST_ROWS = 2.0  # of their median: a file that holds two periods has as many
MOST_EMPTY = 0.5  # share of a column: beyond it a model sees a missing value more often than a value
MOST_OUTSIDE = 0.5  # share of targets: where most are odd, the unit or the column has changed
MOST_DUPLICATES = 0.01  # share of rows: a few equal events are real, a file that holds a part twice has more
MOST_ELSEWHERE = 0.01  # share of rows: clocks set wrong give a few in ten thousand
WRONG_PERIOD = 0.5  # share of rows: where most lie elsewhere, it is the file of another period
FEWEST_KEPT = 0.5  # share of raw rows: what is left would no longer speak for the period
PROBLEMS_TOLD = 5


@dataclass(frozen=True)
class QualityCheck:
    """A check as an asset declares it, before any table is there; only a `blocking` one can stop a period."""

    name: str
    description: str
    blocking: bool


@dataclass(frozen=True)
class CheckOutcome:
    """What a check found; `blocking` is set where this failure must stop what lies downstream."""

    name: str
    passed: bool
    blocking: bool
    description: str
    numbers: dict[str, float | int | str]


RAW_CHECKS = (
    QualityCheck("schema", "Columns and types are those of the dataset.", True),
    QualityCheck("rows_present", "There are rows.", True),
    QualityCheck("row_count", "About as many rows as the median of the periods before.", False),
    QualityCheck("empty_values", "Columns are mostly filled; time, target and required ones hold values.", True),
    QualityCheck("target_range", "Most targets lie in the range that is kept.", False),
    QualityCheck("duplicates", "Hardly any row is equal to another.", False),
    QualityCheck("period", "Hardly any row's time lies in another period.", True),
)
CLEAN_CHECKS = (
    QualityCheck("schema", "Columns, types, rules and target are those of the dataset.", True),
    QualityCheck("rows_kept", "Cleaning keeps most of the rows.", True),
    QualityCheck("target_values", "Every target is finite, and not all are the same.", True),
)


def check_raw(spec: DatasetSpec, table: pa.Table, partition: str, rows_before: Mapping[str, int]) -> list[CheckOutcome]:
    """Outcomes of RAW_CHECKS, in their order, for rows as they came; see `judge_raw`."""
    raw = RawRows(spec, partition)
    for part in _parts(table):
        raw.add(part)
    return judge_raw(spec, raw, partition, rows_before)


def judge_raw(spec: DatasetSpec, raw: RawRows, partition: str, rows_before: Mapping[str, int]) -> list[CheckOutcome]:
    """Outcomes of RAW_CHECKS, in their order, for rows that were counted.

    `rows_before`: rows by partition, as far as known; only periods before `partition` count.
    """
    outcomes = [
        _schema(spec, raw.problems),
        _rows_present(raw.rows, partition),
        _row_count(raw.rows, partition, rows_before),
    ]
    if raw.problems or not raw.rows:
        return outcomes + [_not_judged(check) for check in RAW_CHECKS[len(outcomes) :]]
    return [
        *outcomes,
        _empty_values(spec, raw),
        _target_range(spec, raw.y),
        _duplicates(raw),
        _period(spec, raw, partition),
    ]


def check_clean(
    spec: DatasetSpec, table: pa.Table, partition: str, dropped: Mapping[str, int], raw_rows: int
) -> list[CheckOutcome]:
    """Outcomes of CLEAN_CHECKS, in their order, for a clean table; see `judge_clean`."""
    cleaned = CleanRows(spec)
    for part in _parts(table):
        cleaned.add(part)
    return judge_clean(spec, cleaned, partition, dropped, raw_rows)


def judge_clean(
    spec: DatasetSpec, cleaned: CleanRows, partition: str, dropped: Mapping[str, int], raw_rows: int
) -> list[CheckOutcome]:
    """Outcomes of CLEAN_CHECKS, in their order; `dropped` is how many of the `raw_rows` each rule dropped."""
    problems = cleaned.problems
    outcomes = [_schema(spec, problems), _rows_kept(spec, cleaned.rows, partition, dropped, raw_rows)]
    if problems or not cleaned.rows:
        return outcomes + [_not_judged(check) for check in CLEAN_CHECKS[len(outcomes) :]]
    return [*outcomes, _target_values(spec, cleaned.y)]


def _parts(table: pa.Table) -> Iterable[pa.Table]:
    return slices(table) if table.num_rows else (table,)


def _outcome(
    name: str,
    description: str,
    numbers: Mapping[str, float | int | str] | None = None,
    *,
    warns: bool = False,
    stops: bool = False,
) -> CheckOutcome:
    return CheckOutcome(name, not (warns or stops), stops, description, dict(numbers or {}))


def _not_judged(check: QualityCheck) -> CheckOutcome:
    return _outcome(check.name, "not judged: the table has no rows, or does not fit its schema")


def _schema(spec: DatasetSpec, problems: tuple[str, ...]) -> CheckOutcome:
    if not problems:
        return _outcome("schema", "the table is as the dataset describes it", {"problems": 0})
    untold = len(problems) - PROBLEMS_TOLD
    description = "; ".join(problems[:PROBLEMS_TOLD]) + (f"; and {untold} more" if untold > 0 else "")
    return _outcome("schema", spec.redact(description), {"problems": len(problems)}, stops=True)


def _rows_present(rows: int, partition: str) -> CheckOutcome:
    description = f"{partition} has {rows:,} row(s)" if rows else f"{partition} has no rows: check the source"
    return _outcome("rows_present", description, {"rows": rows}, stops=not rows)


def _row_count(rows: int, partition: str, rows_before: Mapping[str, int]) -> CheckOutcome:
    periods = [period for period in sorted(rows_before) if period < partition and rows_before[period]][-HISTORY:]
    if not periods:
        return _outcome("row_count", "no period before it to compare with", {"rows": rows, "periods_compared": 0})
    median = float(np.median([rows_before[period] for period in periods]))
    ratio = rows / median
    numbers = {"rows": rows, "median_before": median, "ratio": ratio, "periods_compared": len(periods)}
    description = f"{ratio:.2f} times the median of {len(periods)} period(s) before: {rows:,} and {median:,.0f} rows"
    return _outcome("row_count", description, numbers, warns=not FEWEST_ROWS <= ratio <= MOST_ROWS)


def _empty_values(spec: DatasetSpec, raw: RawRows) -> CheckOutcome:
    required = required_columns(spec)
    judged = {*spec.inputs(), *spec.target.columns, *required}
    shares = {alias: raw.empty[alias] / raw.rows for alias in spec.used_columns() if alias in judged}
    unknown = float(np.isnan(raw.y).mean())
    unusable = [f"{alias} is empty in every row" for alias in shares if alias in required and shares[alias] == 1]
    mostly = [f"{alias} is {share:.1%} empty" for alias, share in shares.items() if share > MOST_EMPTY]
    if unknown == 1:
        unusable.append("no row has a target")
    elif unknown > MOST_EMPTY:
        mostly.append(f"{unknown:.1%} of rows have no target")
    emptiest = max(shares, key=shares.__getitem__)
    description = "; ".join(unusable or mostly) or f"the emptiest column is {emptiest}: {shares[emptiest]:.1%}"
    numbers = {f"empty {alias}": share for alias, share in shares.items()} | {"without a target": unknown}
    return _outcome("empty_values", description, numbers, warns=bool(mostly), stops=bool(unusable))


def _target_range(spec: DatasetSpec, y: FloatArray) -> CheckOutcome:
    known = int(np.count_nonzero(~np.isnan(y)))
    if spec.target.keep is None or not known:
        reason = "no row has a target" if spec.target.keep else "the dataset keeps every target"
        return _outcome("target_range", f"not judged: {reason}", {"known": known})
    low, high = spec.target.keep
    share = float((known - np.count_nonzero((y >= low) & (y <= high))) / known)
    middle = [(known - 1) // 2, known // 2]
    median = float(np.partition(y, middle)[middle].mean())  # NaN comes last
    numbers = {"known": known, "share_outside": share, "median": median}
    description = f"{share:.1%} of targets lie outside {low:g}..{high:g} {spec.target.unit}".rstrip()
    return _outcome("target_range", description, numbers, warns=share > MOST_OUTSIDE)


def _duplicates(raw: RawRows) -> CheckOutcome:
    repeated = raw.repeated
    share = repeated / raw.rows
    description = f"{repeated:,} row(s) ({share:.2%}) are equal to another one"
    return _outcome("duplicates", description, {"rows": repeated, "share": share}, warns=share > MOST_DUPLICATES)


def _period(spec: DatasetSpec, raw: RawRows, partition: str) -> CheckOutcome:
    if spec.time is None or spec.time.keep_other_periods:
        reason = "keeps rows of other periods" if spec.time else "has no time column"
        return _outcome("period", f"not judged: the dataset {reason}")
    elsewhere, share = raw.elsewhere, raw.elsewhere / raw.rows
    description = f"{elsewhere:,} row(s) ({share:.2%}) lie outside {partition}"
    numbers = {"rows": elsewhere, "share": share}
    return _outcome("period", description, numbers, warns=share > MOST_ELSEWHERE, stops=share > WRONG_PERIOD)


def _rows_kept(spec: DatasetSpec, rows: int, partition: str, dropped: Mapping[str, int], raw_rows: int) -> CheckOutcome:
    share = rows / raw_rows if raw_rows else 0.0
    description = f"{partition} keeps {rows:,} of {raw_rows:,} row(s) ({share:.1%})"
    if any(dropped.values()):
        rule = max(dropped, key=dropped.__getitem__)
        description += f"; most were dropped by '{spec.redact(rule)}': {dropped[rule]:,}"
    numbers = {"rows": rows, "share": share}
    numbers |= {f"dropped by '{spec.redact(rule)}'": count for rule, count in dropped.items()}
    return _outcome("rows_kept", description, numbers, warns=share < FEWEST_KEPT, stops=not rows)


def _target_values(spec: DatasetSpec, y: FloatArray) -> CheckOutcome:
    broken = len(y) - int(np.count_nonzero(np.isfinite(y)))
    if broken:
        return _outcome("target_values", f"{broken:,} target(s) are not finite", {"not_finite": broken}, stops=True)
    quantiles = {"min": 0.0, "p05": 0.05, "median": 0.5, "p95": 0.95, "max": 1.0}
    numbers = dict(zip(quantiles, map(float, np.quantile(y, list(quantiles.values()))), strict=True))
    numbers |= {"mean": float(y.mean()), "standard_deviation": float(y.std())}
    same = numbers["min"] == numbers["max"]
    spread = f"9 in 10 targets lie in {numbers['p05']:.4g}..{numbers['p95']:.4g} {spec.target.unit}".rstrip()
    description = f"every target is {y[0]:g}: nothing can be learnt" if same else spread
    return _outcome("target_values", description, numbers, warns=same)
