"""Prediction intervals that hold as often as they say, in every part of the predicted range.

Mondrian conformal predictive distributions (Boström, Johansson and Löfström, 2021) by bins of the predicted value.
crepes fits them from predictions and truths alone; MAPIE would wrap the estimator, and has no such bins.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mlops_assets.core.state import load_state, save_state

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


MOST_BINS = 20
BEYOND = 5  # residuals beyond each end of a bin's interval, at least


@dataclass(frozen=True, eq=False)
class Bins:
    """Bins of the predicted value, with about as many predictions in each."""

    edges: np.ndarray  # (count - 1,), ascending

    @classmethod
    def of(cls, prediction: np.ndarray, fewest: int) -> Bins:
        """As many as hold at least `fewest` of the predictions (n,) each, up to MOST_BINS; at least one."""
        most = min(MOST_BINS, max(1, len(prediction) // fewest))
        edges = np.unique(np.quantile(prediction, np.arange(1, most) / most))
        kept, inside, above = [], 0, len(prediction)
        # Where many predictions are equal, quantiles are too, and the bin beside them may hold next to nothing.
        for edge, count in zip(edges, np.bincount(edges.searchsorted(prediction)), strict=False):
            inside, above = inside + count, above - count
            if inside >= fewest and above >= fewest:
                kept, inside = [*kept, edge], 0
        return cls(np.array(kept))

    @property
    def count(self) -> int:
        return len(self.edges) + 1

    def place(self, prediction: np.ndarray) -> np.ndarray:
        """The bin (n,) of each prediction."""
        return self.edges.searchsorted(prediction)


@dataclass(frozen=True, eq=False)
class Intervals:
    """What lies between prediction and truth in `coverage` of all cases, for each bin of the predicted value."""

    coverage: float
    bins: Bins
    below: np.ndarray  # (bins,) added to the prediction, the low end
    above: np.ndarray  # (bins,) added to the prediction, the high end

    def around(self, prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Low and high ends (n,) of predictions (n,)."""
        place = self.bins.place(prediction)
        return prediction + self.below[place], prediction + self.above[place]

    def save(self, folder: Path) -> None:
        save_state(self, folder, "intervals")

    @classmethod
    def load(cls, folder: Path) -> Intervals:
        return load_state(folder, "intervals", (cls, Bins))


def calibrate(prediction: np.ndarray, y: np.ndarray, coverage: float, levels: Sequence[float] = ()) -> Intervals | None:
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
