"""Classes: probabilities, what is decided by them, and the sets that hold the true class as often as they say.

The codes of classes are their places among `labels`; of two classes, the second is the positive one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mlops_assets.core.metrics import ROUNDING, group_mean_baseline
from mlops_assets.core.state import load_state, save_state
from mlops_assets.core.targets import metrics
from mlops_assets.core.targets.class_answers import ClassAnswers, answer_columns
from mlops_assets.core.targets.kind import FOLDS, Finish, Numbers, Plots, RowNumbers
from mlops_assets.core.targets.metrics import Metric
from mlops_assets.core.targets.scaling import PERIOD_GAIN, Scaling, best_way, crossed, honest, unscaled
from mlops_assets.core.types import Array, BoolArray, FloatArray, IntArray
from mlops_assets.dataset.target import READ_AS_BINARY, Target
from mlops_assets.errors import DataError

if TYPE_CHECKING:
    from mlops_assets.core.columns import Columns, Row
    from mlops_assets.core.targets.intervals import Intervals, Quantiles

RELIABILITY_BINS = 10
PRIOR = 1.0  # a row of each class stands beside those counted, so that no rate is 0
EVEN = 0.5


@dataclass(frozen=True, eq=False)
class ClassRule:
    """How margins become answers: learnt on validation rows, and saved with the model.

    `cutoffs` (k,): a class is in the set of a row whose probability of it is at least that. `reliability` (3, bins):
    what was said of the positive class, how often it came, and of how many rows. Cutoffs and the threshold lie below
    the probability of a row by more than rounding: rows of the same probability are told the same.
    """

    scaling: Scaling
    threshold: float
    coverage: float
    cutoffs: FloatArray
    reliability: FloatArray

    def save(self, folder: Path) -> None:
        save_state(self, folder, "finish")

    def sets(self, probabilities: FloatArray) -> BoolArray:
        """Which classes (n, k) conform: a row may well be of them. Where none does, the likeliest is all there is."""
        conform: BoolArray = probabilities >= self.cutoffs
        bare = ~conform.any(axis=1)
        conform[bare, probabilities[bare].argmax(axis=1)] = True
        return conform


@dataclass(frozen=True)
class Classes:
    """Two or more classes: a column's labels, or whether a number lies above a limit."""

    target: Target
    metric: Metric
    labels: tuple[str, ...]
    span: ClassVar[str] = "set"
    is_classifier: ClassVar[bool] = True
    has_intervals: ClassVar[bool] = False
    model_types: ClassVar[tuple[str, ...]] = ("LogisticRegression", "HistGradientBoostingClassifier", "XGBoost")
    unit: str = ""
    adds_in: str = "log-odds"

    @classmethod
    def of(cls, target: Target) -> Classes:
        if target.kind == "category":
            labels = tuple(label_of(value) for value in target.classes)
        elif target.positive is not None:
            labels = (f"not {label_of(target.positive)}", label_of(target.positive))
        elif target.above is not None:
            labels = (f"at most {target.above:g}", f"above {target.above:g}")
        else:
            labels = ("0", "1")
        return cls(target, _metric(target), labels)

    @property
    def objective(self) -> str:
        return "multiclass" if self._many else "binary"

    @property
    def learns_metric(self) -> bool:
        return self.metric.name == "log_loss" and not self.target.balanced

    @property
    def columns(self) -> Mapping[str, str]:
        return answer_columns(self.labels)

    @property
    def is_stored(self) -> bool:
        return not self._many

    @property
    def _many(self) -> bool:
        return len(self.labels) > 2

    def encode(self, values: Array) -> FloatArray:
        target = self.target
        missing = np.array([value is None for value in values]) if values.dtype == object else np.isnan(values)
        if target.above is not None:
            return np.where(missing, np.nan, values > target.above)
        if target.positive is not None:
            return np.where(missing, np.nan, values == target.positive)
        known = np.array(target.classes or (0.0, 1.0), values.dtype)
        code = np.full(len(values), np.nan)
        for place, value in enumerate(known):
            code[values == value] = place
        odd = np.isnan(code) & ~missing
        if odd.any() and not target.classes:
            raise DataError(
                f"the target holds {values[odd][0]:g}, and kind: binary takes 0 and 1: say which rows are positive by "
                "`positive` (a value) or `above` (a limit)"
            )
        return code

    def rules(self, y: FloatArray) -> Iterator[tuple[str, BoolArray]]:
        yield from ()

    def question(self, name: str) -> str:
        return name if self._many else f"whether {name} is {self.labels[1]}"

    def sentence(self, prediction: float, truth: float) -> str:
        was = f"(it was {self.labels[int(truth)]})"
        if self._many:
            return f"{self.labels[int(prediction)]} {was}"
        return f"{self.labels[1]} with a probability of {prediction:.0%} {was}"

    def told(self, y: FloatArray) -> str:
        said = f"one of {len(self.labels)} classes ({', '.join(self.labels)}), by {self.metric.name}"
        is_zero_or_one = self.target.kind == "binary" and self.target.above is None and self.target.positive is None
        return f"{said} ({READ_AS_BINARY})" if is_zero_or_one and len(y) else said

    def check(self, splits: Mapping[str, FloatArray]) -> None:
        train = np.bincount(splits["train"].astype(np.int64), minlength=len(self.labels))
        for name, y in splits.items():
            for code in np.unique(y).astype(int):
                if not train[code]:
                    raise DataError(
                        f"class '{self.labels[code]}' is in the {name} rows and in no train row: nothing can be learnt "
                        "of it; wait for a period with it to train on, or take it out of `classes`"
                    )
        if np.count_nonzero(train) < 2:
            only = self.labels[int(train.argmax())]
            never = f"; '{self.labels[-1]}' never occurs" if not self._many and not train[-1] else ""
            raise DataError(f"the train rows hold one class alone, '{only}'{never}: at least two are needed")
        for code, count in enumerate(train):
            if count < FOLDS:
                raise DataError(
                    f"class '{self.labels[code]}' has {count} train row(s), fewer than the {FOLDS} folds of encodings: "
                    "merge it with another, or take more periods"
                )

    def forward(self, y: FloatArray) -> FloatArray:
        return y

    def row_weights(self, y: FloatArray, weights: FloatArray | None) -> FloatArray | None:
        """Balanced classes weigh the same together, however many rows they have."""
        if not self.target.balanced:
            return weights
        own = np.ones(len(y)) if weights is None else weights
        code = y.astype(np.int64)
        sums = np.bincount(code, weights=own, minlength=len(self.labels))
        return np.asarray(own * own.sum() / (len(self.labels) * sums[code]))

    def output(self, raw: FloatArray, finish: Finish | None = None) -> FloatArray:
        scaling = finish.scaling if isinstance(finish, ClassRule) else unscaled(len(self.labels))
        return scaling.probabilities(raw)

    def honest_output(self, raw: FloatArray, y: FloatArray) -> FloatArray:
        return honest(raw, y)

    def learn(
        self, raw: FloatArray, y: FloatArray, coverage: float, *, of_one_period: bool = False, persistence: float = 0.0
    ) -> ClassRule:
        # Balanced weights move the margins of whatever learns from them.
        way = best_way(raw, y, PERIOD_GAIN if of_one_period and not self.target.balanced else 0.0)
        # Of rows that the scaling has not learnt from, for a threshold and cutoffs of its own rows would flatter it.
        held = crossed(raw, y, way)
        cutoffs = _cutoffs(held, y, coverage)
        positive = held[:, -1]
        return ClassRule(way(raw, y), self._threshold(positive, y), coverage, cutoffs, reliability(held, y))

    def renew(self, finish: Finish | None, raw: Callable[[], FloatArray], y: FloatArray) -> Finish | None:
        return finish

    def added(self, finish: Finish | None) -> float:
        return 0.0

    def _threshold(self, positive: FloatArray, y: FloatArray) -> float:
        """The probability from which on the positive class is decided."""
        target = self.target
        if self._many:
            return EVEN
        if target.costs:
            (right_no, alarm), (miss, right_yes) = target.costs
            return float(np.clip((alarm - right_no) / ((alarm - right_no) + (miss - right_yes)), 0.0, 1.0))
        if target.precision is None and target.recall is None:
            return EVEN
        order = np.argsort(-positive, kind="stable")
        found = np.cumsum(y[order])
        if target.recall is not None:
            enough = np.flatnonzero(found >= target.recall * found[-1])
            return _below(positive[order][enough[0]]) if len(enough) else EVEN
        precision = found / np.arange(1, len(y) + 1)
        good = np.flatnonzero(precision >= (target.precision or 0))
        place = good[-1] if len(good) else int(precision[FOLDS - 1 :].argmax()) + FOLDS - 1
        return _below(positive[order][min(place, len(y) - 1)])

    def intervals(
        self,
        output: FloatArray,
        y: FloatArray,
        coverage: float,
        levels: Sequence[float],
        category: tuple[str, Array] | None,
        stretch: float,
        quantiles: tuple[Quantiles, FloatArray] | None = None,
    ) -> None:
        """Classes have sets."""

    def answers(self, output: FloatArray, finish: Finish | None) -> ClassAnswers:
        rule = finish if isinstance(finish, ClassRule) else None
        if self._many:
            costs = self.target.costs
            decision = (output @ np.array(costs)).argmin(axis=1) if costs else output.argmax(axis=1)
        else:
            decision = (output[:, 1] >= (rule.threshold if rule else EVEN)).astype(np.int64)
        likely = rule.sets(output) if rule else np.ones(output.shape, bool)
        threshold = None if self._many else rule.threshold if rule else EVEN
        return ClassAnswers(self.labels, decision, threshold, output, likely)

    def numbers(
        self, output: FloatArray, finish: Finish | None, intervals: Intervals | None, features: Columns
    ) -> Numbers:
        """Of two classes the positive one's probability, and the least and the greatest code in the set.

        Of more the decided code, and no ends: a set of them has no order.
        """
        said = self.answers(output, finish)
        if self._many:
            unknown = np.full(len(output), np.nan)
            return Numbers(said.decision.astype(np.float64), unknown, unknown, said)
        if finish is None:
            unknown = np.full(len(output), np.nan)
            return Numbers(output[:, 1], unknown, unknown, said)
        low, high = (~said.likely[:, 0]).astype(np.float64), said.likely[:, 1].astype(np.float64)
        return Numbers(output[:, 1], low, high, said)

    def row_numbers(self, finish: Finish | None, intervals: Intervals | None) -> Callable[[Any, Row, bool], RowNumbers]:
        def numbers(raw: Any, row: Row, is_bare: bool) -> RowNumbers:
            found = self.numbers(self.output(np.array([raw]), finish), finish, None, {})
            assert found.classes is not None
            ends = (np.nan, np.nan) if is_bare else (float(found.low[0]), float(found.high[0]))
            return float(found.prediction[0]), *ends, found.classes.row(0)

        return numbers

    def output_of(self, prediction: FloatArray) -> FloatArray:
        return np.stack([1 - prediction, prediction], axis=1)

    def load(self, folder: Path) -> Finish:
        return load_state(folder, "finish", (ClassRule, Scaling))

    def scores(self, y: FloatArray, output: FloatArray) -> dict[str, float]:
        from mlops_assets.core.targets.class_scores import class_scores

        found = class_scores(y, output)
        return {self.metric.name: self.metric(y, output)} | found

    def baselines(self, train: FloatArray, codes: tuple[IntArray, IntArray] | None, rows: int) -> dict[str, FloatArray]:
        """The share of each class, of all train rows and of those of the main category."""
        counts = np.bincount(train.astype(np.int64), minlength=len(self.labels)) + PRIOR
        found = {"base rate": np.tile(counts / counts.sum(), (rows, 1))}
        if codes:
            shares = [group_mean_baseline(codes[0], (train == code).astype(float), codes[1]) for code in self._codes]
            share = np.stack(shares, axis=1) + PRIOR * counts / counts.sum() / FOLDS
            found["rate by"] = share / share.sum(axis=1, keepdims=True)
        return found

    @property
    def _codes(self) -> range:
        return range(len(self.labels))

    def plots(self, y: FloatArray, output: FloatArray, finish: Finish | None = None) -> Plots:
        from mlops_assets.core.targets.class_plots import class_plots

        return class_plots(y, output, self.answers(output, finish), self.target.costs)


