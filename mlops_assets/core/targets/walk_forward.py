"""What walking through the periods of a window shows: what is learnt in one of them and holds in the next.

What is calibrated on the rows of some periods holds less often in later ones. So three things are learnt beforehand,
by a ridge regression that walks forward: whether the newest period is calmer than most, which makes its residuals no
measure of the next; at which level an interval has to be made to hold as often as is asked for in the next; and how
much of the bias of one period the next one has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mlops_assets.core.columns import evenly_spread
from mlops_assets.core.state import load_state, save_state
from mlops_assets.core.targets.intervals import HIGHEST, Bins, stretched
from mlops_assets.core.types import FloatArray, IntArray

if TYPE_CHECKING:
    from mlops_assets.core.types import SparseMatrix

ROWS_A_PERIOD = 20_000
FEWEST_ROWS = 500  # of a bin: levels come in steps of 2 in as many
ITERATIONS = 30  # of a ridge regression; more change no level by a percent
DOUBTS = 4  # pairs of periods without persistence that stand beside those seen
_SHARES = np.linspace(0, 1, 1001)
_THIRDS = (1 / 3, 2 / 3)
_MOST = (0.05, 0.95)  # quantiles between which residuals are measured


@dataclass(frozen=True, eq=False)
class Looked:
    """What walking through the periods has shown.

    `levels`: quantiles (3, 1001) of the level at which a period's truths entered intervals made from the period before,
    one row a third of the predicted value, low ones first; without a row where there are no three periods.
    `stretch`: how much further apart the residuals of a period usually are than those of the newest, at least 1.
    `persistence`: what share of a period's mean residual was there again in the next, from 0 to 1.
    """

    levels: FloatArray
    stretch: float = 1.0
    persistence: float = 0.0

    def save(self, folder: Path) -> None:
        save_state(self, folder, "looked")

    @classmethod
    def load(cls, folder: Path) -> Looked:
        return load_state(folder, "looked", (cls,))


def look_back(parts: Sequence[tuple[SparseMatrix, FloatArray, IntArray]]) -> Looked:
    """For each period a ridge regression learns from all before it, and intervals are made as `calibrate` makes them.

    Each part is a matrix (n, width), the target (n,) and the periods (n,) of its rows, as numbers that grow with time.
    """
    from scipy.sparse import vstack

    nothing = Looked(np.empty((0, len(_SHARES))))
    if not parts:
        return nothing
    thinned = [_thinned(*part) for part in parts]
    X = vstack([part[0] for part in thinned])
    y, periods = np.concatenate([part[1] for part in thinned]), np.concatenate([part[2] for part in thinned])
    present = np.unique(periods)
    levels: list[FloatArray] = []
    thirds: list[IntArray] = []
    spreads: list[float] = []
    biases: list[float] = []
    for before, after in pairwise(present[1:]):
        predict = _fit_ridge(X, y, np.flatnonzero(periods < before))
        earlier, later = np.flatnonzero(periods == before), np.flatnonzero(periods == after)
        predicted, predicted_later = predict(X[earlier]), predict(X[later])
        residuals = y[earlier] - predicted
        spreads.append(_spread(residuals))
        biases.append(float(residuals.mean()))
        usual = stretched(residuals, _stretch(spreads))
        levels.append(_levels(predicted, usual, predicted_later, y[later] - predicted_later))
        thirds.append(np.quantile(predicted, _THIRDS).searchsorted(predicted_later))
    if not levels:
        return nothing
    newest = periods == present[-1]
    predict = _fit_ridge(X, y, np.flatnonzero(~newest))
    rows = np.flatnonzero(newest)
    residuals = y[rows] - predict(X[rows])
    spreads.append(_spread(residuals))
    biases.append(float(residuals.mean()))
    level, third = np.concatenate(levels), np.concatenate(thirds)
    by_third = [level[third == number] for number in range(3)]
    # Where a target only grows, all that comes later lies in the last third: then one level is for all.
    quantiles = np.array([np.quantile(those if len(those) else level, _SHARES) for those in by_third])
    return Looked(quantiles, _stretch(spreads), persistence(biases))


def persistence(biases: Sequence[float]) -> float:
    """The share of a period's bias that the next one still has, as if `DOUBTS` more pairs of periods had shown none.

    `biases`: mean residuals of periods in their order, each by what was learnt from all before it. Burg's estimate of
    an autoregression of the first order ("Maximum entropy spectral analysis", 1975), which never exceeds 1.
    """
    earlier, later = np.array(biases[:-1]), np.array(biases[1:])
    squares = float(earlier @ earlier + later @ later)
    seen = len(earlier) / (len(earlier) + DOUBTS)
    return max(0.0, 2 * float(earlier @ later) / squares * seen) if squares else 0.0


def _spread(residuals: FloatArray) -> float:
    low, high = np.quantile(residuals, _MOST)
    return float(high - low)


def _stretch(spreads: Sequence[float]) -> float:
    """By what the spread of the newest period falls short of the usual one."""
    return max(1.0, float(np.median(spreads)) / spreads[-1]) if spreads[-1] else 1.0


def needed_levels(levels: FloatArray, coverage: float) -> tuple[float, ...]:
    """The level for each third at which intervals held in later periods as often as `coverage` says, never below it.

    Only `coverage` where nothing was learnt.
    """
    by_third = (float(np.interp(coverage, _SHARES, quantiles)) for quantiles in levels)
    return tuple(min(max(coverage, level), HIGHEST) for level in by_third) or (coverage,)


def _thinned(X: SparseMatrix, y: FloatArray, periods: IntArray) -> tuple[SparseMatrix, FloatArray, IntArray]:
    """At most so many rows of each period, evenly spread."""
    chosen = []
    for period in np.unique(periods):
        rows = np.flatnonzero(periods == period)
        chosen.append(rows[evenly_spread(len(rows), ROWS_A_PERIOD)])
    places = np.concatenate(chosen) if chosen else np.empty(0, np.int64)
    return X[places], y[places], periods[places]


def _fit_ridge(X: SparseMatrix, y: FloatArray, rows: IntArray) -> Callable[[SparseMatrix], FloatArray]:
    """What predicts the target (n,) of a matrix (n, width), learnt from some rows of X."""
    from scipy.sparse.linalg import lsqr
    from threadpoolctl import threadpool_limits

    mean = y[rows].mean()
    with threadpool_limits(1, "blas"):  # as in every fit: sums depend on the number of threads
        weights = lsqr(X[rows], y[rows] - mean, damp=1.0, iter_lim=ITERATIONS)[0]
    return lambda matrix: np.asarray(matrix @ weights) + mean


def _levels(
    predicted: FloatArray, residual: FloatArray, predicted_later: FloatArray, residual_later: FloatArray
) -> FloatArray:
    """For each later row (n,) the level of the narrowest interval that its truth lies in: 0 the median, 1 none.

    The k-th residuals from either end of n are the interval of the level 1 - 2k / (n + 1).
    """
    bins = Bins.of(predicted, FEWEST_ROWS)
    place, place_later = bins.place(predicted), bins.place(predicted_later)
    level = np.empty(len(predicted_later))
    for number in range(bins.count):
        residuals = np.sort(residual[place == number])
        rows = place_later == number
        at_most = residuals.searchsorted(residual_later[rows], side="right")
        at_least = len(residuals) - residuals.searchsorted(residual_later[rows])
        level[rows] = 1 - 2 * np.minimum(at_most, at_least) / (len(residuals) + 1)
    return level
