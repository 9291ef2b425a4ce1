"""Prediction intervals that hold as often as they say, in every part of the predicted range.

Mondrian conformal predictive distributions (Boström, Johansson and Löfström, 2021) by bins of the predicted value.
crepes fits them from predictions and truths alone; MAPIE would wrap the estimator, and has no such bins.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mlops_assets.core.state import load_state, save_state

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