def label_of(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _metric(target: Target) -> Metric:
    if target.metric == "cost" and target.costs:
        return metrics.cost(target.costs)
    return metrics.BRIER if target.metric == "brier" else metrics.LOG_LOSS


def _cutoffs(probabilities: FloatArray, y: FloatArray, coverage: float) -> FloatArray:
    """For each class the probability that `coverage` of its own rows reach: conformal sets by class.

    Least ambiguous sets with coverage for each class (Sadinle, Lei and Wasserman, 2019); with the finite-sample
    correction of Vovk's label-conditional predictors (2012). A class of too few rows is in every set.
    """
    cutoffs = np.zeros(probabilities.shape[1])
    for code in range(len(cutoffs)):
        own = np.sort(probabilities[y == code, code])
        place = int(np.floor((len(own) + 1) * (1 - coverage))) - 1
        if place >= 0:
            cutoffs[code] = _below(own[place])
    return cutoffs


def _below(probability: float) -> float:
    return float(probability * (1 - ROUNDING))


def reliability(probabilities: FloatArray, y: FloatArray) -> FloatArray:
    """What was said of the last class, how often it came, and of how many rows: (3, bins), by equal shares of rows."""
    said, came = probabilities[:, -1], y == probabilities.shape[1] - 1
    if not len(said):
        return np.empty((3, 0))
    order = np.argsort(said, kind="stable")
    place = np.arange(len(said)) * RELIABILITY_BINS // len(said)
    rows = np.bincount(place)
    kept = rows > 0
    means = [np.bincount(place, weights=values[order])[kept] / rows[kept] for values in (said, came)]
    return np.array([*means, rows[kept]])
