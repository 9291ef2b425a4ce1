"""How good predictions are: scores, their uncertainty, and the baselines a model has to beat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mlops_assets.core.types import BoolArray, FloatArray, IntArray
from mlops_assets.errors import DataError

ROUNDING = 1e-9  # share of an answer by which the same model may differ about the same row
FEWEST_CLUSTERS = 2


@dataclass(frozen=True)
class Scores:
    """Scores of `n` predictions; `rmse` and `mae` in the target's unit."""

    rmse: float
    mae: float
    r2: float
    n: int


@dataclass(frozen=True)
class Interval:
    """A confidence interval, both ends included."""

    low: float
    high: float


def score(y: FloatArray, prediction: FloatArray) -> Scores:
    """Scores of `prediction` against the truth `y`, both of shape (n,).

    R2 of a constant `y` is 1 for a perfect prediction and 0 otherwise, as in scikit-learn.
    Raises DataError where there are no rows, or a value is not finite.
    """
    y, prediction = np.asarray(y, dtype=np.float64), np.asarray(prediction, dtype=np.float64)
    if y.shape != prediction.shape or y.ndim != 1 or not len(y):
        raise DataError(f"cannot score predictions of shape {prediction.shape} against truth of shape {y.shape}")
    for name, values in (("true", y), ("predicted", prediction)):
        if bad := int((~np.isfinite(values)).sum()):
            raise DataError(f"{bad} of {len(values)} {name} values are not finite numbers")
    error = prediction - y
    unexplained, total = float(error @ error), float(((y - y.mean()) ** 2).sum())
    r2 = 1 - unexplained / total if total else float(unexplained == 0)
    return Scores(rmse=float(np.sqrt(unexplained / len(y))), mae=float(np.abs(error).mean()), r2=r2, n=len(y))


@dataclass(frozen=True, eq=False)
class Clusters:
    """Rows that move together, such as those of a day: `name`, in the plural, and each row's cluster (n,), from 0."""

    name: str
    ids: IntArray

    @classmethod
    def of_rows(cls, count: int) -> Clusters:
        """Each row by itself."""
        return cls("rows", np.arange(count))

    @cached_property
    def sizes(self) -> IntArray:
        return np.bincount(self.ids)

    @property
    def effective(self) -> float:
        """How many clusters of one size would say as much (Carter, Schnepel and Steigerwald, 2017)."""
        return float(self.sizes.sum() ** 2 / (self.sizes.astype(np.float64) ** 2).sum())

    def __len__(self) -> int:
        return len(self.sizes)

    def __str__(self) -> str:
        return f"{len(self):,} {self.name}"

    def take(self, rows: IntArray | BoolArray) -> Clusters:
        return Clusters(self.name, np.unique(self.ids[rows], return_inverse=True)[1])


@dataclass(frozen=True)
class Estimate:
    """A value, its standard error by the clusters that make it largest, and their effective number less one."""

    value: float
    error: float
    freedom: float
    clusters: Clusters

    def interval(self, confidence: float) -> Interval:
        """The value and, on each side, what `confidence` asks for by Student's t."""
        reach = self.reach((1 + confidence) / 2)
        return Interval(self.value - reach, self.value + reach)

    def reach(self, quantile: float) -> float:
        """How far above the value a quantile of its distribution lies."""
        from scipy.special import stdtrit

        return float(stdtrit(self.freedom, quantile)) * self.error if self.error else 0.0


def estimate(
    losses: FloatArray, clusterings: Sequence[Clusters], statistic: Callable[[FloatArray], FloatArray]
) -> Estimate:
    """A statistic of mean losses, with the error that comes of leaving out each cluster in turn.

    `losses` (k, n) are those of k models on the same rows; `statistic` takes means (k, m) and gives (m,). The
    delete-one jackknife of clusters (CV3: MacKinnon, Nielsen and Webb, "Fast and reliable jackknife and bootstrap
    methods for cluster-robust inference", 2023) holds its level where clusters are few or of unequal size, and draws
    nothing by chance. Of several clusterings the one with the largest error counts.
    """
    value = float(statistic(losses.mean(axis=1, keepdims=True))[0])
    best: Estimate | None = None
    for clusters in clusterings:
        count, left = len(clusters), losses.shape[1] - clusters.sizes
        if count < FEWEST_CLUSTERS:
            continue
        sums = np.stack([np.bincount(clusters.ids, weights=row, minlength=count) for row in losses])
        without = statistic((sums.sum(axis=1, keepdims=True) - sums) / left)
        error = float(np.sqrt((count - 1) / count * ((without - value) ** 2).sum()))
        if best is None or error > best.error:
            best = Estimate(value, error, max(clusters.effective - 1, 1.0), clusters)
    if best is None:
        counts = " and ".join(map(str, clusterings)) or "no clusters"
        raise DataError(f"{counts} are too few to say how sure this is (at least {FEWEST_CLUSTERS} are needed)")
    return best


def mean_baseline(y_train: FloatArray, n: int) -> FloatArray:
    """Predicts the mean of the training target for each of `n` rows."""
    return np.full(n, np.mean(y_train, dtype=np.float64))


def group_mean_baseline(codes_train: IntArray, y_train: FloatArray, codes: IntArray) -> FloatArray:
    """Predicts the mean training target of a row's group; the overall mean where training lacks the group.

    Codes are integers of shape (n,), or (n, k) where k columns together name the group, such as two zones.
    """
    groups = _group_ids(np.concatenate([_as_table(codes_train), _as_table(codes)]))
    train, new = groups[: len(y_train)], groups[len(y_train) :]
    n_groups = int(groups.max(initial=-1)) + 1
    counts = np.bincount(train, minlength=n_groups)
    sums = np.bincount(train, weights=y_train, minlength=n_groups)
    means = np.full(n_groups, np.mean(y_train, dtype=np.float64))
    np.divide(sums, counts, out=means, where=counts > 0)
    return means[new]


def _as_table(codes: IntArray) -> IntArray:
    """(n,) or (n, k) codes -> (n, k)."""
    codes = np.asarray(codes)
    return codes[:, np.newaxis] if codes.ndim == 1 else codes


def _group_ids(codes: IntArray) -> IntArray:
    """(n, k) codes -> (n,) ids 0..groups-1; column by column, which is faster than sorting whole rows."""
    ids: IntArray = np.zeros(len(codes), dtype=np.int64)
    for column in codes.T:
        levels, level = np.unique(column, return_inverse=True)
        ids = np.unique(ids * len(levels) + level, return_inverse=True)[1]
    return ids
