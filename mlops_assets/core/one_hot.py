"""The sparse matrix of linear models: one column a category, a pair of categories, or a scaled number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlops_assets.core.columns import Columns, length
from mlops_assets.core.vocabulary import UNKNOWN, Vocabulary, distinct, find
from mlops_assets.dataset import Features

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

# Calendar parts with few values are categories to a linear model; the others are numbers.
_AS_CATEGORY = ("_hour", "_weekday", "_month", "_holiday")


@dataclass(frozen=True)
class Block:
    """One-hot columns of one or two categorical features; rows with a value unseen in training have none."""

    names: tuple[str, ...]
    sizes: tuple[int, ...]
    ids: np.ndarray  # (columns,) int64, sorted ids of the values that training had

    def places(self, codes: dict[str, np.ndarray]) -> np.ndarray:
        """Column (n,) of each row, -1 for none."""
        return find(self.ids, _ids(self.names, self.sizes, codes))


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


@dataclass(frozen=True)
class OneHotEncoder:
    blocks: tuple[Block, ...]
    calendar: dict[str, Vocabulary]
    scales: tuple[Scale, ...]

    @property
    def width(self) -> int:
        return sum(len(block.ids) for block in self.blocks) + sum(scale.width for scale in self.scales)

    def names(self, vocabularies: dict[str, Vocabulary]) -> tuple[str, ...]:
        """Names of the columns, in order: `feature=value`, `a=x,b=y` or the number's own name."""
        known = vocabularies | self.calendar
        names = []
        for block in self.blocks:
            for parts in zip(*_split(block.ids, block.sizes), strict=True):
                values = (known[name].values[code] for name, code in zip(block.names, parts, strict=True))
                names.append(",".join(f"{name}={_label(v)}" for name, v in zip(block.names, values, strict=True)))
        for scale in self.scales:
            names += [scale.name, f"{scale.name} is missing"] if scale.has_missing else [scale.name]
        return tuple(names)

    def transform(self, features: Columns, codes: dict[str, np.ndarray]) -> csr_matrix:
        """CSR matrix (n, width) float64 with int32 indices."""
        codes = codes | {name: vocabulary.encode(features[name]) for name, vocabulary in self.calendar.items()}
        shape = length(features), len(self.blocks) + sum(scale.width for scale in self.scales)
        columns, data = np.empty(shape, np.int32), np.ones(shape)  # the column and value of each entry of a row
        entry, offset = 0, 0
        for block in self.blocks:
            place = block.places(codes)
            columns[:, entry] = np.where(place == UNKNOWN, UNKNOWN, place + offset)
            entry, offset = entry + 1, offset + len(block.ids)
        for scale in self.scales:
            values = features[scale.name]
            missing = np.isnan(values)
            columns[:, entry] = offset
            data[:, entry] = np.where(missing, 0.0, (values - scale.mean) / scale.deviation)
            if scale.has_missing:
                columns[:, entry + 1] = np.where(missing, offset + 1, UNKNOWN)
            entry, offset = entry + scale.width, offset + scale.width
        return _csr(columns, data, self.width)


def fit_one_hot(
    spec: Features, features: Columns, codes: dict[str, np.ndarray], vocabularies: dict[str, Vocabulary]
) -> OneHotEncoder:
    """Learn the columns from training rows."""
    names = spec.calendar_names
    calendar = {name: Vocabulary.fit(features[name]) for name in names if name.endswith(_AS_CATEGORY)}
    known = vocabularies | calendar
    codes = codes | {name: vocabulary.encode(features[name]) for name, vocabulary in calendar.items()}
    groups = [(name,) for name in (*spec.categorical, *calendar)] + list(spec.pairs)
    blocks = []
    for group in groups:
        sizes = tuple(len(known[name]) for name in group)
        ids = _ids(group, sizes, codes)
        present, _ = distinct(ids[ids != UNKNOWN])
        blocks.append(Block(group, sizes, present))
    numbers = [*spec.numbers, *(name for name in names if name not in calendar)]
    return OneHotEncoder(tuple(blocks), calendar, tuple(_fit_scale(name, features[name]) for name in numbers))


def _fit_scale(name: str, values: np.ndarray) -> Scale:
    present = values[~np.isnan(values)]
    mean = float(present.mean()) if len(present) else 0.0
    # The standard deviation of equal numbers is not always exactly zero.
    deviation = float(present.std()) if len(present) and present.min() < present.max() else 1.0
    return Scale(name, mean, deviation, len(present) < len(values))


def _ids(names: tuple[str, ...], sizes: tuple[int, ...], codes: dict[str, np.ndarray]) -> np.ndarray:
    """One id (n,) for each combination of codes; -1 where any code is unknown."""
    ids = codes[names[0]]
    unknown = ids == UNKNOWN
    for name, size in zip(names[1:], sizes[1:], strict=True):
        ids = ids * size + codes[name]
        unknown = unknown | (codes[name] == UNKNOWN)
    return np.where(unknown, UNKNOWN, ids)


def _split(ids: np.ndarray, sizes: tuple[int, ...]) -> list[np.ndarray]:
    parts = []
    for size in reversed(sizes[1:]):
        ids, code = np.divmod(ids, size)
        parts.append(code)
    return [ids, *reversed(parts)]


def _label(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _csr(columns: np.ndarray, data: np.ndarray, width: int) -> csr_matrix:
    from scipy.sparse import csr_matrix

    present = columns != UNKNOWN
    indptr = np.zeros(len(columns) + 1, np.int32)
    np.cumsum(np.count_nonzero(present, axis=1), out=indptr[1:])
    if not present.all():
        columns, data = columns[present], data[present]
    return csr_matrix((data.ravel(), columns.ravel(), indptr), (len(indptr) - 1, width))
