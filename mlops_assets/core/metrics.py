"""How good predictions are: scores, their uncertainty, and the baselines a model has to beat."""

from dataclasses import dataclass

import numpy as np

from mlops_assets.core.types import FloatArray, IntArray
from mlops_assets.errors import DataError

BLOCKS = 20_000


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


def rmse_interval(squared_errors: FloatArray, *, confidence: float, seed: int, resamples: int = 1000) -> Interval:
    """Bootstrap interval of the RMSE of rows with these squared errors, shape (n,)."""
    means = bootstrap_means(np.atleast_2d(squared_errors), seed=seed, resamples=resamples)
    return percentile_interval(np.sqrt(means[:, 0]), confidence)


def percentile_interval(values: FloatArray, confidence: float) -> Interval:
    """The middle share `confidence` of bootstrapped values."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return Interval(float(low), float(high))


def bootstrap_means(values: FloatArray, *, seed: int, resamples: int) -> FloatArray:
    """Means of rows drawn with replacement: (k, n) values -> (resamples, k) means, the same draws for all k.

    More than 20,000 rows are first put into that many random blocks of equal size, and blocks are drawn: the
    spread is the same, and time and memory no longer grow with the rows.
    """
    k, n = values.shape
    blocks = min(n, BLOCKS)
    rng = np.random.default_rng(seed)
    starts = np.arange(blocks) * n // blocks
    sums = np.add.reduceat(values[:, rng.permutation(n)], starts, axis=1)
    sizes = np.diff(np.append(starts, n))
    means = np.empty((resamples, k))
    for i in range(resamples):
        drawn = rng.integers(0, blocks, size=blocks, dtype=np.int32)
        means[i] = sums.take(drawn, axis=1).sum(axis=1) / sizes.take(drawn).sum()
    return means


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
