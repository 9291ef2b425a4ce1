"""What is said of classes: of one row, and of many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mlops_assets.core.types import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    import pyarrow as pa


class ClassAnswer(NamedTuple):
    """What is said of one row: labels, and probabilities by label. `threshold` is None of more than two classes."""

    decision: str
    threshold: float | None
    probabilities: dict[str, float]
    likely: list[str]

    def columns(self) -> ClassAnswers:
        """The same as of one row among others."""
        labels = tuple(self.probabilities)
        likely = np.array([[label in self.likely for label in labels]])
        shares = np.array([[*self.probabilities.values()]])
        return ClassAnswers(labels, np.array([labels.index(self.decision)]), self.threshold, shares, likely)


@dataclass(frozen=True, eq=False)
class ClassAnswers:
    """The same of n rows: codes (n,), probabilities (n, k), and whether each class is in the row's set (n, k)."""

    labels: tuple[str, ...]
    decision: IntArray
    threshold: float | None
    probabilities: FloatArray
    likely: BoolArray

    def row(self, place: int) -> ClassAnswer:
        of_row = dict(zip(self.labels, self.probabilities[place].tolist(), strict=True))
        likely = [label for label, is_in in zip(self.labels, self.likely[place], strict=True) if is_in]
        return ClassAnswer(self.labels[self.decision[place]], self.threshold, of_row, likely)

    def arrow(self) -> dict[str, pa.Array]:
        """By name what `answer_columns` says; a set is its labels with commas between them."""
        import pyarrow as pa

        names = np.array(self.labels, object)
        sets = [", ".join(names[row]) for row in self.likely]
        shares = [pa.array(np.ascontiguousarray(share)) for share in self.probabilities.T] * (len(self.labels) > 2)
        values = (pa.array(names[self.decision], pa.string()), *shares, pa.array(sets, pa.string()))
        return dict(zip(answer_columns(self.labels), values, strict=True))


def answer_columns(labels: Sequence[str]) -> dict[str, str]:
    """The columns of a table of answers, and Arrow's type of each; of two classes the prediction is the probability."""
    shares = {f"probability_{label}": "double" for label in labels} if len(labels) > 2 else {}
    return {"decision": "string"} | shares | {"likely": "string"}
