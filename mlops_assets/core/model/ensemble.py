"""Models of several types as one: it derives and encodes once, and its estimator sums what theirs say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mlops_assets.core.columns import from_rows
from mlops_assets.core.learners.ensemble import ENSEMBLE, Ensemble, Member
from mlops_assets.core.model.contributions import Background
from mlops_assets.core.model.model import Model
from mlops_assets.core.targets.intervals import Intervals
from mlops_assets.core.targets.kind import Finish
from mlops_assets.errors import ModelError


def blended(
    models: Mapping[str, Model], weights: Mapping[str, float], intervals: Intervals | None, finish: Finish | None
) -> Model:
    """Final models, by model type, that learnt from the same rows, as one.

    Raises ModelError where one answers otherwise by the encoder of another: then they did not.
    """
    first, *others = models.values()
    if first.golden is None:
        raise ModelError("a member of the ensemble was saved without golden rows: fit it again")
    for other in others:
        replace(other, encoder=first.encoder).self_check()
    if intervals and first.intervals:  # what its members have learnt from, its quantiles have
        intervals = replace(intervals, quantiles=first.intervals.quantiles)
    ensemble = Ensemble(tuple(_member(name, weights[name], model) for name, model in models.items()))
    model = replace(
        first,
        estimator=ensemble,
        model_type=ENSEMBLE,
        matrix=ensemble.matrix,
        intervals=intervals,
        finish=finish,
        background=Background(None, tuple(model.background for model in models.values())),
        golden=None,
    )
    answers = model.answer(from_rows(first.golden.rows, model.spec))
    return replace(model, golden=replace(first.golden, expected=answers.numbers))


def _member(name: str, weight: float, model: Model) -> Member:
    if model.matrix == "both":
        raise ModelError("an ensemble is no member of another")
    return Member(name, weight, model.matrix, model.estimator)
