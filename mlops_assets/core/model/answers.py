"""What a model answers: predictions with their intervals, and which inputs are unlike those it learnt from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

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


@dataclass(frozen=True, eq=False)
class Answers:
    """Answers to n rows, in the target's unit.

    `low` and `high` are NaN where the model has no intervals, and where the row lacks what training rows had always.
    The flags hold only inputs by alias of which some row is flagged, each with bool (n,).
    """

    prediction: FloatArray
    low: FloatArray
    high: FloatArray
    out_of_range: dict[str, BoolArray]
    unseen: dict[str, BoolArray]
    missing: dict[str, BoolArray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.prediction)

    @classmethod
    def of_row(cls, answer: Answer) -> Answers:
        prediction, low, high = np.array([[answer.prediction], [answer.low], [answer.high]])
        flags = ({name: np.ones(1, bool) for name in getattr(answer, kind)} for kind in FLAGS)
        return cls(prediction, low, high, *flags)

    def rows(self) -> list[Answer]:
        """The answer to each row."""
        numbers = (getattr(self, name).tolist() for name in NUMBERS)
        return [Answer(*row) for row in zip(*numbers, *map(self._flagged, FLAGS), strict=True)]

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

        numbers = {name: pa.array(getattr(self, name), from_pandas=True) for name in NUMBERS}
        return numbers | {"model_version": pa.array(np.full(len(self), version))}
