"""Target encodings: what the target was, on average, for the group a row belongs to.

Training rows get what the other folds say (out of fold), so that a row's own target never reaches its features;
later rows get what all training rows say. Means are shrunk towards the overall mean (Micci-Barreca, 2001).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mlops_assets.core.columns import Columns
from mlops_assets.core.features.categories import Key, Lookup, Token, Vocabulary, distinct, group_ids, most_groups
from mlops_assets.dataset import GroupMeans
from mlops_assets.errors import DataError

BINS = 200


def log_number(number: np.ndarray) -> np.ndarray:
    """Its log, NaN where it is missing or not positive."""
    return np.log(number, out=np.full(len(number), np.nan), where=number > 0)


@dataclass(frozen=True)
class BinnedLog:
    """Distinct logs of a number and their bins: found once for all folds, since no target has a say in them."""

    logs: np.ndarray  # (distinct,) sorted; the last is NaN where some are
    bins: np.ndarray  # (distinct,) 0..size; `size` is that of NaN
    size: int
    place: np.ndarray  # (n,) of each row's log in `logs`

    @classmethod
    def of(cls, number: np.ndarray) -> BinnedLog:
        logs, place, count = np.unique(log_number(number), return_inverse=True, return_counts=True)
        known = ~np.isnan(logs)
        cuts = np.linspace(0, count[known].sum(), BINS + 1)[1:-1]
        bins = np.searchsorted(cuts, np.cumsum(count) - count / 2)
        return cls(logs, np.where(known, bins, BINS), BINS, place)


@dataclass(frozen=True)
class Curve:
    """Mean of the log target along a positive number: what the number alone explains."""

    x: np.ndarray  # (bins,) log of the number
    y: np.ndarray  # (bins,) mean log target
    default: float  # where the number is missing or not positive

    @classmethod
    def fit(cls, number: BinnedLog, rows: np.ndarray | slice, log_target: np.ndarray) -> Curve:
        place = number.place[rows]
        bins = number.bins[place]
        count = np.bincount(bins, minlength=number.size + 1)
        x, y = (np.bincount(bins, values, number.size + 1) for values in (number.logs[place], log_target))
        default = y[-1] / count[-1] if count[-1] else log_target.mean()
        filled = np.flatnonzero(count[:-1])
        return cls(x[filled] / count[filled], y[filled] / count[filled], float(default))

    def __call__(self, log_number: np.ndarray) -> np.ndarray:
        if not len(self.x):
            return np.full(len(log_number), self.default)
        return np.where(np.isnan(log_number), self.default, np.interp(log_number, self.x, self.y))


FOLDS = 10
SHRINKAGE = 30.0


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
    def _lookup(self) -> Lookup:
        return Lookup.of([*self.keys, self.scale] if self.scale else self.keys)


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
        if most_groups(tokens) > most:
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
