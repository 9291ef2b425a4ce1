"""What a model answers: predictions with their intervals, and which inputs are unlike those it learnt from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlops_assets.core.types import BoolArray, FloatArray

if TYPE_CHECKING:
    import pyarrow as pa

NUMBERS = ("prediction", "low", "high")


@dataclass(frozen=True, eq=False)
class Answers:
    """Answers to n rows, in the target's unit; `low` and `high` are NaN where the model has no intervals.

    The flags hold only inputs by alias of which some row is flagged, each with bool (n,).
    """

    prediction: FloatArray
    low: FloatArray
    high: FloatArray
    out_of_range: dict[str, BoolArray]
    unseen: dict[str, BoolArray]

    def __len__(self) -> int:
        return len(self.prediction)

    def arrow(self, version: int) -> dict[str, pa.Array]:
        """The numbers by name, null where there is none, and the version of the model that gave them."""
        import pyarrow as pa

        numbers = {name: pa.array(getattr(self, name), from_pandas=True) for name in NUMBERS}
        return numbers | {"model_version": pa.array(np.full(len(self), version))}
