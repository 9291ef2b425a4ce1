"""Metrics: a loss for each row, and what its mean is called. Search, gate, promises and boards go by the same one.

A metric takes the truth (n,) and an output: predictions (n,) of a number, probabilities (n, k) of k classes. The loss
is by row, so that rows that move together can be left out together, whatever the metric is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from mlops_assets.core.metrics import Clusters, Interval, estimate
from mlops_assets.core.types import FloatArray
from mlops_assets.errors import DataError

SMALLEST = 1e-15  # of a probability, or of a mean, whose logarithm is taken
TWEEDIE_POWER = 1.5  # between Poisson (1) and gamma (2), as XGBoost's own


@dataclass(frozen=True)
class Metric:
    """`losses` gives (n,) from the truth (n,) and the output; `is_root` takes the root of their mean.

    `name` is that of settings and of MLflow, `label` that of people; `has_unit`: it is in the target's unit.
    """

    name: str
    label: str
    losses: Callable[[FloatArray, FloatArray], FloatArray]
    is_root: bool = False
    has_unit: bool = False

    def of_means(self, means: FloatArray) -> FloatArray:
        """The metric of mean losses, element by element."""
        values: FloatArray = np.sqrt(means) if self.is_root else means
        return values

    def of_losses(self, losses: FloatArray) -> float:
        return float(self.of_means(losses.mean()))

    def __call__(self, y: FloatArray, output: FloatArray) -> float:
        return self.of_losses(self.losses(y, output))

    def key(self, place: str) -> str:
        """Its name among what is recorded, such as `validation_rmse`."""
        return f"{place}_{self.name}"

    def unit_of(self, unit: str) -> str:
        """The unit of its values, where that of the target is `unit`; empty for none."""
        return unit if self.has_unit else ""

    def heading(self, unit: str) -> str:
        """Such as `RMSE (minutes)`."""
        return f"{self.label} ({unit})" if self.unit_of(unit) else self.label

    def interval(self, losses: FloatArray, clusterings: Sequence[Clusters], *, confidence: float) -> Interval:
        """Interval of the metric of rows with these losses (n,), never below zero.

        One without ends where there are too few clusters to say.
        """
        try:
            found = estimate(np.atleast_2d(losses), clusterings, lambda means: self.of_means(means[0]))
        except DataError:
            return Interval(0.0, float("inf"))
        interval = found.interval(confidence)
        return Interval(max(interval.low, 0.0), interval.high)


def _squared(y: FloatArray, output: FloatArray) -> FloatArray:
    return (output - y) ** 2


def _absolute(y: FloatArray, output: FloatArray) -> FloatArray:
    return np.abs(output - y)


def _squared_log(y: FloatArray, output: FloatArray) -> FloatArray:
    return (np.log1p(np.maximum(output, 0)) - np.log1p(y)) ** 2


def _pinball(y: FloatArray, output: FloatArray, *, quantile: float) -> FloatArray:
    """Koenker and Bassett, "Regression quantiles", 1978."""
    below = y - output
    return np.maximum(quantile * below, (quantile - 1) * below)


def _poisson(y: FloatArray, output: FloatArray) -> FloatArray:
    """Deviance of a row; 0 log 0 is 0."""
    mean = np.maximum(output, SMALLEST)
    with np.errstate(divide="ignore", invalid="ignore"):
        fit = np.where(y > 0, y * np.log(y / mean), 0.0)
    return 2 * (fit - y + mean)


def _tweedie(y: FloatArray, output: FloatArray) -> FloatArray:
    mean, power = np.maximum(output, SMALLEST), TWEEDIE_POWER
    parts = (
        y ** (2 - power) / ((1 - power) * (2 - power)),
        -y * mean ** (1 - power) / (1 - power),
        mean ** (2 - power) / (2 - power),
    )
    return 2 * sum(parts, np.zeros(len(y)))


def _log_loss(y: FloatArray, output: FloatArray) -> FloatArray:
    of_truth = output[np.arange(len(y)), y.astype(np.int64)]
    return np.asarray(-np.log(np.maximum(of_truth, SMALLEST)))


def _brier(y: FloatArray, output: FloatArray) -> FloatArray:
    """Squared distance from the truth, halved, so that of two classes it is that of the probability."""
    truth = np.equal.outer(y.astype(np.int64), np.arange(output.shape[1]))
    return np.asarray(((output - truth) ** 2).sum(axis=1) / 2)


def _cost(y: FloatArray, output: FloatArray, *, costs: tuple[tuple[float, ...], ...]) -> FloatArray:
    """What the decision of the least expected cost has cost."""
    matrix = np.array(costs)
    return np.asarray(matrix[y.astype(np.int64), (output @ matrix).argmin(axis=1)])


RMSE = Metric("rmse", "RMSE", _squared, is_root=True, has_unit=True)
MAE = Metric("mae", "MAE", _absolute, has_unit=True)
RMSLE = Metric("rmsle", "RMSLE", _squared_log, is_root=True)
POISSON = Metric("poisson", "Poisson deviance", _poisson)
TWEEDIE = Metric("tweedie", "Tweedie deviance", _tweedie)
LOG_LOSS = Metric("log_loss", "log loss", _log_loss)
BRIER = Metric("brier", "Brier score", _brier)

IN_THE_UNIT = frozenset({"rmse", "mae", "pinball", "bias", "added"})  # names of scores that are in the target's unit


def pinball(quantile: float) -> Metric:
    """The loss whose best answer is a quantile of the target."""
    label = f"pinball loss at {quantile:g}"
    return Metric("pinball", label, partial(_pinball, quantile=quantile), has_unit=True)


def cost(costs: tuple[tuple[float, ...], ...]) -> Metric:
    """What decisions cost on average: by true class (rows) and decided class (columns)."""
    return Metric("cost", "cost", partial(_cost, costs=costs))
