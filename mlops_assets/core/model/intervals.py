"""Prediction intervals that hold as often as they say, in every part of the predicted range.

Mondrian conformal predictive distributions (Boström, Johansson and Löfström, 2021) by bins of the predicted value.
crepes fits them from predictions and truths alone; MAPIE would wrap the estimator, and has no such bins.

What is calibrated on the rows of some months holds less often in later ones. So levels are learnt beforehand, by
walking through the months: at which level an interval has to be made to hold as often as is asked for in the next.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mlops_assets.core.columns import evenly_spread
from mlops_assets.core.state import load_state, save_state
from mlops_assets.core.types import FloatArray, IntArray, TimeArray

if TYPE_CHECKING:
    from mlops_assets.core.types import SparseMatrix

MOST_BINS = 20
BEYOND = 5  # residuals beyond each end of a bin's interval, at least
HIGHEST = 0.99
ROWS_A_MONTH = 20_000
FEWEST_ROWS = 500  # of a bin: levels come in steps of 2 in as many
ITERATIONS = 30  # of a ridge regression; more change no level by a percent
_SHARES = np.linspace(0, 1, 1001)
_THIRDS = (1 / 3, 2 / 3)


@dataclass(frozen=True, eq=False)
class Bins:
    """Bins of the predicted value, with about as many predictions in each."""

    edges: FloatArray  # (count - 1,), ascending

    @classmethod
    def of(cls, prediction: FloatArray, fewest: int) -> Bins:
        """As many as hold at least `fewest` of the predictions (n,) each, up to MOST_BINS; at least one."""
        most = min(MOST_BINS, max(1, len(prediction) // fewest))
        edges = np.unique(np.quantile(prediction, np.arange(1, most) / most))
        kept: list[float] = []
        inside, above = 0, len(prediction)
        # Where many predictions are equal, quantiles are too, and the bin beside them may hold next to nothing.
        for edge, count in zip(edges, np.bincount(edges.searchsorted(prediction)), strict=False):
            inside, above = inside + count, above - count
            if inside >= fewest and above >= fewest:
                kept, inside = [*kept, edge], 0
        return cls(np.array(kept))

    @property
    def count(self) -> int:
        return len(self.edges) + 1

    def place(self, prediction: FloatArray) -> IntArray:
        """The bin (n,) of each prediction."""
        return self.edges.searchsorted(prediction)


@dataclass(frozen=True, eq=False)
class Intervals:
    """What lies between prediction and truth in `coverage` of all cases, for each bin of the predicted value."""

    coverage: float
    bins: Bins
    below: FloatArray  # (bins,) added to the prediction, the low end
    above: FloatArray  # (bins,) added to the prediction, the high end

    def around(self, prediction: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Low and high ends (n,) of predictions (n,)."""
        place = self.bins.place(prediction)
        return prediction + self.below[place], prediction + self.above[place]

    def save(self, folder: Path) -> None:
        save_state(self, folder, "intervals")

    @classmethod
    def load(cls, folder: Path) -> Intervals:
        return load_state(folder, "intervals", (cls, Bins))


