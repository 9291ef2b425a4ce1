"""What a model goes by: the weight of each feature over some rows, and single contributions where they are exact.

Boosted trees and linear models: mean absolute contribution (of TreeSHAP, or of coefficients). Any other: by how much
the target's metric grows when an input is shuffled among the rows (Breiman, 2001).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops_assets.core.columns import Columns, label, length, take
from mlops_assets.core.targets.metrics import RMSE, Metric
from mlops_assets.core.types import Array, FloatArray, IntArray
from mlops_assets.errors import ModelError

if TYPE_CHECKING:
    from mlops_assets.core.model.contributions import Contributions
    from mlops_assets.core.model.model import Model

ROWS = 500  # TreeSHAP takes seconds for so many
PERMUTED_ROWS = 2_000
REPEATS = 3
MOST_COEFFICIENTS = 200

_WEIGHTS = ("importance", "coefficients")
CONTRIBUTION = "mean absolute contribution"


@dataclass(frozen=True)
class Weight:
    """A name and what it weighs, in the target's unit."""

    name: str
    value: float


@dataclass(frozen=True, eq=False)
class Explanation:
    """What a model goes by, most important first.

    `contributions` and their `inputs` are those of the sampled rows, None and empty where they are not exact.
    `coefficients` are those of a linear model's columns that matter most.
    """

    method: str
    rows: int
    importance: tuple[Weight, ...]
    contributions: Contributions | None = None
    inputs: Columns = field(default_factory=dict)
    coefficients: tuple[Weight, ...] = ()

    def exact_contributions(self) -> Contributions:
        """Raises ModelError where there are none."""
        if self.contributions is None:
            raise ModelError(f"there are no single contributions where a model goes by the {self.method}")
        return self.contributions

    def to_json(self) -> str:
        weights = {name: [[weight.name, weight.value] for weight in getattr(self, name)] for name in _WEIGHTS}
        tree: dict[str, Any] = {"method": self.method, "rows": self.rows} | weights
        if self.contributions is not None:
            tree["contributions"] = {
                "features": self.contributions.names,
                "values": self.contributions.values.round(6).tolist(),
                "base": self.contributions.base.round(6).tolist(),
                "inputs": {alias: _to_list(values) for alias, values in self.inputs.items()},
                "times": [alias for alias, values in self.inputs.items() if values.dtype.kind == "M"],
            }
        return json.dumps(tree, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Explanation:
        from mlops_assets.core.model.contributions import Contributions

        tree = json.loads(text)
        importance, coefficients = (tuple(Weight(*pair) for pair in tree[name]) for name in _WEIGHTS)
        if (saved := tree.get("contributions")) is None:
            return cls(tree["method"], tree["rows"], importance, coefficients=coefficients)
        contributions = Contributions(tuple(saved["features"]), np.array(saved["values"]), np.array(saved["base"]))
        inputs = {alias: _from_list(values, alias in saved["times"]) for alias, values in saved["inputs"].items()}
        return cls(tree["method"], tree["rows"], importance, contributions, inputs, coefficients)


def explain_model(model: Model, columns: Columns, y: FloatArray, seed: int) -> Explanation:
    """Explain a model by some rows of its inputs and their targets (n,), the same ones for the same seed."""
    from mlops_assets.core.model.contributions import is_exact

    if is_exact(model.estimator):
        chosen = some_rows(length(columns), ROWS, seed)
        inputs = {alias: columns[alias][chosen] for alias in model.spec.inputs()}
        contributions = model.contributions(inputs)
        means = np.abs(contributions.values).mean(axis=0).tolist()
        return Explanation(
            method=CONTRIBUTION,
            rows=len(chosen),
            importance=_largest_first(zip(contributions.names, means, strict=True)),
            contributions=contributions,
            inputs=inputs | {name: _labels(inputs[name]) for name in model.spec.features.categories},
            coefficients=coefficients_of(model, inputs),
        )
    chosen = some_rows(length(columns), PERMUTED_ROWS, seed)
    metric, rows = model.kind.metric, take(columns, chosen)
    weights = permutation_importance(model.output, model.spec.inputs(), rows, y[chosen], seed, metric)
    return Explanation(f"growth of the {metric.label} when shuffled", len(chosen), weights)


def permutation_importance(
    output: Callable[[Columns], FloatArray],
    names: tuple[str, ...],
    columns: Columns,
    y: FloatArray,
    seed: int,
    metric: Metric = RMSE,
) -> tuple[Weight, ...]:
    """By how much the metric grows when the values of one input are shuffled among the rows, on average."""
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(len(y)) for _ in range(REPEATS)]

    def loss(rows: Columns) -> float:
        return metric(y, output(rows))

    as_it_is = loss(columns)
    shuffled = {name: [loss(columns | {name: columns[name][order]}) for order in orders] for name in names}
    return _largest_first((name, float(np.mean(values)) - as_it_is) for name, values in shuffled.items())


def coefficients_of(model: Model, columns: Columns) -> tuple[Weight, ...]:
    """What one more of a column adds to the prediction: of a scaled number, one more standard deviation.

    First come those that move the predictions of these rows most: the largest ones belong to rare categories. There
    are none where the model is not linear.
    """
    from mlops_assets.core.learners.estimators import is_linear

    if not is_linear(model.estimator):
        return ()
    names, coefficients = model.encoder.one_hot_names, model.estimator.coef_
    X = model.encoder.transform(model.spec.features, columns, "one_hot")
    mean, square = (np.asarray(part.mean(axis=0)).reshape(-1) for part in (X, X.multiply(X)))
    moves = np.abs(coefficients) * np.sqrt(np.maximum(square - mean**2, 0))
    first = np.argsort(-moves, kind="stable")[:MOST_COEFFICIENTS]
    return tuple(Weight(names[place], float(coefficients[place])) for place in first)


def some_rows(count: int, most: int, seed: int) -> IntArray:
    """Places of at most so many rows, in order."""
    return np.sort(np.random.default_rng(seed).permutation(count)[:most])


def _largest_first(weights: Iterable[tuple[str, float]]) -> tuple[Weight, ...]:
    return tuple(sorted((Weight(*pair) for pair in weights), key=lambda weight: -abs(weight.value)))


def _labels(values: Array) -> Array:
    """Categories as text: their codes are no quantities."""
    if values.dtype == object:
        return values
    return np.array([None if np.isnan(value) else label(value) for value in values], object)


def _to_list(values: Array) -> list[str | float | None]:
    """Values as JSON can hold them; times as ISO texts."""
    if values.dtype.kind == "M":
        return [None if np.isnat(value) else str(value)[:16] for value in values]
    if values.dtype == object:
        texts: list[str | float | None] = values.tolist()
        return texts
    return [None if np.isnan(value) else value for value in values.tolist()]


def _from_list(values: list[str | float | None], is_time: bool) -> Array:
    if is_time:
        return np.array(values, "datetime64[us]")
    if any(isinstance(value, str) for value in values):
        return np.array(values, object)
    return np.array([np.nan if value is None else value for value in values], np.float64)
