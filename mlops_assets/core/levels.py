"""The levels that intervals need so as to hold in later months, learnt from how they did in earlier ones.

Intervals made from the residuals of one month are too narrow for the next where months differ: in weather, prices,
habits. So each month is once the month that they are made from, and the next one tells which level they needed, for
each third of the predicted value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mlops_assets.core.intervals import Bins

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

HIGHEST = 0.99
ROWS_A_MONTH = 20_000
FEWEST_ROWS = 500  # of a bin: levels come in steps of 2 in as many
ITERATIONS = 30  # of a ridge regression; more change no level by a percent
_SHARES = np.linspace(0, 1, 1001)
_THIRDS = (1 / 3, 2 / 3)


def learn_levels(parts: Sequence[tuple[csr_matrix, np.ndarray, np.ndarray]]) -> np.ndarray:
    """Quantiles (3, 1001) of the level at which a month's truths entered intervals made from the month before.

    One row a third of the predicted value, low ones first.

    Each part is a matrix (n, width), the target (n,) and the months (n,) of its rows.
    For each month a ridge regression learns from all earlier ones. Empty where there are no three months.
    """
    from scipy.sparse import vstack

    if not parts:
        return np.empty((0, len(_SHARES)))
    X, y, months = zip(*map(_thinned, parts), strict=True)
    X, y, months = vstack(X, format="csr"), np.concatenate(y), np.concatenate(months)
    present = np.unique(months)
    levels, thirds = [], []
    for before, after in zip(present[1:-1], present[2:], strict=True):
        line = _fit_line(X, y, np.flatnonzero(months < before))
        made, held = np.flatnonzero(months == before), np.flatnonzero(months == after)
        predicted, later = line(X[made]), line(X[held])
        levels.append(_levels(predicted, y[made], later, y[held]))
        thirds.append(np.quantile(predicted, _THIRDS).searchsorted(later))
    if not levels:
        return np.empty((0, len(_SHARES)))
    level, third = np.concatenate(levels), np.concatenate(thirds)
    return np.array([np.quantile(level[third == number], _SHARES) for number in range(3)])


def needed_levels(levels: np.ndarray, coverage: float) -> tuple[float, ...]:
    """The level for each third at which intervals held in later months as often as `coverage` says, never below it.

    Only `coverage` where nothing was learnt.
    """
    found = (float(np.interp(coverage, _SHARES, quantiles)) for quantiles in levels)
    return tuple(min(max(coverage, level), HIGHEST) for level in found) or (coverage,)


def _thinned(part: tuple[csr_matrix, np.ndarray, np.ndarray]) -> tuple[csr_matrix, np.ndarray, np.ndarray]:
    """At most so many rows of each month, evenly spread."""
    X, y, months = part
    chosen = []
    for month in np.unique(months):
        rows = np.flatnonzero(months == month)
        most = min(len(rows), ROWS_A_MONTH)
        chosen.append(rows[np.arange(most) * len(rows) // most])
    places = np.concatenate(chosen) if chosen else np.empty(0, np.int64)
    return X[places], y[places], months[places]


def _fit_line(X: csr_matrix, y: np.ndarray, rows: np.ndarray):
    from scipy.sparse.linalg import lsqr
    from threadpoolctl import threadpool_limits

    mean = y[rows].mean()
    with threadpool_limits(1, "blas"):  # as in every fit: sums depend on the number of threads
        weights = lsqr(X[rows], y[rows] - mean, damp=1.0, iter_lim=ITERATIONS)[0]
    return lambda some: some @ weights + mean


def _levels(made: np.ndarray, y_made: np.ndarray, held: np.ndarray, y_held: np.ndarray) -> np.ndarray:
    """For each held row (n,) the level of the narrowest interval that its truth lies in: 0 the median, 1 none.

    The k-th residuals from either end of n are the interval of the level 1 - 2k / (n + 1).
    """
    bins = Bins.of(made, FEWEST_ROWS)
    place_made, place_held = bins.place(made), bins.place(held)
    level = np.empty(len(held))
    for number in range(bins.count):
        residuals = np.sort((y_made - made)[place_made == number])
        rows = place_held == number
        residual = (y_held - held)[rows]
        at_most = residuals.searchsorted(residual, side="right")
        at_least = len(residuals) - residuals.searchsorted(residual)
        level[rows] = 1 - 2 * np.minimum(at_most, at_least) / (len(residuals) + 1)
    return level
