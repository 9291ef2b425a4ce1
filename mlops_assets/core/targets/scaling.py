"""From margins to probabilities that hold as often as they say, learnt on rows that the estimator has not learnt from.

Of two classes: Platt's sigmoid (Platt, 1999) or an isotonic curve (Zadrozny and Elkan, 2002), the better one by log
loss on rows that it has not learnt from; a curve needs a thousand rows (Niculescu-Mizil and Caruana, 2005). Of more
classes: one scale and a shift for each class, before the softmax (Guo et al., 2017).

Neither where margins are as good as they are. A few rows that an estimator tells apart would ask for a scale without
end, and an estimator that is sure of all that it says: of less than a thousand, the truth is softened as Platt has it,
and scaling has to gain more than chance gives. An estimator that has learnt from many periods is scaled by all of them;
what the newest would move is mostly its own rate, which the next does not share.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mlops_assets.core.targets.metrics import LOG_LOSS
from mlops_assets.core.types import FloatArray

PARTS = 5  # of the held-out rows, in their order: each is scaled by what the others say
CURVE_ROWS = 1_000
PRIOR = 10.0  # rows of the overall rate that stand beside those of a step of the curve
STEEPEST = 30.0  # margins beyond say no more
# Share of the log loss that scaling has to gain on one period. Of flights by month, XGBoost, LogisticRegression, forest
# and HistGradientBoosting gained up to 0.08 by scaling on a month, and lost 0.02 in the next; margins of a LinearSVC,
# which are no log-odds, and those of balanced classes gain 0.15 to 0.5.
PERIOD_GAIN = 0.1
SHRUNK = 1e-3  # weight of the squared shifts, so that they are bounded


@dataclass(frozen=True, eq=False)
class Scaling:
    """`scale` and `shifts` (k,) of margins; a curve of probabilities over the margins of two classes, where it has one.

    Margins are (n,) of two classes, log-odds of the second, and (n, k) of more.
    """

    scale: float
    shifts: FloatArray
    margins: FloatArray  # (points,) ascending; none without a curve
    rates: FloatArray  # (points,)

    def probabilities(self, margins: FloatArray) -> FloatArray:
        """(n, k), each row of sum 1."""
        if margins.ndim == 1:
            if len(self.margins):
                positive = np.interp(margins, self.margins, self.rates)
            else:
                positive = sigmoid(self.scale * margins + self.shifts[1])
            return np.stack([1 - positive, positive], axis=1)
        return softmax(self.scale * margins + self.shifts)

    @property
    def method(self) -> str:
        if len(self.margins):
            return "isotonic"
        if self.scale == 1 and not self.shifts.any():
            return "as they are"
        return "Platt" if len(self.shifts) == 2 else "scale and shifts"


Way = Callable[[FloatArray, FloatArray], Scaling]  # learnt from margins and truths


def unscaled(classes: int) -> Scaling:
    """Margins as the estimator means them."""
    nothing = np.empty(0)
    return Scaling(1.0, np.zeros(classes), nothing, nothing)


def sigmoid(margins: FloatArray) -> FloatArray:
    return np.asarray(1 / (1 + np.exp(-np.clip(margins, -STEEPEST, STEEPEST))))


def softmax(margins: FloatArray) -> FloatArray:
    odds = np.exp(margins - margins.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def best_way(margins: FloatArray, y: FloatArray, least_gain: float = 0.0) -> Way:
    """How scalings are best learnt, by the log loss of parts of the rows that they have not learnt from.

    Margins stay as they are where no way gains `least_gain` of their log loss.
    """
    ways = [by_shape] if margins.ndim == 2 or len(y) < CURVE_ROWS else [by_shape, by_curve]
    losses = [LOG_LOSS.losses(y, crossed(margins, y, way)) for way in ways]
    best = int(np.argmin([loss.mean() for loss in losses]))
    plain = LOG_LOSS.losses(y, crossed(margins, y, as_they_are))
    gains = plain - losses[best]
    by_chance = gains.std() / np.sqrt(len(y)) if len(y) < CURVE_ROWS else 0.0
    is_better = losses[best].mean() < plain.mean() * (1 - least_gain) and gains.mean() > by_chance
    return ways[best] if is_better else as_they_are


def honest(margins: FloatArray, y: FloatArray) -> FloatArray:
    """Probabilities (n, k) of rows, each part of them by what the others say; of a few rows in the best way."""
    return crossed(margins, y, by_shape if len(y) >= CURVE_ROWS else best_way(margins, y))


def crossed(margins: FloatArray, y: FloatArray, way: Way) -> FloatArray:
    """Probabilities (n, k) of rows, each part of them scaled by what the others say."""
    part = np.arange(len(y)) * PARTS // max(len(y), 1)
    found = np.empty((len(y), margins.shape[1] if margins.ndim == 2 else 2))
    for number in np.unique(part):
        held, others = part == number, part != number
        found[held] = way(margins[others], y[others]).probabilities(margins[held])
    return found


def as_they_are(margins: FloatArray, y: FloatArray) -> Scaling:
    return unscaled(margins.shape[1] if margins.ndim == 2 else 2)


def by_shape(margins: FloatArray, y: FloatArray) -> Scaling:
    """A scale and shifts by maximum likelihood; as they are where the rows hold one class alone."""
    from scipy.optimize import minimize

    classes = margins.shape[1] if margins.ndim == 2 else 2
    if len(np.unique(y)) < 2:
        return unscaled(classes)
    table = margins if margins.ndim == 2 else np.stack([np.zeros(len(margins)), margins], axis=1)
    table = np.clip(table, -STEEPEST, STEEPEST)
    truth = np.equal.outer(y, np.arange(classes)).astype(np.float64)
    if len(y) < CURVE_ROWS:  # Platt's: as if one more row of each class had stood where those of a class do
        rows = truth.sum(axis=0)[y.astype(np.int64), None]
        truth = (truth * rows + 1) / (rows + classes)

    def loss(free: FloatArray) -> tuple[float, FloatArray]:
        wrong = softmax(free[0] * table + free[1:]) - truth
        slope = np.concatenate([[(wrong * table).sum()], wrong.sum(axis=0)]) / len(y)
        likely = (truth * np.log(np.maximum(wrong + truth, 1e-300))).sum(axis=1).mean()
        return -likely + SHRUNK * float(free[1:] @ free[1:]), slope + 2 * SHRUNK * np.r_[0.0, free[1:]]

    found = minimize(loss, np.r_[1.0, np.zeros(classes)], jac=True, method="L-BFGS-B").x
    scale, shifts = max(float(found[0]), 1e-6), found[1:]
    nothing = np.empty(0)
    return Scaling(scale, shifts - shifts[0], nothing, nothing)


def by_curve(margins: FloatArray, y: FloatArray) -> Scaling:
    """The rate of the second class over margins (n,), by steps that never fall, joined between their middles."""
    from sklearn.isotonic import isotonic_regression

    order = np.argsort(margins, kind="stable")
    fitted = isotonic_regression(y[order])
    step = np.concatenate([[0], np.cumsum(np.diff(fitted) > 0)])
    rows = np.bincount(step)
    middles = np.bincount(step, weights=margins[order]) / rows
    rates = (np.bincount(step, weights=y[order]) + PRIOR * y.mean()) / (rows + PRIOR)
    return Scaling(1.0, np.zeros(2), middles, np.maximum.accumulate(rates))
