"""Search spaces: named parameters of a model type, written in YAML, drawn from by hyperopt or Optuna.

hyperopt works with raw numbers: an index for a choice, a float for an integer. A space turns them into a
typed point, constants included, so that what is sampled is what is logged and what is fitted. A parameter is one
distribution, a space is the parameters of a model type, and a YAML file holds spaces by the name of their model type.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    field_validator,
    model_validator,
)

from mlops_assets.core.types import MatrixKind
from mlops_assets.dataset.yaml_files import read_yaml
from mlops_assets.errors import SpecError
from mlops_assets.validation import complaint

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Distribution = Literal["uniform", "loguniform", "integer", "integer_log", "choice", "fixed"]
DISTRIBUTIONS: tuple[Distribution, ...] = get_args(Distribution)
SET_ELSEWHERE = {
    "random_state": "MLOPS_SEED",
    "seed": "MLOPS_SEED",
    "n_jobs": "MLOPS_THREADS",
    "nthread": "MLOPS_THREADS",
    "random_seed": "MLOPS_SEED",
    "thread_count": "MLOPS_THREADS",
}
_EXPONENT = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")


def read_exponents(value: Any) -> Any:
    """YAML 1.1 reads 1e-4 as text; here it is the number it looks like."""
    if isinstance(value, list | tuple):
        return [read_exponents(item) for item in value]
    return float(value) if isinstance(value, str) and _EXPONENT.fullmatch(value) else value


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
        if len(self.model_fields_set - {"step"}) != 1:
            raise ValueError(f"give exactly one of {', '.join(DISTRIBUTIONS)}")
        if "step" in self.model_fields_set and self.kind != "integer":
            raise ValueError("step goes with integer")
        if self.kind == "choice" and self.choice is None:
            raise ValueError("choice must be a list of values")
        if self.kind in ("choice", "fixed"):
            return self
        low, high = self.bounds
        if low >= high:
            raise ValueError(f"{self.kind} must be [low, high] with low < high")
        if self.kind in ("loguniform", "integer_log") and low <= 0:
            raise ValueError(f"{self.kind} must start above 0")
        return self

    @property
    def kind(self) -> Distribution:
        """The one that is given."""
        return next(name for name in DISTRIBUTIONS if name in self.model_fields_set)

    @property
    def bounds(self) -> tuple[float, float]:
        """Both ends of a number; raises ValueError where there are none."""
        return self.uniform or self.loguniform or self._whole_bounds

    @property
    def _whole_bounds(self) -> tuple[int, int]:
        if bounds := self.integer or self.integer_log:
            return bounds
        raise ValueError(f"{self.kind} must be [low, high]")

    @property
    def count(self) -> int | None:
        """How many values there are; None where they are not countable."""
        return None if self.kind in ("uniform", "loguniform") else len(self.values())

    def values(self) -> Sequence[JsonValue]:
        """All values of a countable parameter."""
        if self.kind == "fixed":
            return [self.fixed]
        if self.kind == "choice":
            return self.choice or ()
        low, high = self._whole_bounds
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
            for place, item in enumerate(self.values()):
                if type(item) is type(value) and item == value:  # to Python, True is 1
                    return place
            raise ValueError(f"{value!r} is none of {', '.join(map(repr, self.values()))}")
        low, high = self.bounds
        if self.kind in ("integer", "integer_log"):
            if type(value) is not int or value not in self.values():
                raise ValueError(f"{value!r} is no integer of {low}..{high} in steps of {self.step}")
            return value if self.kind == "integer_log" else self.values().index(value)
        if not (type(value) is int or type(value) is float) or not low <= value <= high:
            raise ValueError(f"{value!r} lies outside {low:g}..{high:g}")
        return float(value)

    def to_hyperopt(self, label: str) -> Any:
        """The parameter as a hyperopt expression."""
        from hyperopt import hp

        if self.kind == "choice":
            return hp.randint(label, len(self.values()))
        if self.kind == "integer":
            # Places, widened by a half: rounding would give both ends half the weight of the others.
            return hp.quniform(label, -0.5, len(self.values()) - 0.5, 1)
        low, high = self.bounds
        if self.kind == "integer_log":
            return hp.qloguniform(label, math.log(low - 0.5), math.log(high + 0.5), 1)
        if self.kind == "loguniform":
            return hp.loguniform(label, math.log(low), math.log(high))
        return hp.uniform(label, low, high)

    def to_optuna(self) -> Any:
        """The parameter as a distribution of Optuna, over the same raw numbers."""
        from optuna import distributions

        if self.kind == "choice":
            return distributions.CategoricalDistribution(range(len(self.values())))
        if self.kind == "integer":
            return distributions.IntDistribution(0, len(self.values()) - 1)
        low, high = self.bounds
        if self.kind == "integer_log":
            return distributions.IntDistribution(int(low), int(high), log=True)
        return distributions.FloatDistribution(low, high, log=self.kind == "loguniform")


class Space(BaseModel):
    """The hyperparameters of a model type, and a point known to be good (`start`, of the free ones)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    parameters: dict[str, Parameter] = Field(default_factory=dict, description="Name to distribution.")
    start: dict[str, JsonValue] = Field(default_factory=dict, description="A value for each free parameter.")

    @field_validator("start", mode="before")
    @classmethod
    def _read_exponents(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: read_exponents(item) for name, item in value.items()}

    @model_validator(mode="after")
    def _consistent(self) -> Space:
        for name in self.parameters:
            if name in SET_ELSEWHERE:
                raise ValueError(f"parameters.{name} is set by {SET_ELSEWHERE[name]}: remove it")
        if self.start:
            if odd := set(self.start) ^ set(self.free):
                raise ValueError(f"start must name exactly the free parameters; see {', '.join(sorted(odd))}")
            for name, value in self.start.items():
                try:
                    self.parameters[name].raw(value)
                except ValueError as error:
                    raise ValueError(f"start.{name}: {error}") from None
        return self

    @property
    def free(self) -> tuple[str, ...]:
        """Names of the parameters that a search may vary."""
        return tuple(name for name, parameter in self.parameters.items() if parameter.kind != "fixed")

    @property
    def size(self) -> int | None:
        """How many points there are; None where they are not countable."""
        size = 1
        for parameter in self.parameters.values():
            if (count := parameter.count) is None:
                return None
            size *= count
        return size

    def points(self) -> list[dict[str, JsonValue]]:
        """All points of a countable space."""
        columns = [parameter.values() for parameter in self.parameters.values()]
        return [dict(zip(self.parameters, values, strict=True)) for values in itertools.product(*columns)]

    def to_hyperopt(self) -> dict[str, Any]:
        """The free parameters as hyperopt expressions."""
        return {name: self.parameters[name].to_hyperopt(name) for name in self.free}

    def point(self, raw: Mapping[str, float]) -> dict[str, JsonValue]:
        """The typed point, constants included, of hyperopt's raw numbers of the free parameters."""
        return {
            name: parameter.fixed if parameter.kind == "fixed" else parameter.value(raw[name])
            for name, parameter in self.parameters.items()
        }

    def raw(self, point: Mapping[str, JsonValue]) -> dict[str, float]:
        """hyperopt's numbers for a typed point; raises ValueError or KeyError where it lies outside."""
        return {name: self.parameters[name].raw(point[name]) for name in self.free}

    def adopt(self, point: Mapping[str, JsonValue]) -> dict[str, JsonValue] | None:
        """`point`, typed and with this space's constants; None where it lies outside."""
        try:
            return self.point(self.raw(point))
        except (KeyError, ValueError):
            return None


