"""What a model answers: predictions with their intervals, and which inputs are unlike those it learnt from."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlops_assets.core.targets.class_answers import ClassAnswer, ClassAnswers
from mlops_assets.core.types import BoolArray, FloatArray

if TYPE_CHECKING:
    import pyarrow as pa

NUMBERS = ("prediction", "low", "high")
FLAGS = ("out_of_range", "unseen", "missing")


class Answer(NamedTuple):
    """The answer to one row: as in `Answers`, and the inputs that are flagged."""

    prediction: float
    low: float
    high: float
    out_of_range: list[str]
    unseen: list[str]
    missing: list[str]
    classes: ClassAnswer | None = None

    def said(self) -> dict[str, Any]:
        """What is told of it by name, as JSON can hold it; of a number an interval, of classes all of `ClassAnswer`."""
        flags = {name: getattr(self, name) for name in FLAGS}
        has_interval = self.classes is None and not math.isnan(self.low)
        interval = {"low": self.low, "high": self.high} if has_interval else None
        of_classes = self.classes._asdict() if self.classes else {}
        return {"prediction": self.prediction} | of_classes | {"interval": interval} | flags


@dataclass(frozen=True, eq=False)
class Answers:
    """Answers to n rows, in the target's unit; of two classes the probability of the second, of more the decided code.

    `low` and `high` are NaN where the model has no intervals, and where the row lacks what training rows had always.
    The flags hold only inputs by alias of which some row is flagged, each with bool (n,).
    """

    prediction: FloatArray
    low: FloatArray
    high: FloatArray
    out_of_range: dict[str, BoolArray]
    unseen: dict[str, BoolArray]
    missing: dict[str, BoolArray] = field(default_factory=dict)
    classes: ClassAnswers | None = None

    def __len__(self) -> int:
        return len(self.prediction)

    @classmethod
    def of_row(cls, answer: Answer) -> Answers:
        prediction, low, high = np.array([[answer.prediction], [answer.low], [answer.high]])
        flags = {kind: {name: np.ones(1, bool) for name in getattr(answer, kind)} for kind in FLAGS}
        return cls(prediction, low, high, **flags, classes=answer.classes and answer.classes.columns())

    @property
    def numbers(self) -> dict[str, FloatArray]:
        """All numbers (n,) of the answers by name; of more than two classes with the probability of each."""
        found = {name: getattr(self, name) for name in NUMBERS}
        if self.classes and self.classes.threshold is None:
            labels = self.classes.labels
            found |= {
                f"probability of {label}": self.classes.probabilities[:, code] for code, label in enumerate(labels)
            }
        return found

    def rows(self) -> list[Answer]:
        """The answer to each row."""
        numbers = (getattr(self, name).tolist() for name in NUMBERS)
        of_classes = [None] * len(self) if self.classes is None else map(self.classes.row, range(len(self)))
        return [Answer(*row) for row in zip(*numbers, *map(self._flagged, FLAGS), of_classes, strict=True)]

    def _flagged(self, kind: str) -> list[list[str]]:
        """For each row, the inputs with a flag of FLAGS."""
        flagged: list[list[str]] = [[] for _ in range(len(self))]
        flags: dict[str, BoolArray] = getattr(self, kind)
        for name, rows in flags.items():
            for row in np.flatnonzero(rows).tolist():
                flagged[row].append(name)
        return flagged

    def names(self, kind: str) -> pa.ListArray:
        """For each row, the inputs with a flag of FLAGS."""
        import pyarrow as pa

        flags: dict[str, BoolArray] = getattr(self, kind)
        matrix = np.array([*flags.values()], bool).reshape(len(flags), len(self))
        row, name = np.nonzero(matrix.T)
        ends = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=len(self)))]).astype(np.int32)
        return pa.ListArray.from_arrays(pa.array(ends), pa.array([*flags], pa.string()).take(pa.array(name)))

    def held(self, truth: FloatArray) -> FloatArray:
        """Whether each truth (n,) lies in its interval or set: 1 or 0, NaN where there is none."""
        if self.classes and self.classes.threshold is None:
            return self.classes.likely[np.arange(len(truth)), truth.astype(np.int64)].astype(np.float64)
        within = (truth >= self.low) & (truth <= self.high)
        return np.where(np.isfinite(self.low), within, np.nan)

    @property
    def lacks_inputs(self) -> BoolArray:
        """Whether each row (n,) lacks an input that it is flagged for."""
        lacks = np.zeros(len(self), bool)
        for rows in self.missing.values():
            lacks |= rows
        return lacks

    def without_intervals(self, rows: BoolArray) -> Answers:
        """The same, with no interval around some rows (n,)."""
        return replace(self, low=np.where(rows, np.nan, self.low), high=np.where(rows, np.nan, self.high))

    def arrow(self, version: int) -> dict[str, pa.Array]:
        """The numbers by name, null where there is none, and the version of the model that gave them."""
        import pyarrow as pa

        return self.columns() | {"model_version": pa.array(np.full(len(self), version))}

    def columns(self) -> dict[str, pa.Array]:
        """The numbers by name, null where there is none, and of classes what the kind's `columns` name."""
        import pyarrow as pa

        numbers = {name: pa.array(getattr(self, name), from_pandas=True) for name in NUMBERS}
        return numbers | (self.classes.arrow() if self.classes else {})
