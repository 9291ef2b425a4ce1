"""Vocabularies: the distinct values of a categorical column, and the code of each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

UNKNOWN = -1
_LOOKUP_LIMIT = 1 << 16
_TABLE_PER_ROW = 16  # so many places a row, and a table is filled sooner than a sorted array is searched
_TABLE_ROWS = 256  # fewer rows are found sooner than any table is made


@dataclass(frozen=True)
class Vocabulary:
    """Sorted distinct values; the code of a value is its place. Unseen and missing values have code -1."""

    values: np.ndarray  # float64 for integer columns, object for text

    @classmethod
    def fit(cls, column: np.ndarray) -> Vocabulary:
        if column.dtype == object:
            return cls(np.array(sorted(v for v in set(column) if v is not None), object))
        present = column[np.isfinite(column)]
        if len(present) and 0 <= present.min() and present.max() < _LOOKUP_LIMIT:
            return cls(np.flatnonzero(np.bincount(present.astype(np.int64))).astype(np.float64))
        return cls(np.unique(present))

    def __len__(self) -> int:
        return len(self.values)

    def encode(self, column: np.ndarray) -> np.ndarray:
        """Codes (n,) int64."""
        if self.values.dtype == object:
            index = self._index
            return np.fromiter((index.get(value, UNKNOWN) for value in column), np.int64, len(column))
        if self._table is not None:
            usable = (column >= 0) & (column < len(self._table))
            if usable.all():
                return self._table[column.astype(np.int64)]
            return np.where(usable, self._table[np.where(usable, column, 0).astype(np.int64)], UNKNOWN)
        return find(self.values, column)

    @cached_property
    def _index(self) -> dict:
        return {value: code for code, value in enumerate(self.values)}

    @cached_property
    def _table(self) -> np.ndarray | None:
        """Code by value, where the values are small enough to index an array."""
        if not len(self.values) or self.values[0] < 0 or self.values[-1] >= _LOOKUP_LIMIT:
            return None
        table = np.full(int(self.values[-1]) + 1, UNKNOWN, np.int64)
        table[self.values.astype(np.int64)] = np.arange(len(self.values))
        return table


def find(ordered: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Places (n,) int64 of `wanted` in a sorted array without repeats; -1 where absent."""
    if not len(ordered):
        return np.full(len(wanted), UNKNOWN, np.int64)
    if ordered.dtype == wanted.dtype == np.int64 and ordered[0] >= 0 and _fits_a_table(ordered[-1], len(wanted)):
        table = np.full(ordered[-1] + 2, UNKNOWN, np.int32)  # the last place answers for what is out of range
        table[ordered] = np.arange(len(ordered))
        return table[np.clip(wanted, UNKNOWN, ordered[-1] + 1)].astype(np.int64)
    place = np.minimum(ordered.searchsorted(wanted), len(ordered) - 1)
    return np.where(ordered[place] == wanted, place, UNKNOWN)


def distinct(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sorted distinct ids and the place (n,) of each row's id among them; ids are int64 and not negative."""
    if len(ids) and _fits_a_table(ids.max(), len(ids)):
        present = np.zeros(ids.max() + 1, bool)
        present[ids] = True
        ordered = np.flatnonzero(present)
        return ordered, find(ordered, ids)
    return np.unique(ids, return_inverse=True)


def _fits_a_table(largest: int, rows: int) -> bool:
    return rows >= _TABLE_ROWS and largest < min(_TABLE_PER_ROW * rows, 2**31)