def calibrate(prediction: FloatArray, y: FloatArray, coverage: float, levels: Sequence[float] = ()) -> Intervals | None:
    """Intervals from predictions (n,) of rows that the model has not learnt from; None where they are too few.

    `levels` are what they are made to hold of these rows, where that has to be more to hold `coverage` of later
    ones: one for each equal part of the bins, low predictions first.
    """
    levels = levels or (coverage,)
    fewest = round(2 * BEYOND / (1 - max(levels)))
    if len(y) < fewest:
        return None
    bins = Bins.of(prediction, fewest)
    with warnings.catch_warnings():  # crepes lets every warning of the process through, once imported
        from crepes import ConformalPredictiveSystem
    system = ConformalPredictiveSystem().fit(y - prediction, bins=bins.place(prediction))
    each = np.arange(bins.count)
    ends = np.array([system.predict_int(np.zeros(bins.count), bins=each, confidence=level) for level in levels])
    ends = ends[each * len(levels) // bins.count, each]
    # Where errors lean far to one side, the prediction itself would lie outside.
    return Intervals(coverage, bins, np.minimum(ends[:, 0], 0), np.maximum(ends[:, 1], 0))


def learn_levels(parts: Sequence[tuple[SparseMatrix, FloatArray, TimeArray]]) -> FloatArray:
    """Quantiles (3, 1001) of the level at which a month's truths entered intervals made from the month before.

    One row a third of the predicted value, low ones first.

    Each part is a matrix (n, width), the target (n,) and the months (n,) of its rows.
    For each month a ridge regression learns from all earlier ones. Empty where there are no three months.
    """
    from scipy.sparse import vstack

    if not parts:
        return np.empty((0, len(_SHARES)))
    thinned = [_thinned(*part) for part in parts]
    X = vstack([part[0] for part in thinned])
    y, months = np.concatenate([part[1] for part in thinned]), np.concatenate([part[2] for part in thinned])
    present = np.unique(months)
    levels: list[FloatArray] = []
    thirds: list[IntArray] = []
    for before, after in pairwise(present[1:]):
        predict = _fit_ridge(X, y, np.flatnonzero(months < before))
        earlier, later = np.flatnonzero(months == before), np.flatnonzero(months == after)
        predicted, predicted_later = predict(X[earlier]), predict(X[later])
        levels.append(_levels(predicted, y[earlier], predicted_later, y[later]))
        thirds.append(np.quantile(predicted, _THIRDS).searchsorted(predicted_later))
    if not levels:
        return np.empty((0, len(_SHARES)))
    level, third = np.concatenate(levels), np.concatenate(thirds)
    return np.array([np.quantile(level[third == number], _SHARES) for number in range(3)])


def needed_levels(levels: FloatArray, coverage: float) -> tuple[float, ...]:
    """The level for each third at which intervals held in later months as often as `coverage` says, never below it.

    Only `coverage` where nothing was learnt.
    """
    by_third = (float(np.interp(coverage, _SHARES, quantiles)) for quantiles in levels)
    return tuple(min(max(coverage, level), HIGHEST) for level in by_third) or (coverage,)


def _thinned(X: SparseMatrix, y: FloatArray, months: TimeArray) -> tuple[SparseMatrix, FloatArray, TimeArray]:
    """At most so many rows of each month, evenly spread."""
    chosen = []
    for month in np.unique(months):
        rows = np.flatnonzero(months == month)
        chosen.append(rows[evenly_spread(len(rows), ROWS_A_MONTH)])
    places = np.concatenate(chosen) if chosen else np.empty(0, np.int64)
    return X[places], y[places], months[places]


def _fit_ridge(X: SparseMatrix, y: FloatArray, rows: IntArray) -> Callable[[SparseMatrix], FloatArray]:
    """What predicts the target (n,) of a matrix (n, width), learnt from some rows of X."""
    from scipy.sparse.linalg import lsqr
    from threadpoolctl import threadpool_limits

    mean = y[rows].mean()
    with threadpool_limits(1, "blas"):  # as in every fit: sums depend on the number of threads
        weights = lsqr(X[rows], y[rows] - mean, damp=1.0, iter_lim=ITERATIONS)[0]
    return lambda matrix: np.asarray(matrix @ weights) + mean


def _levels(predicted: FloatArray, y: FloatArray, predicted_later: FloatArray, y_later: FloatArray) -> FloatArray:
    """For each later row (n,) the level of the narrowest interval that its truth lies in: 0 the median, 1 none.

    The k-th residuals from either end of n are the interval of the level 1 - 2k / (n + 1).
    """
    bins = Bins.of(predicted, FEWEST_ROWS)
    place, place_later = bins.place(predicted), bins.place(predicted_later)
    level = np.empty(len(predicted_later))
    for number in range(bins.count):
        residuals = np.sort((y - predicted)[place == number])
        rows = place_later == number
        residual = (y_later - predicted_later)[rows]
        at_most = residuals.searchsorted(residual, side="right")
        at_least = len(residuals) - residuals.searchsorted(residual)
        level[rows] = 1 - 2 * np.minimum(at_most, at_least) / (len(residuals) + 1)
    return level
