"""Categories: the code of each value of a column, and the group of rows that several codes make together.

A vocabulary numbers the distinct values of one column. A token of a key is such a code, or a number in steps. A key is
the groups that its tokens make, with what was learnt for each; a lookup finds a row's groups of several keys at once.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from mlops_assets.core.columns import Columns, Row, length
from mlops_assets.core.types import Array, BoolArray, FloatArray, IntArray
from mlops_assets.dataset.parts import name_and_width

Codes = dict[str, IntArray]
RowCodes = dict[str, int]
UNKNOWN = -1
_LOOKUP_LIMIT = 1 << 16
_TABLE_PER_ROW = 16  # so many places a row, and a table is filled sooner than a sorted array is searched
_LONGEST_CATEGORY = 60  # characters on average
_MANY = 100  # different texts
_TABLE_ROWS = 256  # fewer rows are found sooner than any table is made


def is_free_text(characters: float, distinct: int) -> bool:
    """Whether texts of so many characters on average, of which so many differ, are sentences rather than categories."""
    return characters > _LONGEST_CATEGORY and distinct > _MANY


@dataclass(frozen=True)
class Vocabulary:
    """Sorted distinct values; the code of a value is its place. Unseen and missing values have code -1."""

    values: Array  # float64 for integer columns, object for text

    @classmethod
    def fit(cls, column: Array) -> Vocabulary:
        if column.dtype == object:
            return cls(np.array(sorted(v for v in set(column) if v is not None), object))
        present = column[np.isfinite(column)]
        if len(present) and present.min() >= 0 and present.max() < _LOOKUP_LIMIT:
            return cls(np.flatnonzero(np.bincount(present.astype(np.int64))).astype(np.float64))
        return cls(np.unique(present))

    def __len__(self) -> int:
        return len(self.values)

    def encode(self, column: Array) -> IntArray:
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

    def encode_row(self, value: Any) -> int:
        return self._index.get(value, UNKNOWN)

    @cached_property
    def _index(self) -> dict[Any, int]:
        return {value: code for code, value in enumerate(self.values.tolist())}

    @cached_property
    def _table(self) -> IntArray | None:
        """Code by value, where the values are small enough to index an array."""
        if not len(self.values) or self.values[0] < 0 or self.values[-1] >= _LOOKUP_LIMIT:
            return None
        table = np.full(int(self.values[-1]) + 1, UNKNOWN, np.int64)
        table[self.values.astype(np.int64)] = np.arange(len(self.values))
        return table


def find(ordered: Array, values: Array) -> IntArray:
    """Places (n,) int64 of `values` in a sorted array without repeats; -1 where absent."""
    if not len(ordered):
        return np.full(len(values), UNKNOWN, np.int64)
    if ordered.dtype == values.dtype == np.int64 and ordered[0] >= 0 and _fits_a_table(ordered[-1], len(values)):
        table = np.full(ordered[-1] + 2, UNKNOWN, np.int32)  # the last place answers for what is out of range
        table[ordered] = np.arange(len(ordered))
        within: IntArray = np.clip(values, UNKNOWN, ordered[-1] + 1)
        return table[within].astype(np.int64)
    place = np.minimum(ordered.searchsorted(values), len(ordered) - 1)
    is_there: BoolArray = ordered[place] == values
    return np.where(is_there, place, UNKNOWN)


def distinct(ids: IntArray) -> tuple[IntArray, IntArray]:
    """Sorted distinct ids and the place (n,) of each row's id among them; ids are int64 and not negative."""
    if len(ids) and _fits_a_table(ids.max(), len(ids)):
        present = np.zeros(ids.max() + 1, bool)
        present[ids] = True
        ordered = np.flatnonzero(present)
        table = np.empty(len(present), np.int64)
        table[ordered] = np.arange(len(ordered))
        return ordered, table[ids]
    return np.unique(ids, return_inverse=True)


def _fits_a_table(largest: int, rows: int) -> bool:
    return rows >= _TABLE_ROWS and largest < min(_TABLE_PER_ROW * rows, 2**31)


