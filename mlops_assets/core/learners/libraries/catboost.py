"""CatBoost: symmetric trees, early stopping, models in its own binary format."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops_assets.core.learners.libraries.library import (
    FEW_ROWS,
    Course,
    Goal,
    comparable,
    damaged,
    validation_rows,
)
from mlops_assets.core.targets.metrics import TWEEDIE_POWER
from mlops_assets.core.types import Estimator, FloatArray

if TYPE_CHECKING:
    from mlops_assets.core.learners.estimators import FitData
    from mlops_assets.core.targets.kind import TargetKind
    from mlops_assets.core.types import Matrix

_GOALS: Mapping[str, Goal] = {
    "rmse": Goal({"loss_function": "RMSE"}, "RMSE"),
    "mae": Goal({"loss_function": "MAE"}, "MAE"),
    "rmsle": Goal({"loss_function": "RMSE"}, None),
    "pinball": Goal({"loss_function": "Quantile:alpha={quantile}"}, None),
    "poisson": Goal({"loss_function": "Poisson"}, None),
    "tweedie": Goal({"loss_function": f"Tweedie:variance_power={TWEEDIE_POWER}"}, None),
    "binary": Goal({"loss_function": "Logloss"}, "Logloss"),
    "multiclass": Goal({"loss_function": "MultiClass"}, "MultiClass"),
}
_BY_LOGARITHM = ("Poisson", "Tweedie")  # losses whose raw output is the logarithm of a prediction
_GIVES = "gives"  # metadata of a model
_HEAD = struct.Struct("<4sI")  # a mark, and the length of what follows


class CatBoost:
    """Its fitted estimators are models with exactly the trees that predict."""

    estimator, classifier = "catboost.CatBoostRegressor", "catboost.CatBoostClassifier"
    packages: tuple[str, ...] = ("catboost",)
    file = "estimator.cbm"
    more_parameters: tuple[str, ...] = ()

    def settings(self, seed: int, threads: int) -> dict[str, Any]:
        fixed = {"allow_writing_files": False, "logging_level": "Silent"}
        return {"random_seed": seed, "thread_count": threads} | fixed

    def objective(self, target: TargetKind) -> Goal:
        goal = _GOALS[target.objective]
        loss = goal.params["loss_function"].format(quantile=target.target.quantile)
        return Goal({"loss_function": loss}, goal.metric)

    def fit(self, unfitted: Any, data: FitData, rounds: int | None, beat: float) -> tuple[Estimator, int]:
        from catboost import CatBoost

        params = unfitted.get_params()
        patience = params.pop("early_stopping_rounds", None)
        if constraints := params.pop("monotone_constraints", None):
            params["monotone_constraints"] = list(constraints)  # it takes no tuple
        held = validation_rows("CatBoost", data, patience is not None and rounds is None)
        # Its base class takes any objective, and is what a saved one is read as.
        grown = CatBoost(params | ({"iterations": rounds} if rounds else {}))
        stops = {"eval_set": held, "early_stopping_rounds": patience, "use_best_model": True} if held else {}
        metric = comparable(self, data.target)
        if held and metric and beat < math.inf:
            stops["callbacks"] = [_GivesUp(Course(beat, params.get("learning_rate", 0.03)), metric)]
        grown.fit(data.X, data.y, sample_weight=data.weights, **stops)
        if str(params["loss_function"]).startswith(_BY_LOGARITHM):
            grown.get_metadata()[_GIVES] = "Exponent"
        return grown, grown.tree_count_

    def predict(self, estimator: Any, X: Matrix) -> FloatArray:
        kind = estimator.get_metadata().get(_GIVES, "RawFormulaVal")
        threads = 1 if X.shape[0] <= FEW_ROWS else -1
        return np.asarray(estimator.predict(X, prediction_type=kind, thread_count=threads), np.float64)

    def contributions(self, estimator: Any, X: Matrix, categorical: Sequence[bool]) -> FloatArray:
        from catboost import Pool

        return np.asarray(estimator.get_feature_importance(Pool(X), type="ShapValues")[..., :-1], np.float64)

    def for_few_rows(self, estimator: Any, categories: Mapping[int, int] | None) -> Estimator:
        fitted: Estimator = estimator
        return fitted

    def dump(self, estimator: Any) -> bytes:
        with TemporaryDirectory() as folder:  # it gives files alone
            path = Path(folder, self.file)
            estimator.save_model(str(path), format="cbm")
            return path.read_bytes()

    def is_dump(self, data: bytes) -> bool:
        if len(data) < _HEAD.size:
            return False
        mark, length = _HEAD.unpack_from(data)
        return bool(mark == b"CBM1" and 0 < length <= len(data) - _HEAD.size)

    def parse(self, data: bytes) -> Estimator:
        import catboost

        estimator = catboost.CatBoost()
        try:
            estimator.load_model(blob=data)
        except catboost.CatBoostError:
            raise damaged() from None
        fitted: Estimator = estimator
        return fitted


class _GivesUp:
    def __init__(self, course: Course, metric: str) -> None:
        self._course, self._metric = course, metric

    def after_iteration(self, info: Any) -> bool:
        """Whether to go on."""
        losses: list[float] = info.metrics["validation"].get(self._metric)
        return not losses or not self._course.is_hopeless(losses[-1])
