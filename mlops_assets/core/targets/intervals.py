"""Prediction intervals that hold as often as they say, in every part of the predicted range and in every main category.

Mondrian conformal predictive distributions (Boström, Johansson and Löfström, 2021) by bins of the predicted value.
crepes fits them from predictions and truths alone; MAPIE would wrap the estimator, and has no such bins.

A category of enough rows, such as an airport, is calibrated by itself ("equalized coverage": Romano, Barber, Sabatti
and Candès, 2020): by where its residuals lie within the intervals of all. One bin a category and predicted value would
need far more rows.

Where the YAML asks for it they are made of quantiles of the target given the inputs, which a model of their own says:
conformalised quantile regression (Romano, Patterson and Candès, 2019), by the same bins and categories.

What is calibrated on the rows of some periods holds less often in later ones: `walk_forward` says what to do about it.
"""

from __future__ import annotations

import math
import warnings
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mlops_assets.core.columns import Columns, Row
from mlops_assets.core.features.categories import UNKNOWN, Vocabulary
from mlops_assets.core.metrics import ROUNDING
from mlops_assets.core.state import save_state
from mlops_assets.core.types import Array, FloatArray, IntArray

MOST_BINS = 20
BEYOND = 5  # residuals beyond each end of a bin's interval, at least
HIGHEST = 0.99
CATEGORY_ROWS = 300  # of a category that is calibrated by itself