@dataclass(frozen=True)
class Token:
    """One name of a key: a category, or a number in steps of `width` between two fitted ends."""

    name: str
    width: float = 0.0
    low: int = 0
    size: int = 0  # codes 1..size; 0 is unknown

    @classmethod
    def fit(cls, text: str, features: Columns, vocabularies: dict[str, Vocabulary]) -> Token:
        name, width = name_and_width(text)
        if name in vocabularies:
            return cls(name, size=len(vocabularies[name]))
        step = width or 1.0
        present = features[name][np.isfinite(features[name])]
        steps = np.floor(present / step) if len(present) else np.zeros(1)
        low = int(steps.min())
        return cls(name, step, low, int(steps.max()) - low + 1)

    @property
    def label(self) -> str:
        """The name, with the width where it is not 1: two keys may differ in it alone."""
        return self.name if self.width in (0, 1) else f"{self.name}/{self.width:g}"

    def encode(self, features: Columns, codes: Codes) -> IntArray:
        """Codes (n,) int64 in 0..size."""
        if self.width == 0:
            return codes[self.name] + 1
        values = np.floor(features[self.name] / self.width) - self.low + 1
        is_within = (values >= 1) & (values <= self.size)
        return np.where(is_within, values, 0).astype(np.int64)

    def encode_row(self, features: Row, codes: RowCodes) -> int:
        if self.width == 0:
            return codes[self.name] + 1
        value = features[self.name]
        if value != value:
            return 0
        step = math.floor(value / self.width) - self.low + 1
        return step if 1 <= step <= self.size else 0


@dataclass(frozen=True)
class Key:
    """A group of rows by its tokens, with what was learnt for each group."""

    tokens: tuple[Token, ...]
    ids: IntArray  # (groups,) int64, sorted
    values: FloatArray  # (groups, k): per statistic the shrunk mean, then the log count
    default: FloatArray  # (k,) for a group that training did not have

    @property
    def name(self) -> str:
        return "__".join(token.label for token in self.tokens)


@dataclass(frozen=True, eq=False)
class Lookup:
    """The groups of several keys in one numbering, so that a row is looked up once for all of them."""

    tokens: tuple[Token, ...]
    steps: IntArray  # (tokens, keys) int64, what a token's code counts for in a key's ids
    first: IntArray  # (keys,) int64, the first id of each key
    ids: IntArray  # (groups,) int64, sorted
    values: FloatArray  # (groups + keys, k): of each group, then the default of each key

    @classmethod
    def of(cls, keys: Sequence[Key]) -> Lookup:
        tokens = tuple(dict.fromkeys(token for key in keys for token in key.tokens))
        steps = np.zeros((len(tokens), len(keys)), np.int64)
        for number, key in enumerate(keys):
            step = 1
            for token in reversed(key.tokens):
                steps[tokens.index(token), number] += step
                step *= token.size + 1
        first = np.cumsum([0, *(most_groups(key.tokens) for key in keys)])[:-1]
        width = max(len(key.default) for key in keys)
        values = [_widened(key.values, width) for key in keys] + [_widened(key.default[None], width) for key in keys]
        ids = np.concatenate([key.ids + start for key, start in zip(keys, first, strict=True)])
        return cls(tokens, steps, first, ids, np.vstack(values))

    def __call__(self, features: Columns, codes: Codes) -> FloatArray:
        """Statistics (n, keys, k) of each row's groups."""
        encoded = np.empty((length(features), len(self.tokens)), np.int64)
        for number, token in enumerate(self.tokens):
            encoded[:, number] = token.encode(features, codes)
        ids = encoded @ self.steps + self.first
        place = find(self.ids, ids.reshape(-1)).reshape(ids.shape)
        defaults = np.arange(len(self.ids), len(self.values))
        return self.values.take(np.where(place == UNKNOWN, defaults, place), axis=0)

    def row(self, features: Row, codes: RowCodes) -> list[list[float]]:
        """Statistics of one row's groups: for each key, k numbers."""
        encoded = [token.encode_row(features, codes) for token in self.tokens]
        ids = [sum([encoded[token] * step for token, step in steps], first) for first, steps in self._sums]
        return [self.values[self._place_row(number, key)].tolist() for key, number in enumerate(ids)]

    def _place_row(self, number: int, key: int) -> int:
        """Of a group in `values`."""
        place = bisect_left(self._ids, number)
        return place if place < len(self._ids) and self._ids[place] == number else len(self.ids) + key

    @cached_property
    def _ids(self) -> memoryview:
        return self.ids.data  # its items are Python's own numbers

    @cached_property
    def _sums(self) -> list[tuple[int, list[tuple[int, int]]]]:
        """What makes the ids of a row: for each key its first id, and the steps of its tokens by their places."""
        return [
            (int(first), [(token, int(step)) for token, step in enumerate(steps) if step])
            for first, steps in zip(self.first, self.steps.T, strict=True)
        ]


def _widened(values: FloatArray, width: int) -> FloatArray:
    return np.pad(values, ((0, 0), (0, width - values.shape[1])))


def most_groups(tokens: tuple[Token, ...]) -> int:
    """How many groups there can be, rows with unknown codes among them."""
    return prod(token.size + 1 for token in tokens)


def group_ids(tokens: tuple[Token, ...], features: Columns, codes: Codes) -> IntArray:
    """One number (n,) int64 for each combination of the tokens' codes."""
    ids = tokens[0].encode(features, codes)
    for token in tokens[1:]:
        ids = ids * (token.size + 1) + token.encode(features, codes)
    return ids
