"""Clean rows: the target computed, the spec's rules applied, and how many rows each rule dropped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlops_assets.core.columns import Columns, from_table, is_missing, slices
from mlops_assets.core.features.derive import minutes_between
from mlops_assets.core.targets.kinds import target_of
from mlops_assets.core.types import Array, BoolArray, FloatArray, TimeArray
from mlops_assets.dataset import DatasetSpec, RowRule
from mlops_assets.dataset.periods import Cadence
from mlops_assets.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

TARGET = "target"
ROW_ID = "row_id"


@dataclass(frozen=True)
class Cleaned:
    """`table` has `row_id` (place in the raw table), the columns a model may need, and `target` (float64)."""

    table: pa.Table
    dropped: dict[str, int]


def clean(spec: DatasetSpec, raw: pa.Table, partition: str) -> Cleaned:
    """Apply the rules in order: period, target, then the spec's rows; each counts what the earlier ones left.

    Raises DataError for an empty table, one without a single target, or one of which no row is left.
    """
    import pyarrow as pa

    cleaner = Cleaner(spec, partition)
    parts = [cleaner.clean(part) for part in slices(raw)]
    cleaner.finish()
    return Cleaned(pa.concat_tables(parts).combine_chunks(), cleaner.dropped)


class Cleaner:
    """Cleaning a batch at a time, in order; `dropped` and `kept` count the rows so far."""

    def __init__(self, spec: DatasetSpec, partition: str) -> None:
        self.dropped: dict[str, int] = {}
        self.kept = 0
        self._spec, self._partition = spec, partition
        self._rows = self._with_target = 0

    def clean(self, raw: pa.Table) -> pa.Table:
        """What is left of these rows."""
        import pyarrow as pa

        spec = self._spec
        columns = from_table(raw, _judged(spec))
        y = target(spec, columns)
        keep = np.ones(len(y), bool)
        for name, passes in _rules(spec, columns, y, self._partition):
            left = np.count_nonzero(keep)
            keep &= passes
            self.dropped[name] = self.dropped.get(name, 0) + int(left - np.count_nonzero(keep))
        table = raw.select(kept_columns(spec)).filter(pa.array(keep))
        table = table.add_column(0, ROW_ID, pa.array(self._rows + np.flatnonzero(keep)))
        self._rows += len(y)
        self._with_target += len(y) - int(np.count_nonzero(np.isnan(y)))
        self.kept += table.num_rows
        return table.append_column(TARGET, pa.array(y[keep]))

    def finish(self) -> None:
        """Raises DataError as `clean` does."""
        if not self._rows:
            raise DataError(f"{self._partition} has no rows: check the source")
        if not self._with_target:
            empty = ", ".join(self._spec.target.columns)
            raise DataError(f"{self._partition} has no row with a target ({empty} all empty)")
        if not self.kept:
            counts = ", ".join(f"{name} {count}" for name, count in self.dropped.items() if count)
            raise DataError(f"{self._partition} has no row that passes the rules (dropped: {counts})")


def passes_all(spec: DatasetSpec, columns: Columns, y: FloatArray, partition: str) -> BoolArray:
    """Whether cleaning keeps each row (n,): of those a model is made for, the truth is known."""
    keep: BoolArray = np.logical_and.reduce([passes for _, passes in _rules(spec, columns, y, partition)])
    return keep


def in_period(times: TimeArray, cadence: Cadence, period: str) -> BoolArray:
    """Whether each time (n,) lies in the period; a missing one does not."""
    start, end = np.datetime64(cadence.start(period)), np.datetime64(cadence.end(period))
    is_within: BoolArray = (times >= start) & (times < end)
    return is_within


def kept_columns(spec: DatasetSpec) -> list[str]:
    """Aliases in clean data: a model's inputs, the time column, the key, what split and gate ask for, and weights.

    None of the last four is learnt from: only inputs are known before the event.
    """
    kept = {*spec.inputs(), *spec.key, *spec.split.groups, *spec.gate.columns}
    kept |= ({spec.time.column} if spec.time else set()) | ({spec.weights} if spec.weights else set())
    return [alias for alias in spec.used_columns() if alias in kept]


def _judged(spec: DatasetSpec) -> set[str]:
    """Aliases that tell whether a row is kept, and its target."""
    return {*spec.target.columns, *(rule.column for rule in spec.rows)} | ({spec.time.column} if spec.time else set())


def target(spec: DatasetSpec, columns: Columns) -> FloatArray:
    """The target (n,) float64, NaN where it is not known or not finite."""
    if spec.target.minutes_between:
        start, end = spec.target.minutes_between
        return target_of(spec.target).encode(minutes_between(columns[start], columns[end]))
    return target_of(spec.target).encode(columns[spec.target.columns[0]])


def _rules(spec: DatasetSpec, columns: Columns, y: FloatArray, partition: str) -> Iterator[tuple[str, BoolArray]]:
    """The name of each rule, in order, and whether each row (n,) passes it."""
    if spec.time:
        times = columns[spec.time.column]
        yield "time is known", ~np.isnat(times)
        if not spec.time.keep_other_periods:
            yield "time lies in this period", in_period(times, spec.time.cadence, partition)
    yield "target is known", ~np.isnan(y)
    yield from target_of(spec.target).rules(y)
    for rule in spec.rows:
        yield rule.name, _passes(rule, columns[rule.column])


def _passes(rule: RowRule, values: Array) -> BoolArray:
    missing = is_missing(values)
    passes = np.ones(len(values), bool)
    if rule.min is not None:
        passes &= ~(values < rule.min)
    if rule.max is not None:
        passes &= ~(values > rule.max)
    if rule.one_of:
        passes &= np.isin(values, np.array(rule.one_of, values.dtype))
    if rule.none_of:
        passes &= ~np.isin(values, np.array(rule.none_of, values.dtype))
    return (passes | missing) if not rule.not_null else (passes & ~missing)
