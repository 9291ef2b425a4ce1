"""Targets that are quantities: numbers and counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mlops_assets.core.metrics import group_mean_baseline, mean_baseline, score
from mlops_assets.core.state import load_state, save_state
from mlops_assets.core.targets import metrics
from mlops_assets.core.targets.intervals import Intervals, Quantiles, calibrate
from mlops_assets.core.targets.kind import Finish, Numbers, Plots, RowNumbers
from mlops_assets.core.targets.metrics import Metric
from mlops_assets.core.types import Array, BoolArray, FloatArray, IntArray
from mlops_assets.dataset.target import Target
from mlops_assets.errors import DataError

if TYPE_CHECKING:
    from mlops_assets.core.columns import Columns, Row


UNBOUNDED = (-np.inf, np.inf)
_NOT_NEGATIVE = ("rmsle", "poisson", "tweedie")
OF_NUMBERS: Mapping[str, Metric] = {
    metric.name: metric for metric in (metrics.RMSE, metrics.MAE, metrics.RMSLE, metrics.POISSON, metrics.TWEEDIE)
}


@dataclass(frozen=True)
class NumberFinish:
    """What is learnt on validation rows to make answers of raw output."""

    @property
    def coverage(self) -> None:
        return None

    def save(self, folder: Path) -> None:
        save_state(self, folder, "finish")


@dataclass(frozen=True)
class Smearing(NumberFinish):
    """By what the mean lies above the back-transformed mean of the logarithm (Duan, 1983)."""

    factor: float


@dataclass(frozen=True)
class Level(NumberFinish):
    """An intercept correction: what the newest period lay above its predictions, as far as such a thing persists.

    Clements and Hendry, "Intercept corrections and structural change", J. Applied Econometrics 11 (1996), who add all
    of it: what periods before have shown says how much.
    """

    bias: float  # the mean residual of the newest period that was held out
    persistence: float  # as `Looked` has it

    @property
    def shift(self) -> float:
        return self.bias * self.persistence


@dataclass(frozen=True)
class Number:
    """A quantity: kept within `keep`, learnt as it is or by its logarithm."""

    target: Target
    metric: Metric = metrics.RMSE
    span: ClassVar[str] = "interval"
    is_classifier: ClassVar[bool] = False
    has_intervals: ClassVar[bool] = True
    is_stored: ClassVar[bool] = True
    model_types: ClassVar[tuple[str, ...]] = ("LinearRegression", "Ridge", "Lasso", "XGBoost")
    labels: tuple[str, ...] = ()

    @classmethod
    def of(cls, target: Target) -> Number:
        if target.metric == "pinball" and target.quantile:
            return cls(target, metrics.pinball(target.quantile))
        return cls(target, OF_NUMBERS[target.metric]) if target.metric else cls(target)

    @property
    def columns(self) -> Mapping[str, str]:
        return {}

    @property
    def unit(self) -> str:
        return self.target.unit

    @property
    def adds_in(self) -> str:
        return f"log {self.unit}".strip() if self._log else self.unit

    @property
    def objective(self) -> str:
        return "rmse" if self._log else self.metric.name

    @property
    def learns_metric(self) -> bool:
        return not self._log

    @property
    def _log(self) -> bool:
        return self.target.transform == "log"

    @property
    def _offset(self) -> float:
        """What is added before the logarithm is taken: nothing where `keep` says that there is no zero."""
        return 0.0 if self.target.keep and self.target.keep[0] > 0 else 1.0

    def encode(self, values: Array) -> FloatArray:
        return np.where(np.isfinite(values), values, np.nan)

    def rules(self, y: FloatArray) -> Iterator[tuple[str, BoolArray]]:
        if self.target.keep:
            low, high = self.target.keep
            yield f"target is in {low:g}..{high:g}", ~((y < low) | (y > high))

    def question(self, name: str) -> str:
        return name

    def sentence(self, prediction: float, truth: float) -> str:
        return f"{prediction:.2f} {self.unit}".strip() + f" (it was {truth:g})"

    def told(self, y: FloatArray) -> str:
        values = np.unique(y[~np.isnan(y)])
        if self.target.kind is None and len(values) == 2:
            low, high = values.tolist()
            classes = "kind: binary" if (low, high) == (0, 1) else f"positive: {high:g}"
            raise DataError(
                f"the target holds {low:g} and {high:g} alone: write {classes} to learn two classes, or "
                "kind: number to regress it"
            )
        return f"a {self.target.kind or 'number'}, by {self.metric.name}"

    def check(self, splits: Mapping[str, FloatArray]) -> None:
        least = min((float(y.min()) for y in splits.values() if len(y)), default=0.0)
        if least < 0 and (self._log or self.metric.name in _NOT_NEGATIVE):
            reason = "transform: log" if self._log else f"metric: {self.metric.name}"
            raise DataError(f"the target is {least:g} in a row, and {reason} is for targets from 0 on: use `keep`")
        self.told(splits["train"])

    def forward(self, y: FloatArray) -> FloatArray:
        return np.log(y + self._offset) if self._log else y

    def _backward(self, values: FloatArray) -> FloatArray:
        return np.exp(values) - self._offset if self._log else values

    def row_weights(self, y: FloatArray, weights: FloatArray | None) -> FloatArray | None:
        return weights

    def _within(self, values: FloatArray) -> FloatArray:
        """Values kept within what the target may be."""
        if self._ends == UNBOUNDED:
            return values
        return np.minimum(np.maximum(values, self._ends[0]), self._ends[1])

    @property
    def _ends(self) -> tuple[float, float]:
        """The least and the most that the target may be."""
        return self.target.keep or UNBOUNDED

    def output(self, raw: FloatArray, finish: Finish | None = None) -> FloatArray:
        if isinstance(finish, Smearing):
            return self._within(np.exp(raw) * finish.factor - self._offset)
        return self._within(self._backward(raw) + self.added(finish))

    def added(self, finish: Finish | None) -> float:
        return finish.shift if isinstance(finish, Level) else 0.0

    def honest_output(self, raw: FloatArray, y: FloatArray) -> FloatArray:
        return self.output(raw, self.learn(raw, y, 0.0)) if self._log else raw

    def learn(
        self, raw: FloatArray, y: FloatArray, coverage: float, *, of_one_period: bool = False, persistence: float = 0.0
    ) -> Finish | None:
        """A mean is asked for by RMSE and deviances, a median by MAE: the logarithm's mean is one already."""
        if not self._log:
            has_level = self.metric is metrics.RMSE and persistence and len(y)
            return Level(float((y - raw).mean()), persistence) if has_level else None
        if self.metric.name in ("mae", "pinball", "rmsle") or not len(y):
            return None
        return Smearing(float(np.exp(self.forward(y) - raw).mean()))

    def renew(self, finish: Finish | None, raw: Callable[[], FloatArray], y: FloatArray) -> Finish | None:
        return replace(finish, bias=float((y - raw()).mean())) if isinstance(finish, Level) else finish

    def intervals(
        self,
        output: FloatArray,
        y: FloatArray,
        coverage: float,
        levels: Sequence[float],
        category: tuple[str, Array] | None,
        stretch: float,
        quantiles: tuple[Quantiles, FloatArray] | None = None,
    ) -> Intervals | None:
        return calibrate(self.forward(output), self.forward(y), coverage, levels, category, stretch, quantiles)

    def numbers(
        self, output: FloatArray, finish: Finish | None, intervals: Intervals | None, features: Columns
    ) -> Numbers:
        if intervals is None:
            unknown = np.full(len(output), np.nan)
            return Numbers(output, unknown, unknown)
        low, high = intervals.around(self.forward(output), features, self.added(finish))
        return Numbers(output, self._within(self._backward(low)), self._within(self._backward(high)))

    def row_numbers(self, finish: Finish | None, intervals: Intervals | None) -> Callable[[Any, Row, bool], RowNumbers]:
        least, most = self._ends

        def within(value: float) -> float:
            return min(max(value, least), most)  # NaN stays as it is

        added = self.added(finish)

        def plain(raw: float, features: Row, is_bare: bool) -> RowNumbers:
            prediction = within(raw + added)
            if intervals is None or is_bare:
                return prediction, np.nan, np.nan, None
            low, high = map(within, intervals.around_row(prediction, features, added))
            return prediction, low, high, None

        def by_log(raw: float, features: Row, is_bare: bool) -> RowNumbers:
            output = self.output(np.array([raw]), finish)
            if intervals is None or is_bare:
                return float(output[0]), np.nan, np.nan, None
            ends = np.array(intervals.around_row(float(self.forward(output)[0]), features))
            low, high = self._within(self._backward(ends)).tolist()
            return float(output[0]), low, high, None

        return by_log if self._log else plain

    def output_of(self, prediction: FloatArray) -> FloatArray:
        return prediction

    def load(self, folder: Path) -> Finish:
        return load_state(folder, "finish", (NumberFinish, Smearing, Level))

    def scores(self, y: FloatArray, output: FloatArray) -> dict[str, float]:
        found = score(y, output)
        known = {"rmse": found.rmse, "mae": found.mae, "r2": found.r2}
        return known if self.metric.name in known else {self.metric.name: self.metric(y, output)} | known

    def baselines(self, train: FloatArray, codes: tuple[IntArray, IntArray] | None, rows: int) -> dict[str, FloatArray]:
        found = {"mean": mean_baseline(train, rows)}
        return found | ({"mean of": group_mean_baseline(codes[0], train, codes[1])} if codes else {})

    def plots(self, y: FloatArray, output: FloatArray, finish: Finish | None = None) -> Plots:
        from mlops_assets.core.report.plots import predicted_against_true

        return {"predicted against true": lambda: predicted_against_true(y, output, self.unit)}


@dataclass(frozen=True)
class Count(Number):
    """How many: whole numbers from 0 on. Poisson deviance is what is lost."""

    metric: Metric = metrics.POISSON
    model_types: ClassVar[tuple[str, ...]] = ("PoissonRegressor", "HistGradientBoostingRegressor", "XGBoost")

    def encode(self, values: Array) -> FloatArray:
        y = super().encode(values)
        if len(odd := y[(y < 0) | (y != np.floor(y)) & ~np.isnan(y)]):
            raise DataError(
                f"the target is a count, and a row has {odd[0]:g}: counts are 0, 1, 2, ...; or kind: number"
            )
        return y

    @property
    def _ends(self) -> tuple[float, float]:
        least, most = super()._ends
        return max(least, 0.0), most


NUMBER = Number(Target(column="target"))
