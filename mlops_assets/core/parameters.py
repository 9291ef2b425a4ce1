"""One hyperparameter's distribution: what YAML says, what hyperopt draws, and the typed value of that."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator

DISTRIBUTIONS = ("uniform", "loguniform", "integer", "integer_log", "choice", "fixed")
_EXPONENT = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")


class Parameter(BaseModel):
    """How one hyperparameter is drawn: by exactly one distribution."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    uniform: tuple[float, float] | None = Field(None, description="Any number from low to high.")
    loguniform: tuple[float, float] | None = Field(None, description="Any number, evenly over its logarithm.")
    integer: tuple[int, int] | None = Field(None, description="Whole numbers from low to high.")
    integer_log: tuple[int, int] | None = Field(None, description="Whole numbers, evenly over their log.")
    choice: tuple[JsonValue, ...] | None = Field(None, min_length=1, description="One of these values.")
    fixed: JsonValue = Field(None, description="Always this value.")
    step: int = Field(1, ge=1, description="Distance between integers.")

    @field_validator("choice", "fixed", mode="before")
    @classmethod
    def _read_exponents(cls, value: Any) -> Any:
        return read_exponents(value)

    @model_validator(mode="after")
    def _one_distribution(self) -> Parameter:
        given = self.model_fields_set - {"step"}
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(DISTRIBUTIONS)}")
        if "step" in self.model_fields_set and self.kind != "integer":
            raise ValueError("step goes with integer")
        if self.kind in ("choice", "fixed"):
            return self
        low, high = self.bounds
        if low >= high:
            raise ValueError(f"{self.kind} must be [low, high] with low < high")
        if self.kind in ("loguniform", "integer_log") and low <= 0:
            raise ValueError(f"{self.kind} must start above 0")
        return self

    @property
    def kind(self) -> str:
        return next(iter(self.model_fields_set - {"step"}))

    @property
    def bounds(self) -> tuple[float, float]:
        return getattr(self, self.kind)

    @property
    def count(self) -> int | None:
        """How many values there are; None where they are not countable."""
        return None if self.kind in ("uniform", "loguniform") else len(self.values())

    def values(self) -> Sequence[JsonValue]:
        """All values of a countable parameter."""
        if self.kind == "fixed":
            return [self.fixed]
        if self.kind == "choice":
            return self.choice
        low, high = self.bounds
        return range(low, high + 1, self.step)

    def value(self, raw: float) -> JsonValue:
        """The typed value of hyperopt's raw number; floats have six digits, so that logs show all of them."""
        if self.kind in ("choice", "integer"):
            values = self.values()
            return values[min(max(int(raw), 0), len(values) - 1)]
        low, high = self.bounds
        if self.kind == "integer_log":
            return min(max(int(raw), low), high)
        return min(max(float(f"{raw:.6g}"), low), high)

    def raw(self, value: JsonValue) -> float:
        """hyperopt's number for a typed value; raises ValueError where the parameter never takes it."""
        if self.kind == "choice":
            for place, known in enumerate(self.choice):
                if type(known) is type(value) and known == value:  # to Python, True is 1
                    return place
            raise ValueError(f"{value!r} is none of {', '.join(map(repr, self.choice))}")
        low, high = self.bounds
        if self.kind in ("integer", "integer_log"):
            if type(value) is not int or value not in self.values():
                raise ValueError(f"{value!r} is no integer of {low}..{high} in steps of {self.step}")
            return value if self.kind == "integer_log" else self.values().index(value)
        if type(value) not in (int, float) or not low <= value <= high:
            raise ValueError(f"{value!r} lies outside {low:g}..{high:g}")
        return float(value)

    def to_hyperopt(self, label: str) -> Any:
        from hyperopt import hp

        if self.kind == "choice":
            return hp.randint(label, self.count)
        if self.kind == "integer":
            # Places, widened by a half: rounding would give both ends half the weight of the others.
            return hp.quniform(label, -0.5, self.count - 0.5, 1)
        low, high = self.bounds
        if self.kind == "integer_log":
            return hp.qloguniform(label, math.log(low - 0.5), math.log(high + 0.5), 1)
        if self.kind == "loguniform":
            return hp.loguniform(label, math.log(low), math.log(high))
        return hp.uniform(label, low, high)


def read_exponents(value: Any) -> Any:
    """YAML 1.1 reads 1e-4 as text; here it is the number it looks like."""
    if isinstance(value, list | tuple):
        return [read_exponents(item) for item in value]
    return float(value) if isinstance(value, str) and _EXPONENT.fullmatch(value) else value
