"""Target encodings: what the target was, on average, for the group a row belongs to.

Training rows get what the other folds say (out of fold), so that a row's own target never reaches its features;
later rows get what all training rows say. Means are shrunk towards the overall mean (Micci-Barreca, 2001).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

from mlops_assets.core.columns import Columns, length
from mlops_assets.core.curve import BinnedLog, Curve, log_number
from mlops_assets.core.vocabulary import UNKNOWN, Vocabulary, distinct, find
from mlops_assets.dataset import GroupMeans
from mlops_assets.dataset_parts import name_and_width
from mlops_assets.errors import DataError

FOLDS = 10
SHRINKAGE = 30.0


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

    def encode(self, features: Columns, codes: dict[str, np.ndarray]) -> np.ndarray:
        """Codes (n,) int64 in 0..size."""
        if self.width == 0:
            return codes[self.name] + 1
        values = np.floor(features[self.name] / self.width) - self.low + 1
        known = (values >= 1) & (values <= self.size)
        return np.where(known, values, 0).astype(np.int64)


@dataclass(frozen=True)
class Key:
    """A group of rows by its tokens, with what was learnt for each group."""

    tokens: tuple[Token, ...]
    ids: np.ndarray  # (groups,) int64, sorted
    values: np.ndarray  # (groups, k) float64: per statistic the shrunk mean, then the log count
    default: np.ndarray  # (k,) for a group that training did not have

    @property
    def name(self) -> str:
        return "__".join(token.label for token in self.tokens)


@dataclass(frozen=True, eq=False)
class _Lookup:
    """The groups of several keys in one numbering, so that a row is looked up once for all of them."""

    tokens: tuple[Token, ...]
    steps: np.ndarray  # (tokens, keys) int64, what a token's code counts for in a key's ids
    first: np.ndarray  # (keys,) int64, the first id of each key
    ids: np.ndarray  # (groups,) int64, sorted
    values: np.ndarray  # (groups + keys, k): of each group, then the default of each key

    @classmethod
    def of(cls, keys: Sequence[Key]) -> _Lookup:
        tokens = tuple(dict.fromkeys(token for key in keys for token in key.tokens))
        steps = np.zeros((len(tokens), len(keys)), np.int64)
        for number, key in enumerate(keys):
            step = 1
            for token in reversed(key.tokens):
                steps[tokens.index(token), number] += step
                step *= token.size + 1
        first = np.cumsum([0, *(_most_groups(key.tokens) for key in keys)])[:-1]
        width = max(len(key.default) for key in keys)
        values = [_widened(key.values, width) for key in keys] + [_widened(key.default[None], width) for key in keys]
        ids = np.concatenate([key.ids + start for key, start in zip(keys, first, strict=True)])
        return cls(tokens, steps, first, ids, np.vstack(values))

    def __call__(self, features: Columns, codes: dict[str, np.ndarray]) -> np.ndarray:
        """Statistics (n, keys, k) of each row's groups."""
        encoded = np.empty((length(features), len(self.tokens)), np.int64)
        for number, token in enumerate(self.tokens):
            encoded[:, number] = token.encode(features, codes)
        ids = encoded @ self.steps + self.first
        place = find(self.ids, ids.reshape(-1)).reshape(ids.shape)
        defaults = np.arange(len(self.ids), len(self.values))
        return self.values.take(np.where(place == UNKNOWN, defaults, place), axis=0)


def _widened(values: np.ndarray, width: int) -> np.ndarray:
    return np.pad(values, ((0, 0), (0, width - values.shape[1])))


def _most_groups(tokens: tuple[Token, ...]) -> int:
    return prod(token.size + 1 for token in tokens)


def group_ids(tokens: tuple[Token, ...], features: Columns, codes: dict[str, np.ndarray]) -> np.ndarray:
    """One number (n,) int64 for each combination of the tokens' codes."""
    ids = tokens[0].encode(features, codes)
    for token in tokens[1:]:
        ids = ids * (token.size + 1) + token.encode(features, codes)
    return ids


@dataclass(frozen=True)
class GroupMeansEncoder:
    """All keys of a spec, and the curve that its `relative_to` number explains."""

    keys: tuple[Key, ...]
    relative_to: str | None
    curve: Curve | None
    scale: Key | None  # mean log of the number by the first key

    @property
    def names(self) -> tuple[str, ...]:
        kinds = ("mean", "pace", "count") if self.relative_to else ("mean", "count")
        names = [f"{kind}_by_{key.name}" for key in self.keys for kind in kinds]
        if self.scale:
            names += [
                f"{self.relative_to}_by_{self.scale.name}",
                f"{self.relative_to}_beyond_{self.scale.name}",
            ]
        return tuple(names)

    def transform(self, features: Columns, codes: dict[str, np.ndarray]) -> np.ndarray:
        """Encodings (n, len(names)) of rows that were not trained on."""
        found = self._lookup(features, codes)
        count, keys = len(found), len(self.keys)
        own = found[:, :keys].reshape(count, keys * found.shape[2])
        if not self.scale:
            return own
        mean = found[:, keys, :1]
        return np.concatenate([own, mean, log_number(features[self.relative_to])[:, None] - mean], axis=1)

    @cached_property
    def _lookup(self) -> _Lookup:
        return _Lookup.of([*self.keys, self.scale] if self.scale else self.keys)


