"""Realised performance: what was predicted beside what came true, overall and by segment, and what was promised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from mlops_assets.core.columns import Columns, label, length
from mlops_assets.core.metrics import Clusters, Interval, score
from mlops_assets.core.model.answers import Answers
from mlops_assets.core.targets.kind import TargetKind
from mlops_assets.core.targets.metrics import RMSE, Metric
from mlops_assets.core.targets.numbers import NUMBER
from mlops_assets.core.types import Array, BoolArray, FloatArray, IntArray
from mlops_assets.dataset import DatasetSpec

FEWEST_ROWS = 30  # to judge by
MOST_CATEGORIES = 8
THIRDS = ("low", "middle", "high")


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Predictions (n,) and the truth, and whether that lay within the interval or set; NaN where there was none.

    `output`: what `metric` takes, where that is not the prediction. `span`: the word for what held the truth.
    """

    truth: FloatArray
    prediction: FloatArray
    held: FloatArray
    clusterings: tuple[Clusters, ...] = ()  # how the rows move together; one by one where nothing is said
    output: FloatArray | None = None
    metric: Metric = RMSE
    span: str = "interval"

    def __len__(self) -> int:
        return len(self.truth)

    @cached_property
    def losses(self) -> FloatArray:
        """Of the metric, by row (n,)."""
        return self.metric.losses(self.truth, self.prediction if self.output is None else self.output)

    @property
    def has_intervals(self) -> bool:
        """Whether any row has one, or a set."""
        return bool(np.isfinite(self.held).any())

    def take(self, rows: IntArray | BoolArray) -> Outcomes:
        clusterings = tuple(clusters.take(rows) for clusters in self.clusterings)
        parts = {name: getattr(self, name)[rows] for name in ("truth", "prediction", "held")}
        output = None if self.output is None else self.output[rows]
        return replace(self, **parts, clusterings=clusterings, output=output)


@dataclass(frozen=True)
class Realised:
    """How good predictions were: the target's metric, and errors; `bias` is positive where they were too high.

    `coverage`: the share of truths within their interval or set; None where there was none.
    """

    rows: int
    loss: float
    mae: float
    bias: float
    coverage: float | None


@dataclass(frozen=True)
class Segment:
    """A part of the rows, such as the third with the lowest predictions."""

    name: str
    realised: Realised


@dataclass(frozen=True)
class Promise:
    """What the gate measured before a version became champion: its loss on rows it had not learnt from."""

    loss: float
    interval: Interval


@dataclass(frozen=True)
class Judgement:
    """Whether a promise was kept. `beyond_doubt`: it was not, and chance does not explain it."""

    kept: bool
    beyond_doubt: bool
    reason: str


def realise(outcomes: Outcomes) -> Realised:
    """The scores of at least one outcome; raises DataError where a prediction or truth is not finite."""
    scores = score(outcomes.truth, outcomes.prediction)
    return Realised(
        rows=scores.n,
        loss=outcomes.metric.of_losses(outcomes.losses),
        mae=scores.mae,
        bias=float((outcomes.prediction - outcomes.truth).mean()),
        coverage=float(np.nanmean(outcomes.held)) if outcomes.has_intervals else None,
    )


def by_prediction(outcomes: Outcomes) -> tuple[Segment, ...]:
    """Thirds of the predicted value: what a caller sees before the truth is known."""
    limits = np.quantile(outcomes.prediction, [1 / 3, 2 / 3])
    third = np.searchsorted(limits, outcomes.prediction, side="right")
    return tuple(
        Segment(f"{name} third of predictions", realise(outcomes.take(third == number)))
        for number, name in enumerate(THIRDS)
        if (third == number).any()
    )


def by_category(outcomes: Outcomes, values: Array, name: str) -> tuple[Segment, ...]:
    """The most frequent values (n,) of the category `name`, and all others together."""
    import pandas as pd

    codes, uniques = pd.factorize(values)
    counts = np.bincount(codes[codes >= 0], minlength=len(uniques))
    common = np.argsort(-counts, kind="stable")[:MOST_CATEGORIES]
    parts = [(f"{name} {label(uniques[code])}", codes == code) for code in common]
    parts.append((f"{name}: any other", ~np.isin(codes, common)))
    return tuple(Segment(part, realise(outcomes.take(rows))) for part, rows in parts if rows.any())


