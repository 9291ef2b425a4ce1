"""What a target is, as one object: nothing outside asks for the kind.

Estimators give raw output: predictions of a number, margins (log-odds) of classes; the kind makes the output of that
which metrics take, and the answer that callers get. `kinds.target_of` gives the kind of a dataset.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from mlops_assets.core.report.drawing import Drawing
from mlops_assets.core.targets.intervals import Intervals, Quantiles
from mlops_assets.core.targets.metrics import Metric
from mlops_assets.core.types import Array, BoolArray, FloatArray, IntArray
from mlops_assets.dataset.target import Target

if TYPE_CHECKING:
    from mlops_assets.core.columns import Columns, Row
    from mlops_assets.core.targets.class_answers import ClassAnswer, ClassAnswers

FOLDS = 10  # of out-of-fold encodings: a class with fewer rows is missing from one
Plots = Mapping[str, Callable[[], Drawing]]  # by title


class Finish(Protocol):
    """What a kind has learnt on validation rows to make answers of raw output; a part of a saved model."""

    @property
    def coverage(self) -> float | None: ...

    def save(self, folder: Path) -> None: ...


@dataclass(frozen=True)
class Numbers:
    """Predictions (n,), the ends of what is likely, and of classes all that is said of them."""

    prediction: FloatArray
    low: FloatArray
    high: FloatArray
    classes: ClassAnswers | None = None


RowNumbers = tuple[float, float, float, "ClassAnswer | None"]


class TargetKind(Protocol):
    """A kind of target. Truths `y` are (n,) float64; `output` is what metrics take."""

    @property
    def target(self) -> Target: ...

    @property
    def metric(self) -> Metric: ...

    @property
    def objective(self) -> str:
        """What boosted trees minimise for it: a metric of numbers, `binary` or `multiclass`."""

    @property
    def learns_metric(self) -> bool:
        """Whether the loss of that objective is the metric, so that both can be compared."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Of classes, by code."""

    @property
    def unit(self) -> str:
        """Of predictions."""

    @property
    def adds_in(self) -> str:
        """The unit of contributions."""

    span: ClassVar[str]  # what holds the truth as often as it says: an interval, or a set
    is_classifier: ClassVar[bool]  # the family of estimators of scikit-learn that fit it
    has_intervals: ClassVar[bool]
    model_types: ClassVar[tuple[str, ...]]  # that are tuned where the settings name none

    @property
    def columns(self) -> Mapping[str, str]:
        """What a table of answers has beside prediction, low and high: Arrow's type by name."""

    @property
    def is_stored(self) -> bool:
        """Whether the numbers of an answer tell its output."""

    def __hash__(self) -> int: ...

    def encode(self, values: Array) -> FloatArray:
        """The target (n,) of a column's values; NaN where it is not known. Raises DataError."""

    def rules(self, y: FloatArray) -> Iterator[tuple[str, BoolArray]]:
        """Further rules of cleaning, and whether each row (n,) passes."""

    def question(self, name: str) -> str:
        """What is asked about the target of this name, such as `whether delay is above 14`."""

    def sentence(self, prediction: float, truth: float) -> str:
        """A prediction beside what came true."""

    def told(self, y: FloatArray) -> str:
        """What the target is taken for, in words.

        Raises DataError where nothing says what it is, and values of it (n,) look like another kind.
        """

    def check(self, splits: Mapping[str, FloatArray]) -> None:
        """Raise DataError where nothing can be learnt of these targets by split."""

    def forward(self, y: FloatArray) -> FloatArray:
        """What estimators learn in place of the target."""

    def row_weights(self, y: FloatArray, weights: FloatArray | None) -> FloatArray | None:
        """The weight (n,) of each row in a fit; None where all are equal."""

    def output(self, raw: FloatArray, finish: Finish | None = None) -> FloatArray:
        """What metrics take, of an estimator's raw output."""

    def honest_output(self, raw: FloatArray, y: FloatArray) -> FloatArray:
        """The same of rows held out, each finished by what other rows say."""

    def learn(
        self, raw: FloatArray, y: FloatArray, coverage: float, *, of_one_period: bool = False, persistence: float = 0.0
    ) -> Finish | None:
        """What is learnt on rows that the estimator has not learnt from.

        `of_one_period`: they are of one period, of which not all holds in the next. `persistence`: as in `Looked`.
        """

    def renew(self, finish: Finish | None, raw: Callable[[], FloatArray], y: FloatArray) -> Finish | None:
        """The same after newer rows, where they tell more of what comes next; `raw` gives the output for them."""

    def added(self, finish: Finish | None) -> float:
        """What is added to raw output before all else."""

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
        """Intervals of a number, from the output for rows held out, as `intervals.calibrate` says."""

    def numbers(
        self, output: FloatArray, finish: Finish | None, intervals: Intervals | None, features: Columns
    ) -> Numbers:
        """What is answered, of rows with these derived features."""

    def row_numbers(self, finish: Finish | None, intervals: Intervals | None) -> Callable[[Any, Row, bool], RowNumbers]:
        """The same of one row's raw output and features; the flag says whether there is to be no interval."""

    def output_of(self, prediction: FloatArray) -> FloatArray:
        """The output of stored predictions."""

    def load(self, folder: Path) -> Finish:
        """Read what a `Finish` has saved; raises ModelError."""

    def scores(self, y: FloatArray, output: FloatArray) -> dict[str, float]:
        """The metric, and others for the report, by name."""

    def baselines(self, train: FloatArray, codes: tuple[IntArray, IntArray] | None, rows: int) -> dict[str, FloatArray]:
        """Outputs for rows without a model; `codes`: the main categories of the train rows and of these."""

    def plots(self, y: FloatArray, output: FloatArray, finish: Finish | None = None) -> Plots:
        """Pictures of how good an output is, made when called."""