def fit_group_means(
    spec: GroupMeans,
    features: Columns,
    codes: dict[str, np.ndarray],
    vocabularies: dict[str, Vocabulary],
    y: np.ndarray,
    seed: int,
) -> tuple[GroupMeansEncoder, np.ndarray]:
    """The encoder, and the out-of-fold encodings (n, k) of the rows it was fitted on.

    Raises DataError for a single row, and where a key has more groups than can be numbered.
    """
    if len(y) < 2:
        raise DataError("one training row is not enough for group means, which need two or more")
    number = BinnedLog.of(features[spec.relative_to]) if spec.relative_to else None
    tokens = [tuple(Token.fit(text, features, vocabularies) for text in key) for key in spec.keys]
    most = (2**63 - 1) // (len(tokens) + 1)
    groups = [_Groups.find(key, features, codes, most) for key in tokens]
    everything = _Statistics.of(y, number, slice(None))
    keys = tuple(group.key(everything) for group in groups)
    own = _out_of_fold(groups, y, number, seed)
    if not spec.relative_to:
        return GroupMeansEncoder(keys, None, None, None), own
    logs = log_number(features[spec.relative_to])
    scale = groups[0].scale(logs)
    mean = scale.values[groups[0].place, 0]
    encoder = GroupMeansEncoder(keys, spec.relative_to, everything.curve, scale)
    return encoder, np.column_stack([own, mean, logs - mean])


def _out_of_fold(groups: list[_Groups], y: np.ndarray, number: BinnedLog | None, seed: int) -> np.ndarray:
    """Values (n, k) of each row's groups, learnt from the rows of all other folds."""
    folds = np.random.default_rng(seed).permutation(len(y)) % FOLDS
    own = np.empty((len(y), len(groups) * (2 if number is None else 3)))
    for fold in range(FOLDS):
        mine, others = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        statistics = _Statistics.of(y, number, others)
        own[mine] = np.hstack([group.values(statistics, others)[group.place[mine]] for group in groups])
    return own


@dataclass(frozen=True)
class _Statistics:
    """What is averaged over each group: the target and, relative to a number, its log beyond the curve."""

    values: tuple[np.ndarray, ...]
    curve: Curve | None

    @classmethod
    def of(cls, y: np.ndarray, number: BinnedLog | None, rows: np.ndarray | slice) -> _Statistics:
        if number is None:
            return cls((y[rows],), None)
        log_y = np.log(y[rows])
        curve = Curve.fit(number, rows, log_y)
        return cls((y[rows], log_y - curve(number.logs)[number.place[rows]]), curve)


@dataclass(frozen=True)
class _Groups:
    """The groups of one key among the training rows, and the `place` (n,) of each row's group in `ids`."""

    tokens: tuple[Token, ...]
    ids: np.ndarray
    place: np.ndarray

    @classmethod
    def find(cls, tokens: tuple[Token, ...], features: Columns, codes: dict[str, np.ndarray], most: int) -> _Groups:
        if _most_groups(tokens) > most:
            names = ", ".join(token.label for token in tokens)
            raise DataError(
                f"features.group_means.keys: [{names}] makes too many groups to number: "
                "clip its numbers, widen their steps or name fewer features"
            )
        return cls(tokens, *distinct(group_ids(tokens, features, codes)))

    def key(self, statistics: _Statistics) -> Key:
        default = np.array([*(values.mean() for values in statistics.values), 0.0])
        return Key(self.tokens, self.ids, self.values(statistics, slice(None)), default)

    def values(self, statistics: _Statistics, rows: np.ndarray | slice) -> np.ndarray:
        """For each group (groups, k): the shrunk mean of each statistic of these rows, then the log count."""
        place = self.place[rows]
        count = np.bincount(place, minlength=len(self.ids))
        means = [
            (np.bincount(place, values, len(self.ids)) + SHRINKAGE * values.mean()) / (count + SHRINKAGE)
            for values in statistics.values
        ]
        return np.column_stack([*means, np.log1p(count)])

    def scale(self, logs: np.ndarray) -> Key:
        """The shrunk mean for each group of the log of a number, NaN where it is not positive."""
        known = ~np.isnan(logs)
        prior = float(logs[known].mean()) if known.any() else 0.0
        sums = np.bincount(self.place[known], logs[known], len(self.ids))
        count = np.bincount(self.place[known], minlength=len(self.ids))
        means = (sums + SHRINKAGE * prior) / (count + SHRINKAGE)
        return Key(self.tokens, self.ids, means[:, None], np.array([prior]))