def main_category(spec: DatasetSpec) -> str | None:
    """The category that says most of a row: the first of a pair, else the first there is."""
    return spec.features.main_category


def identity(spec: DatasetSpec) -> tuple[str, ...]:
    """Inputs by which a prediction is joined with its truth: the key where callers give it, else all of them."""
    inputs = spec.inputs()
    return spec.key if spec.key and set(spec.key) <= set(inputs) else inputs


def join(
    truth: Columns,
    y: FloatArray,
    asked: Columns,
    answers: Answers,
    names: Sequence[str],
    clusterings: Sequence[Clusters] = (),
    kind: TargetKind = NUMBER,
) -> Outcomes:
    """The outcomes of those true rows that were asked.

    `y` (n,) and `clusterings`: the target of the true rows, and how they move together. `answers`: what was answered to
    the asked rows. A true row was asked where an asked row equals it in all columns `names`; missing values equal each
    other. Answers to equal rows count as their mean, and of sets the last.
    """
    ids = _ids(truth, asked, names)
    of_true, of_asked = ids[: len(y)], ids[len(y) :]
    counts = np.bincount(of_asked, minlength=len(ids))
    rows = np.flatnonzero(counts[of_true])
    groups = of_true[rows]

    def mean(values: FloatArray) -> FloatArray:
        means: FloatArray = np.bincount(of_asked, weights=values, minlength=len(ids))[groups] / counts[groups]
        return means

    of_rows = tuple(clusters.take(rows) for clusters in clusterings)
    prediction, low, high = (mean(values) for values in (answers.prediction, answers.low, answers.high))
    classes = answers.classes
    if classes:
        shares = np.stack([mean(share) for share in classes.probabilities.T], axis=1)
        newest = np.zeros(len(ids), np.int64)
        newest[of_asked] = np.arange(len(of_asked))
        said = newest[groups]
        decision, likely = classes.decision[said], classes.likely[said]
        classes = replace(classes, probabilities=shares, decision=decision, likely=likely)
    return outcomes_of(kind, y[rows], Answers(prediction, low, high, {}, {}, classes=classes), of_rows)


def outcomes_of(
    kind: TargetKind, truth: FloatArray, answers: Answers, clusterings: tuple[Clusters, ...] = ()
) -> Outcomes:
    """The outcomes of answers about a target of some kind."""
    output = answers.classes.probabilities if answers.classes else kind.output_of(answers.prediction)
    return Outcomes(truth, answers.prediction, answers.held(truth), clusterings, output, kind.metric, kind.span)


def judge(outcomes: Outcomes, promise: Promise, *, margin: float, confidence: float) -> Judgement:
    """Whether the realised loss is within the promised one and a margin, which is a share of it."""
    realised = realise(outcomes)
    if realised.rows < FEWEST_ROWS:
        return Judgement(True, False, f"{realised.rows} rows are too few to judge by (at least {FEWEST_ROWS})")
    limit, label = promise.loss * (1 + margin), outcomes.metric.label
    change = realised.loss / promise.loss - 1 if promise.loss else 0.0
    sentence = f"{label} {realised.loss:.4g} where {promise.loss:.4g} was promised ({change:+.1%}, margin {margin:.0%})"
    if realised.loss <= limit:
        return Judgement(True, False, sentence)
    clusterings = outcomes.clusterings or (Clusters.of_rows(len(outcomes)),)
    interval = outcomes.metric.interval(outcomes.losses, clusterings, confidence=confidence)
    reason = f"{sentence}; its {confidence:.0%} interval is {interval.low:.4g} to {interval.high:.4g}"
    return Judgement(False, interval.low > limit, reason)


def _ids(one: Columns, other: Columns, names: Sequence[str]) -> IntArray:
    """A number for each row of both, the same for rows that are equal in these columns."""
    import pandas as pd

    ids: IntArray = np.zeros(length(one) + length(other), np.int64)
    for name in names:
        codes, levels = pd.factorize(np.concatenate([one[name], other[name]]), use_na_sentinel=False)
        ids = pd.factorize(ids * len(levels) + codes)[0]
    return ids
