"""An ensemble: the weighted sum of what fitted estimators say, as one estimator; and how its weights are found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlops_assets.core.types import AnyMatrix, Estimator, FloatArray, MatrixKind

if TYPE_CHECKING:
    from mlops_assets.core.targets.kind import TargetKind

ENSEMBLE = "Ensemble"  # as a model type
FEWEST = 2  # members
ROUNDS = 50  # of selection
LEAST_SHARE = 0.02  # of all weights: below, a member is not worth the time that it takes
FOLDS = 5


@dataclass(frozen=True, eq=False)
class Member:
    """A fitted estimator of a model type, the kind of its matrix, and what its raw output is multiplied by."""

    model_type: str
    weight: float
    matrix: MatrixKind
    estimator: Estimator


@dataclass(frozen=True, eq=False)
class Ensemble:
    """An estimator whose raw output is the weighted sum of its members', which `estimators.predict` asks.

    They share one encoder, and were fitted on the same rows.
    """

    members: tuple[Member, ...]

    @property
    def matrix(self) -> AnyMatrix:
        first, *others = dict.fromkeys(member.matrix for member in self.members)
        return "both" if others else first

    def predict(self, raws: Sequence[FloatArray], /) -> FloatArray:
        """Raw output from that of its members, in their order."""
        return blend(raws, [member.weight for member in self.members])


def weights_of(estimator: Estimator) -> dict[str, float]:
    """The weights of an ensemble's members by model type; none of another estimator."""
    members = estimator.members if isinstance(estimator, Ensemble) else ()
    return {member.model_type: member.weight for member in members}


def learn_weights(raws: Sequence[FloatArray], y: FloatArray, target: TargetKind) -> FloatArray:
    """Weights (m,), none negative, of raw outputs, each (n,) or (n, k), for rows that no estimator has learnt from.

    Of squared errors, by non-negative least squares (Breiman, "Stacked regressions", Machine Learning 24, 1996): their
    sum is free, so what all predict too low in newer rows is raised. Of any other metric, by selection with replacement
    (Caruana et al., "Ensemble selection from libraries of models", ICML 2004), before what calibrates the sum is
    learnt: their sum is one.
    """
    weights = _weigh(raws, y, target)
    kept = np.flatnonzero(weights >= LEAST_SHARE * weights.sum()).tolist()
    whole = np.zeros(len(raws))
    whole[kept] = _weigh([raws[place] for place in kept], y, target)
    return whole


def blend(raws: Sequence[FloatArray], weights: Iterable[float]) -> FloatArray:
    """The raw output of an ensemble from that of its members."""
    return np.asarray(sum(weight * raw for weight, raw in zip(weights, raws, strict=True)), np.float64)


def blend_held_out(raws: Sequence[FloatArray], y: FloatArray, target: TargetKind) -> FloatArray:
    """The same where the weights of each fifth of the rows, in their order, are those that the other rows give."""
    blended = np.empty_like(raws[0])
    for fold in np.array_split(np.arange(len(y)), FOLDS):
        others = np.ones(len(y), bool)
        others[fold] = False
        weights = learn_weights([raw[others] for raw in raws], y[others], target)
        blended[fold] = blend([raw[fold] for raw in raws], weights)
    return blended


def _weigh(raws: Sequence[FloatArray], y: FloatArray, target: TargetKind) -> FloatArray:
    is_squared = target.metric.name == "rmse" and np.array_equal(target.forward(y), y)
    return _least_squares(raws, y) if is_squared else _select(raws, y, target)


def _least_squares(raws: Sequence[FloatArray], y: FloatArray) -> FloatArray:
    from scipy.optimize import nnls
    from threadpoolctl import threadpool_limits

    with threadpool_limits({"blas": 1}):  # sums depend on the threads
        return np.asarray(nnls(np.column_stack(raws), y)[0])


def _select(raws: Sequence[FloatArray], y: FloatArray, target: TargetKind) -> FloatArray:
    """The best bag of members: each round adds the one, chosen before or not, that brings the lowest loss."""
    total, counts = np.zeros_like(raws[0]), np.zeros(len(raws))
    best, lowest = counts, np.inf
    for size in range(1, ROUNDS + 1):
        losses = [target.metric(y, target.output((total + raw) / size)) for raw in raws]
        chosen = int(np.argmin(losses))
        total = total + raws[chosen]
        counts = counts + np.eye(len(raws))[chosen]
        if losses[chosen] < lowest:
            best, lowest = counts / size, losses[chosen]
    return best
