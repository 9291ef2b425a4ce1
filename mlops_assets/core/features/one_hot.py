"""The sparse matrix of linear models: one column a category, a pair of categories, or a scaled number."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from mlops_assets.core.columns import Columns, Row, length, row_slices, take
from mlops_assets.core.features.categories import UNKNOWN, Codes, RowCodes, Vocabulary, distinct, find
from mlops_assets.core.types import BoolArray, FloatArray, IntArray
from mlops_assets.dataset import Features

if TYPE_CHECKING:
    from mlops_assets.core.types import SparseMatrix

# Calendar parts with few values are categories to a linear model; the others are numbers.
_AS_CATEGORY = ("_hour", "_weekday", "_month", "_holiday")


@dataclass(frozen=True)
class Block:
    """One-hot columns of one or two categorical features; rows with a value unseen in training have none."""

    names: tuple[str, ...]
    sizes: tuple[int, ...]
    ids: IntArray  # (columns,) int64, sorted ids of the values that training had

    def places(self, codes: Codes) -> IntArray:
        """Column (n,) of each row, -1 for none."""
        ids = _ids(self.names, self.sizes, codes)
        return ids if self._has_every_id else find(self.ids, ids)

    def place_row(self, codes: RowCodes) -> int:
        number = 0
        for name, size in zip(self.names, self.sizes, strict=True):
            code = codes[name]
            if code == UNKNOWN:
                return UNKNOWN
            number = number * size + code
        return self._place.get(number, UNKNOWN)

    @cached_property
    def _place(self) -> dict[int, int]:
        return {number: place for place, number in enumerate(self.ids.tolist())}

    @cached_property
    def _has_every_id(self) -> bool:
        return len(self.ids) == prod(self.sizes)


@dataclass(frozen=True)
class Scale:
    """A number, standardised; a missing one is the mean, told by a column of its own where training had some."""

    name: str
    mean: float
    deviation: float
    has_missing: bool

    @property
    def width(self) -> int:
        return 1 + self.has_missing


RowEntries = dict[int, float]  # of one row: the value of each column that has an entry


@dataclass(frozen=True, eq=False)
class Entries:
    """A sparse matrix (n, width) by the k entries of each row; an entry without a column has the value 0."""

    columns: IntArray  # (n, k) int32, -1 for none
    values: FloatArray  # (n, k)
    width: int

    @classmethod
    def of_row(cls, row: RowEntries, width: int) -> Entries:
        return cls(np.array([[*row]], np.int32), np.array([[*row.values()]], np.float64), width)

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.columns), self.width

    def __matmul__(self, weights: FloatArray) -> FloatArray:
        """Product (n,) with weights (width,); a matrix of SciPy takes longer to make than that."""
        products: FloatArray = (weights.take(self.columns, mode="wrap") * self.values).sum(axis=1)
        return products

    def csr(self) -> SparseMatrix:
        """The CSR matrix, float64 with int32 indices."""
        rows, most = self.columns.shape
        return _csr([self], rows, most, self.width)


@dataclass(frozen=True)
class OneHotEncoder:
    """What the matrix is made of: columns of categories, parts of the `calendar` among them, and scaled numbers."""

    blocks: tuple[Block, ...]
    calendar: dict[str, Vocabulary]
    scales: tuple[Scale, ...]

    @property
    def width(self) -> int:
        return sum(len(block.ids) for block in self.blocks) + sum(scale.width for scale in self.scales)

    def names(self, vocabularies: dict[str, Vocabulary]) -> tuple[str, ...]:
        """Names of the columns, in order: `feature=value`, `a=x,b=y` or the number's own name."""
        vocabularies = vocabularies | self.calendar
        names = []
        for block in self.blocks:
            for parts in zip(*_split(block.ids, block.sizes), strict=True):
                values = (vocabularies[name].values[code] for name, code in zip(block.names, parts, strict=True))
                names.append(",".join(f"{name}={_label(v)}" for name, v in zip(block.names, values, strict=True)))
        for scale in self.scales:
            names += [scale.name, f"{scale.name} is missing"] if scale.has_missing else [scale.name]
        return tuple(names)

    def transform(self, features: Columns, codes: Codes) -> Entries:
        """The matrix of rows: an entry a block, then one or two a number."""
        codes = codes | {name: vocabulary.encode(features[name]) for name, vocabulary in self.calendar.items()}
        layout = self._layout
        blocks = len(self.blocks)
        columns = np.empty((length(features), len(layout.columns)), np.int32)
        values = np.empty(columns.shape)
        for entry, block in enumerate(self.blocks):
            columns[:, entry] = block.places(codes)
        for entry, scale in zip(layout.numbers, self.scales, strict=True):
            values[:, entry] = features[scale.name]
        missing = np.isnan(values[:, layout.numbers])
        values[:, layout.numbers] = np.where(
            missing, 0.0, (values[:, layout.numbers] - layout.means) / layout.deviations
        )
        columns[:, blocks:] = 0
        columns[:, layout.missing] = np.where(missing[:, layout.has_missing], 0, UNKNOWN)
        unknown = columns == UNKNOWN
        columns += layout.columns
        columns[unknown] = UNKNOWN
        values[:, :blocks] = 1
        values[:, layout.missing] = 1
        values[unknown] = 0
        return Entries(columns, values, self.width)

    def transform_row(self, features: Row, codes: RowCodes) -> RowEntries:
        codes = codes | {name: words.encode_row(features[name]) for name, words in self.calendar.items()}
        layout = self._layout.columns.tolist()
        entries: RowEntries = {}
        for first, block in zip(layout, self.blocks, strict=False):
            if (place := block.place_row(codes)) != UNKNOWN:
                entries[first + place] = 1.0
        for entry, scale in zip(self._layout.numbers.tolist(), self.scales, strict=True):
            value = features[scale.name]
            is_missing = value != value
            entries[layout[entry]] = 0.0 if is_missing else (value - scale.mean) / scale.deviation
            if is_missing and scale.has_missing:
                entries[layout[entry + 1]] = 1.0
        return entries

    def csr(self, features: Columns, codes: Codes) -> SparseMatrix:
        """The CSR matrix of rows, float64 with int32 indices."""
        rows = length(features)
        parts = (self.transform(take(features, some), take(codes, some)) for some in row_slices(rows))
        return _csr(parts, rows, len(self._layout.columns), self.width)

    @cached_property
    def _layout(self) -> _Layout:
        return _Layout.of(self)