@dataclass(frozen=True, eq=False)
class Bins:
    """Bins of the predicted value, with about as many predictions in each.

    Many rows may have the very prediction that is an edge. All lie below it, however the last bit of each is rounded.
    """

    edges: FloatArray  # (count - 1,), ascending

    @classmethod
    def of(cls, prediction: FloatArray, fewest: int) -> Bins:
        """As many as hold at least `fewest` of the predictions (n,) each, up to MOST_BINS; at least one."""
        most = min(MOST_BINS, max(1, len(prediction) // fewest))
        edges = np.unique(np.quantile(prediction, np.arange(1, most) / most))
        edges += ROUNDING * np.abs(edges)
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

    def place_row(self, prediction: float) -> int:
        return bisect_left(self._edges, prediction)

    @cached_property
    def _edges(self) -> list[float]:
        edges: list[float] = self.edges.tolist()
        return edges


@dataclass(frozen=True, eq=False)
class ByCategory:
    """Where the ends lie for each value of a category: -1 is the low end of the interval of all, 1 its high end."""

    column: str
    values: Vocabulary
    low: FloatArray  # (values,)
    high: FloatArray

    def ends(self, categories: Array) -> tuple[FloatArray, FloatArray]:
        """For each row (n,); one of another category has the interval of all."""
        code = self.values.encode(categories)
        is_other = code == UNKNOWN
        return np.where(is_other, -1.0, self.low[code]), np.where(is_other, 1.0, self.high[code])

    def ends_row(self, category: Any) -> tuple[float, float]:
        code = self.values.encode_row(category)
        return (-1.0, 1.0) if code == UNKNOWN else self._ends[code]

    @cached_property
    def _ends(self) -> list[tuple[float, float]]:
        return [*zip(self.low.tolist(), self.high.tolist(), strict=True)]


class Quantiles(Protocol):
    """A model of the quantiles that lie half of what is not covered from either end."""

    def ends(self, features: Columns) -> FloatArray:
        """The low and the high quantile (n, 2) of rows, by their derived features."""

    def ends_row(self, features: Row) -> tuple[float, float]: ...


@dataclass(frozen=True, eq=False)
class Intervals:
    """What lies between prediction and truth in `coverage` of all cases, for each bin of the predicted value."""

    coverage: float
    bins: Bins
    below: FloatArray  # (bins,) added to the prediction, or to the low quantile: the low end
    above: FloatArray  # (bins,) added to the prediction, or to the high quantile: the high end
    by_category: ByCategory | None = None
    quantiles: Quantiles | None = None

    def around(self, prediction: FloatArray, features: Columns, added: float = 0.0) -> tuple[FloatArray, FloatArray]:
        """Low and high ends (n,) of predictions (n,), by derived features of the rows; `added`: to quantiles too."""
        ends = None if self.quantiles is None else self.quantiles.ends(features) + added
        below, above = self.offsets(prediction, ends)
        if self.by_category is not None:
            low, high = self.by_category.ends(features[self.by_category.column])
            middle, half = (below + above) / 2, (above - below) / 2
            below, above = np.minimum(middle + half * low, 0), np.maximum(middle + half * high, 0)
        return prediction + below, prediction + above

    def offsets(self, prediction: FloatArray, ends: FloatArray | None) -> tuple[FloatArray, FloatArray]:
        """What is added to predictions (n,), whatever their category; `ends` (n, 2): their quantiles."""
        place = self.bins.place(prediction)
        below, above = self.below[place], self.above[place]
        if ends is None:
            return below, above
        below, above = ends[:, 0] - prediction + below, ends[:, 1] - prediction + above
        return np.minimum(below, 0), np.maximum(above, 0)

    def around_row(self, prediction: float, features: Row, added: float = 0.0) -> tuple[float, float]:
        below, above = self._ends[self.bins.place_row(prediction)]
        if self.quantiles is not None:
            low, high = self.quantiles.ends_row(features)
            below, above = min(low + added - prediction + below, 0), max(high + added - prediction + above, 0)
        if self.by_category is not None:
            low, high = self.by_category.ends_row(features[self.by_category.column])
            middle, half = (below + above) / 2, (above - below) / 2
            below, above = min(middle + half * low, 0), max(middle + half * high, 0)
        return prediction + below, prediction + above

    @cached_property
    def _ends(self) -> list[tuple[float, float]]:
        return [*zip(self.below.tolist(), self.above.tolist(), strict=True)]

    def save(self, folder: Path) -> None:
        save_state(self, folder, "intervals")


INTERVAL_PARTS = (Intervals, Bins, ByCategory, Vocabulary)  # that are saved, beside a model of quantiles


def calibrate(
    prediction: FloatArray,
    y: FloatArray,
    coverage: float,
    levels: Sequence[float] = (),
    category: tuple[str, Array] | None = None,
    stretch: float = 1.0,
    quantiles: tuple[Quantiles, FloatArray] | None = None,
) -> Intervals | None:
    """Intervals from predictions (n,) of rows that the model has not learnt from; None where they are too few.

    `levels` are what they are made to hold of these rows, where that has to be more to hold `coverage` of later
    ones: one for each equal part of the bins, low predictions first. `category`: a column's name and its values (n,).
    `stretch`: how much further apart residuals are taken to be, as `Looked` says. `quantiles`: a model of them, of
    which intervals are made, and what it says of these rows (n, 2).
    """
    levels = levels or (coverage,)
    fewest = round(2 * BEYOND / (1 - max(levels)))
    if len(y) < fewest:
        return None
    bins = Bins.of(prediction, fewest)
    place, residuals = bins.place(prediction), stretched(y - prediction, stretch)
    each = np.arange(bins.count)
    third = each * len(levels) // bins.count
    wanted = np.array(levels)[third]
    model, ends = quantiles or (None, None)
    if ends is None:
        below, above = _tails(residuals, place, levels, third)
    else:
        above = _beyond(prediction + residuals, ends, place, wanted)
        below = -above
    intervals = Intervals(coverage, bins, below, above, None, model)
    if not category:
        return intervals
    below, above = intervals.offsets(prediction, ends)
    middle, half = (below + above) / 2, (above - below) / 2
    column, values = category
    wide = half > 0
    within = (residuals - middle)[wide] / half[wide]
    return replace(intervals, by_category=_by_category(column, values[wide], within, wanted[place][wide]))


def _tails(
    residuals: FloatArray, place: IntArray, levels: Sequence[float], third: IntArray
) -> tuple[FloatArray, FloatArray]:
    """The two residuals (bins,) that cut off the tails of each bin, which asks for the level of its third."""
    with warnings.catch_warnings():  # crepes lets every warning of the process through, once imported
        from crepes import ConformalPredictiveSystem
    system = ConformalPredictiveSystem().fit(residuals, bins=place)
    each = np.arange(len(third))
    ends = np.array([system.predict_int(np.zeros(len(each)), bins=each, confidence=level) for level in levels])
    ends = ends[third, each]
    # Where errors lean far to one side, the prediction itself would lie outside.
    return np.minimum(ends[:, 0], 0), np.maximum(ends[:, 1], 0)


def _beyond(y: FloatArray, ends: FloatArray, place: IntArray, levels: FloatArray) -> FloatArray:
    """How far (bins,) truths lie beyond their quantiles (n, 2) at most, in a share of each bin: less than 0 within."""
    scores = np.maximum(ends[:, 0] - y, y - ends[:, 1])
    found = np.empty(len(levels))
    for number, level in enumerate(levels):
        ordered = np.sort(scores[place == number])
        found[number] = ordered[min(math.ceil((len(ordered) + 1) * level), len(ordered)) - 1]
    return found


def _by_category(column: str, categories: Array, within: FloatArray, levels: FloatArray) -> ByCategory | None:
    """`within` (n,): where residuals lie in the interval of all, -1 to 1; `levels` (n,): what it is made to hold."""
    code = Vocabulary.fit(categories).encode(categories)
    counts = np.bincount(code[code != UNKNOWN])
    ends: list[tuple[float, float]] = []
    kept: list[int] = []
    for number in np.flatnonzero(counts >= CATEGORY_ROWS):
        rows = code == number
        ordered = np.sort(within[rows])
        tail = int((len(ordered) + 1) * (1 - levels[rows].mean()) / 2)  # residuals beyond each end, and the end itself
        if tail:
            kept.append(int(np.flatnonzero(rows)[0]))
            ends.append((ordered[tail - 1], ordered[-tail]))
    if not kept:
        return None
    low, high = np.array(ends).T
    return ByCategory(column, Vocabulary(categories[kept]), low, high)


def stretched(residuals: FloatArray, stretch: float) -> FloatArray:
    """Residuals (n,) further from their median."""
    middle = np.median(residuals)
    return middle + (residuals - middle) * stretch