class ModelTypeSpec(Space):
    """One entry of a search-space YAML; what it leaves out comes from the shipped entry of that name."""

    import_path: str | None = Field(None, description="Path of a class with fit and predict; the name where left out.")
    matrix: MatrixKind | None = Field(None, description="Which matrix it learns from.")
    predicts: Literal["numbers", "classes"] | None = Field(None, description="What it predicts; both where left out.")


def load_search_spaces(path: Path) -> dict[str, ModelTypeSpec]:
    """Read a search-space YAML: model type name -> {import_path, matrix, parameters, start}.

    Raises SpecError that names the file, the model type and the parameter.
    """
    document = read_yaml(path)
    if not isinstance(document, dict):
        keys = ", ".join(ModelTypeSpec.model_fields)
        raise SpecError(f"{path.name} must be a mapping of model types, each with some of {keys}")
    return {str(name): _entry(path.name, str(name), value) for name, value in document.items()}


def _entry(file: str, name: str, value: Any) -> ModelTypeSpec:
    try:
        return ModelTypeSpec.model_validate(value)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        raise SpecError(f"{file}: {'; '.join(_explain(name, problem) for problem in problems)}") from None


def _explain(name: str, problem: ErrorDetails) -> str:
    where = ".".join([name, *(str(part) for part in problem["loc"])])
    if problem["type"] == "extra_forbidden":
        keys = DISTRIBUTIONS if problem["loc"][0] == "parameters" else ModelTypeSpec.model_fields
        return f"{where} is not a key (keys: {', '.join(keys)})"
    return f"{where}: {complaint(problem)}"