@dataclass(frozen=True)
class _Layout:
    """Where the entries of a row are: `columns` (k,) is the first column of each."""

    columns: IntArray
    numbers: IntArray  # entries of the numbers
    missing: IntArray  # entries that say that a number is missing
    has_missing: BoolArray  # which of the numbers have one
    means: FloatArray
    deviations: FloatArray

    @classmethod
    def of(cls, encoder: OneHotEncoder) -> _Layout:
        scales = encoder.scales
        widths = [*(len(block.ids) for block in encoder.blocks), *(1 for scale in scales for _ in range(scale.width))]
        first = len(encoder.blocks) + np.cumsum([0, *(scale.width for scale in scales)], dtype=np.int64)[: len(scales)]
        has_missing = np.array([scale.has_missing for scale in scales], bool)
        return cls(
            columns=np.cumsum([0, *widths], dtype=np.int32)[:-1],
            numbers=first,
            missing=first[has_missing] + 1,
            has_missing=has_missing,
            means=np.array([scale.mean for scale in scales]),
            deviations=np.array([scale.deviation for scale in scales]),
        )


def fit_one_hot(spec: Features, features: Columns, codes: Codes, vocabularies: dict[str, Vocabulary]) -> OneHotEncoder:
    """Learn the columns from training rows."""
    names = spec.calendar_names
    calendar = {name: Vocabulary.fit(features[name]) for name in names if name.endswith(_AS_CATEGORY)}
    vocabularies = vocabularies | calendar
    codes = codes | {name: vocabulary.encode(features[name]) for name, vocabulary in calendar.items()}
    groups: list[tuple[str, ...]] = [*((name,) for name in (*spec.categorical, *calendar)), *spec.pairs]
    blocks = []
    for group in groups:
        sizes = tuple(len(vocabularies[name]) for name in group)
        ids = _ids(group, sizes, codes)
        present, _ = distinct(ids[ids != UNKNOWN])
        blocks.append(Block(group, sizes, present))
    numbers = [*spec.numbers, *(name for name in names if name not in calendar)]
    return OneHotEncoder(tuple(blocks), calendar, tuple(_fit_scale(name, features[name]) for name in numbers))


def _csr(parts: Iterable[Entries], rows: int, most: int, width: int) -> SparseMatrix:
    """The matrix (rows, width) of entries, given some rows at a time, `most` to a row."""
    from scipy.sparse import csr_matrix

    indptr = np.zeros(rows + 1, np.int32)
    columns, values = np.empty(rows * most, np.int32), np.empty(rows * most)
    row, end = 0, 0
    for part in parts:
        present = part.columns != UNKNOWN
        counts = indptr[row + 1 : row + len(present) + 1]
        np.einsum("ij->i", present, dtype=np.int32, out=counts)  # `sum` is slow over a short axis
        entries = np.flatnonzero(present)
        row, start, end = row + len(present), end, end + len(entries)
        part.columns.take(entries, out=columns[start:end], mode="clip")
        part.values.take(entries, out=values[start:end], mode="clip")
    np.cumsum(indptr, out=indptr)
    return csr_matrix((values[:end], columns[:end], indptr), (rows, width))


def _fit_scale(name: str, values: FloatArray) -> Scale:
    present = values[~np.isnan(values)]
    mean = float(present.mean()) if len(present) else 0.0
    # The standard deviation of equal numbers is not always exactly zero.
    deviation = float(present.std()) if len(present) and present.min() < present.max() else 1.0
    return Scale(name, mean, deviation, len(present) < len(values))


def _ids(names: tuple[str, ...], sizes: tuple[int, ...], codes: Codes) -> IntArray:
    """One id (n,) for each combination of codes; -1 where any code is unknown."""
    ids = codes[names[0]]
    if len(names) == 1:
        return ids
    unknown = ids == UNKNOWN
    for name, size in zip(names[1:], sizes[1:], strict=True):
        ids = ids * size + codes[name]
        unknown = unknown | (codes[name] == UNKNOWN)
    return np.where(unknown, UNKNOWN, ids)


def _split(ids: IntArray, sizes: tuple[int, ...]) -> list[IntArray]:
    """The codes (n,) of each feature of which `_ids` made these ids."""
    parts = []
    for size in reversed(sizes[1:]):
        ids, code = np.divmod(ids, size)
        parts.append(code)
    return [ids, *reversed(parts)]


def _label(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
