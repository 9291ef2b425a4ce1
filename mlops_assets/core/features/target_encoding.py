"""Target encodings: what the target was, on average, for the group a row belongs to.

Means are shrunk towards the overall mean, the more so the fewer rows a group has (Micci-Barreca, "A preprocessing
scheme for high-cardinality categorical attributes in classification and prediction problems", SIGKDD Explorations
3(1), 2001).

Training rows get what the other folds say: by this cross-fitting (Chernozhukov et al., "Double/debiased machine
learning for treatment and structural parameters", Econometrics Journal, 2018; as scikit-learn's TargetEncoder does)
a row's own target never reaches its features. Later rows get what all training rows say.

Where the target grows with a number, such as a distance, means are taken beyond what that number explains as well: the
log target is compared with a curve, its mean along the log of the number.

Of a target of several classes, the mean of each class is its rate: the commonest RATES of them have one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mlops_assets.core.columns import Columns, Row, row_slices
from mlops_assets.core.features.categories import (
    Codes,
    Key,
    Lookup,
    RowCodes,
    Token,
    Vocabulary,
    distinct,
    group_ids,
    most_groups,
)
from mlops_assets.core.features.derive import log_number, log_number_row
from mlops_assets.core.types import BoolArray, FloatArray, IntArray, SingleArray
from mlops_assets.dataset import GroupMeans
from mlops_assets.errors import DataError

BINS = 200  # of a number, along its curve
FOLDS = 10
RATES = 10  # classes of which groups have a rate, at most
SHRINKAGE = 30.0  # so many rows with the overall mean stand beside those of a group


@dataclass(frozen=True)
class BinnedLog:
    """Distinct logs of a number and their bins: found once for all folds, since no target has a say in them."""

    logs: FloatArray  # (distinct,) sorted; the last is NaN where some are
    bins: IntArray  # (distinct,) 0..size; `size` is that of NaN
    size: int
    place: IntArray  # (n,) of each row's log in `logs`

    @classmethod
    def of(cls, number: FloatArray) -> BinnedLog:
        import pyarrow as pa

        values = pa.array(number).dictionary_encode()  # many rows have few values: sooner than to sort them
        logs, place = np.unique(log_number(values.dictionary.to_numpy()), return_inverse=True)
        place = place[values.indices.to_numpy()]
        count = np.bincount(place)
        is_number = ~np.isnan(logs)
        cuts = np.linspace(0, count[is_number].sum(), BINS + 1)[1:-1]
        bins = np.searchsorted(cuts, np.cumsum(count) - count / 2)
        return cls(logs, np.where(is_number, bins, BINS), BINS, place)


@dataclass(frozen=True)
class Curve:
    """Mean of the log target along a positive number: what the number alone explains."""

    x: FloatArray  # (bins,) log of the number
    y: FloatArray  # (bins,) mean log target
    default: float  # where the number is missing or not positive

    @classmethod
    def fit(cls, number: BinnedLog, rows: IntArray | slice, log_target: FloatArray) -> Curve:
        place = number.place[rows]
        bins = number.bins[place]
        count = np.bincount(bins, minlength=number.size + 1)
        x, y = (np.bincount(bins, values, number.size + 1) for values in (number.logs[place], log_target))
        default = y[-1] / count[-1] if count[-1] else log_target.mean()
        filled = np.flatnonzero(count[:-1])
        return cls(x[filled] / count[filled], y[filled] / count[filled], float(default))

    def __call__(self, logs: FloatArray) -> FloatArray:
        """Mean log targets (n,) at logs (n,) of the number."""
        if not len(self.x):
            return np.full(len(logs), self.default)
        return np.where(np.isnan(logs), self.default, np.interp(logs, self.x, self.y))


@dataclass(frozen=True)
class GroupMeansEncoder:
    """All keys of a spec, and the curve that its `relative_to` number explains."""

    keys: tuple[Key, ...]
    relative_to: str | None
    curve: Curve | None
    scale: Key | None  # mean log of the number by the first key
    classes: tuple[str, ...] = ()  # those that groups have a rate of, where the target has several

    @property
    def names(self) -> tuple[str, ...]:
        means = [f"rate_of_{name}" for name in self.classes] or ["mean", "pace"][: 2 if self.relative_to else 1]
        names = [f"{kind}_by_{key.name}" for key in self.keys for kind in (*means, "count")]
        if self.scale:
            names += [
                f"{self.relative_to}_by_{self.scale.name}",
                f"{self.relative_to}_beyond_{self.scale.name}",
            ]
        return tuple(names)

    def transform(self, features: Columns, codes: Codes) -> FloatArray:
        """Encodings (n, len(names)) of rows that were not trained on."""
        statistics = self._lookup(features, codes)
        count, keys = len(statistics), len(self.keys)
        encodings = statistics[:, :keys].reshape(count, keys * statistics.shape[2])
        if not self.scale or self.relative_to is None:
            return encodings
        mean = statistics[:, keys, :1]
        return np.concatenate([encodings, mean, log_number(features[self.relative_to])[:, None] - mean], axis=1)

    def transform_row(self, features: Row, codes: RowCodes) -> list[float]:
        statistics = self._lookup.row(features, codes)
        encodings = [number for numbers in statistics[: len(self.keys)] for number in numbers]
        if not self.scale or self.relative_to is None:
            return encodings
        mean = statistics[-1][0]
        return [*encodings, mean, log_number_row(features[self.relative_to]) - mean]

    @cached_property
    def _lookup(self) -> Lookup:
        return Lookup.of([*self.keys, self.scale] if self.scale else self.keys)


def fit_group_means(
    spec: GroupMeans,
    features: Columns,
    codes: Codes,
    vocabularies: dict[str, Vocabulary],
    y: FloatArray,
    labels: Sequence[str] = (),
) -> FittedGroupMeans:
    """Learn from training rows. `labels`: of the classes whose codes `y` (n,) holds; of two, the second has a mean.

    Raises DataError for a single row, and where a key has more groups than can be numbered.
    """
    if len(y) < 2:
        raise DataError("one training row is not enough for group means, which need two or more")
    number = BinnedLog.of(features[spec.relative_to]) if spec.relative_to else None
    tokens = [tuple(Token.fit(text, features, vocabularies) for text in key) for key in spec.keys]
    most = (2**63 - 1) // (len(tokens) + 1)
    groups = tuple(_Groups.find(key, features, codes, most) for key in tokens)
    classes = _commonest(y) if len(labels) > 2 else ()
    everything = _Statistics.of([y == code for code in classes] or [y], number, slice(None))
    keys = tuple(group.key(everything) for group in groups)
    scale = groups[0].scale(number.logs[number.place]) if number else None
    rated = tuple(labels[code] for code in classes)
    encoder = GroupMeansEncoder(keys, spec.relative_to, everything.curve, scale, rated)
    return FittedGroupMeans(encoder, groups, number, y, classes)


def _commonest(y: FloatArray) -> tuple[int, ...]:
    """The codes of the classes that get a rate, in their order."""
    count = np.bincount(y.astype(np.int64))
    return tuple(sorted(np.argsort(-count, kind="stable")[:RATES].tolist()))


@dataclass(frozen=True, eq=False)
class FittedGroupMeans:
    """An encoder, and of the rows that it was fitted on what their own encodings are made of."""

    encoder: GroupMeansEncoder
    groups: tuple[_Groups, ...]
    number: BinnedLog | None
    y: FloatArray
    classes: tuple[int, ...]  # codes of those that have a rate

    def out_of_fold(self, encodings: SingleArray, seed: int) -> None:
        """Write the encodings (n, k) of these rows: values of each row's groups, learnt from the rows of other folds.

        All folds are summed in one pass over the rows of a key: in the sum of a fold, its own rows count as 0. Sums of
        all rows less those of the fold would do for the target, with other roundings, but not where each fold has its
        curve.
        """
        folds = np.random.default_rng(seed).permutation(len(self.y)) % FOLDS
        targets = [self.y == code for code in self.classes] or [self.y]
        width = len(self.encoder.keys[0].default)
        for number, target in enumerate(targets):
            means, values = self._without_each_fold(target, folds)
            for place, group in enumerate(self.groups):
                first, end = place * width, (place + 1) * width
                found = group.without_own_fold(values, means, folds)
                encodings[:, first + number : first + number + len(means)] = found[:, :-1]
                encodings[:, end - 1] = found[:, -1]
        if self.encoder.scale and self.number:
            mean = self.encoder.scale.values[self.groups[0].place, 0]
            encodings[:, -2], encodings[:, -1] = mean, self.number.logs[self.number.place] - mean

    def _without_each_fold(self, y: FloatArray | BoolArray, folds: IntArray) -> tuple[FloatArray, FloatArray]:
        """Means (k, FOLDS) of the rows of other folds, and (n, k, FOLDS) what each row adds to them, 0 to its own."""
        number = self.number
        means = np.empty((1 if number is None else 2, FOLDS))
        curves = np.empty((0 if number is None else len(number.logs), FOLDS))
        for fold in range(FOLDS):
            learnt = _Statistics.of([y], number, np.flatnonzero(folds != fold))
            means[:, fold] = learnt.means
            if number and learnt.curve:
                curves[:, fold] = learnt.curve(number.logs)
        values = np.empty((len(y), *means.shape))
        for rows in row_slices(len(y)):
            some = values[rows]
            some[:, 0] = y[rows, None]
            if number:
                np.subtract(np.log(y[rows])[:, None], curves.take(number.place[rows], axis=0), out=some[:, 1])
            some[np.arange(len(some)), :, folds[rows]] = 0
        return means, values


@dataclass(frozen=True)
class _Statistics:
    """What is averaged over each group: targets and, relative to a number, the log of the only one beyond the curve."""

    values: tuple[FloatArray | BoolArray, ...]
    curve: Curve | None

    @property
    def means(self) -> tuple[float, ...]:
        return tuple(float(values.mean()) for values in self.values)

    @classmethod
    def of(
        cls, targets: Sequence[FloatArray | BoolArray], number: BinnedLog | None, rows: IntArray | slice
    ) -> _Statistics:
        chosen = [target[rows] for target in targets]
        if number is None:
            return cls(tuple(chosen), None)
        log_y = np.log(chosen[0])
        curve = Curve.fit(number, rows, log_y)
        return cls((chosen[0], log_y - curve(number.logs)[number.place[rows]]), curve)


@dataclass(frozen=True)
class _Groups:
    """The groups of one key among the training rows, and the `place` (n,) of each row's group in `ids`."""

    tokens: tuple[Token, ...]
    ids: IntArray
    place: IntArray

    @classmethod
    def find(cls, tokens: tuple[Token, ...], features: Columns, codes: Codes, most: int) -> _Groups:
        if most_groups(tokens) > most:
            names = ", ".join(token.label for token in tokens)
            raise DataError(
                f"features.group_means.keys: [{names}] makes too many groups to number: "
                "clip its numbers, widen their steps or name fewer features"
            )
        return cls(tokens, *distinct(group_ids(tokens, features, codes)))

    def key(self, statistics: _Statistics) -> Key:
        count = np.bincount(self.place, minlength=len(self.ids))
        sums = [np.bincount(self.place, values, len(self.ids)) for values in statistics.values]
        means = [_shrunk(each, count, mean) for each, mean in zip(sums, statistics.means, strict=True)]
        values = np.column_stack([*means, np.log1p(count)])
        return Key(self.tokens, self.ids, values, np.array([*statistics.means, 0.0]))

    def without_own_fold(self, values: FloatArray, means: FloatArray, folds: IntArray) -> FloatArray:
        """Each row's values (n, k + 1), learnt from the rows of other folds than its own, of `folds` (n,).

        `values` (n, k, FOLDS) has what each row tells each fold, 0 its own; `means` (k, FOLDS) are those of the others.
        """
        from scipy.sparse import csr_matrix

        rows, groups = len(self.place), len(self.ids)
        member = csr_matrix((np.ones(rows), self.place, np.arange(rows + 1)), (rows, groups))
        sums = np.asarray(member.T @ values.reshape(rows, -1)).reshape(groups, *means.shape)
        own = self.place * FOLDS + folds
        count = np.bincount(own, minlength=groups * FOLDS).reshape(groups, FOLDS)
        others = count.sum(axis=1, keepdims=True) - count
        table = np.empty((groups, FOLDS, len(means) + 1))
        table[..., :-1] = _shrunk(sums, others[:, None], means).swapaxes(1, 2)
        table[..., -1] = np.log1p(others)
        return table.reshape(groups * FOLDS, -1).take(own, axis=0)

    def scale(self, logs: FloatArray) -> Key:
        """The shrunk mean for each group of the log of a number, NaN where it is not positive."""
        is_number = ~np.isnan(logs)
        prior = float(logs[is_number].mean()) if is_number.any() else 0.0
        sums = np.bincount(self.place[is_number], logs[is_number], len(self.ids))
        count = np.bincount(self.place[is_number], minlength=len(self.ids))
        return Key(self.tokens, self.ids, _shrunk(sums, count, prior)[:, None], np.array([prior]))


def _shrunk(sums: FloatArray | IntArray, count: IntArray, mean: FloatArray | float) -> FloatArray:
    """Means of groups, shrunk towards the overall mean; the arguments are broadcast."""
    means: FloatArray = (sums + SHRINKAGE * mean) / (count + SHRINKAGE)
    return means
