"""What one pass over a month's rows finds, a batch at a time, so that no month has to fit into memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlops_assets.core.cleaning import TARGET, in_month, target
from mlops_assets.core.columns import from_table, row_hash
from mlops_assets.core.schemas import clean_schema, raw_schema, validate
from mlops_assets.dataset import DatasetSpec

if TYPE_CHECKING:
    import pyarrow as pa


class RawRows:
    """Rows as they came. `empty`: rows without a value by alias. `elsewhere`: rows whose time is of other months.

    `problems`: what does not fit the schema; where there is some, or no row, nothing else is counted.
    """

    def __init__(self, spec: DatasetSpec, partition: str) -> None:
        self.rows = self.elsewhere = 0
        self.empty = dict.fromkeys(spec.used_columns(), 0)
        self.problems: tuple[str, ...] = ()
        self._spec, self._partition, self._fits = spec, partition, None
        self._targets: list[np.ndarray] = []
        self._hashes: list[np.ndarray] = []

    def add(self, table: pa.Table) -> None:
        spec = self._spec
        if self._fits is None:  # types alone, which all batches share
            self._fits = raw_schema(spec)
            self.problems = validate(self._fits, table.slice(0, 1))
        self.rows += table.num_rows
        if self.problems or not table.num_rows:
            return
        columns = from_table(table, spec.used_columns())
        self._targets.append(target(spec, columns))
        self._hashes.append(row_hash(columns, seed=0))
        for alias, values in columns.items():
            missing = table.column(alias).null_count if values.dtype == object else np.isnan(values).sum()
            self.empty[alias] += int(missing)
        if spec.time and not spec.time.keep_other_months:
            times = columns[spec.time.column]
            self.elsewhere += int((~np.isnat(times) & ~in_month(times, self._partition)).sum())

    @property
    def y(self) -> np.ndarray:
        """Targets (n,), NaN where not known."""
        return np.concatenate(self._targets)

    @property
    def repeated(self) -> int:
        """Rows that are equal to an earlier one."""
        hashes = np.sort(np.concatenate(self._hashes))
        return int((hashes[1:] == hashes[:-1]).sum())


class CleanRows:
    """Rows that were cleaned: how many, and the targets of those that fit their schema."""

    def __init__(self, spec: DatasetSpec) -> None:
        self.rows = 0
        self._fits = clean_schema(spec)
        self._wrong: list[pa.Table] = []
        self._targets: list[np.ndarray] = []

    def add(self, table: pa.Table) -> None:
        self.rows += table.num_rows
        if validate(self._fits, table):
            self._wrong.append(table)
        else:
            self._targets.append(table.column(TARGET).to_numpy())

    @property
    def problems(self) -> tuple[str, ...]:
        """What does not fit the schema, counted over all batches."""
        import pyarrow as pa

        return validate(self._fits, pa.concat_tables(self._wrong)) if self._wrong else ()

    @property
    def y(self) -> np.ndarray:
        """Targets (n,)."""
        return np.concatenate(self._targets)
