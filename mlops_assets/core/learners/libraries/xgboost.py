"""XGBoost: native categories, early stopping, rows from disk, UBJSON; a few rows go down its trees as arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops_assets.core.learners.libraries.library import (
    Course,
    Goal,
    comparable,
    damaged,
    validation_rows,
    with_values,
)
from mlops_assets.core.learners.tree_arrays import tree_arrays
from mlops_assets.core.targets.metrics import TWEEDIE_POWER
from mlops_assets.core.types import Estimator, FloatArray

if TYPE_CHECKING:
    from xgboost import Booster, XGBRegressor
    from xgboost.callback import TrainingCallback

    from mlops_assets.core.learners.estimators import FitData
    from mlops_assets.core.targets.kind import TargetKind
    from mlops_assets.core.types import Matrix

GIVES, MARGINS = "gives", "margins"  # an attribute of Boosters that answer for classes
_GOALS: Mapping[str, Goal] = {
    "rmse": Goal({}, "rmse"),  # as it is by default
    "mae": Goal({"objective": "reg:absoluteerror", "eval_metric": "mae"}, "mae"),
    "rmsle": Goal({"eval_metric": "rmsle"}, "rmsle"),
    "pinball": Goal({"objective": "reg:quantileerror"}, None),
    "poisson": Goal({"objective": "count:poisson"}, None),
    "tweedie": Goal({"objective": "reg:tweedie", "tweedie_variance_power": TWEEDIE_POWER}, None),
    "binary": Goal({"objective": "binary:logistic", "eval_metric": "logloss"}, "logloss"),
    "multiclass": Goal({"objective": "multi:softprob", "eval_metric": "mlogloss"}, "mlogloss"),
}
SMALLEST_BOOSTER = 100  # bytes; one without a tree has over a thousand


class XGBoost:
    """Its fitted estimators are Boosters with exactly the trees that predict."""

    estimator, classifier = "xgboost.XGBRegressor", "xgboost.XGBClassifier"
    packages: tuple[str, ...] = ()
    file = "estimator.ubj"
    more_parameters: tuple[str, ...] = ()

    def settings(self, seed: int, threads: int) -> dict[str, Any]:
        return {"random_state": seed, "n_jobs": threads, "tree_method": "hist"}

    def objective(self, target: TargetKind) -> Goal:
        return with_values(_GOALS, target, quantile="quantile_alpha", classes="num_class")

    def fit(self, unfitted: XGBRegressor, data: FitData, rounds: int | None, beat: float) -> tuple[Booster, int]:
        import xgboost

        train, *validation = data.binned(unfitted.max_bin)
        stops = unfitted.early_stopping_rounds is not None and rounds is None
        validation_rows("XGBoost", data, stops)
        booster = xgboost.train(
            booster_settings(unfitted),
            train,
            num_boost_round=rounds or unfitted.get_num_boosting_rounds(),
            evals=[(matrix, "validation") for matrix in validation] if stops else (),
            early_stopping_rounds=unfitted.early_stopping_rounds if stops else None,
            verbose_eval=False,
            callbacks=_callbacks(beat, unfitted.learning_rate or 0.3, comparable(self, data.target)) if stops else None,
        )
        booster = booster[: booster.best_iteration + 1] if stops else booster
        finish_booster(booster, data.target)
        return booster, booster.num_boosted_rounds()

    def predict(self, estimator: Booster, X: Matrix) -> FloatArray:
        kind = "margin" if estimator.attr(GIVES) == MARGINS else "value"
        # The encoder makes no other width.
        return np.asarray(estimator.inplace_predict(X, predict_type=kind, validate_features=False), np.float64)

    def contributions(self, estimator: Booster, X: Matrix, categorical: Sequence[bool]) -> FloatArray:
        from xgboost import DMatrix

        kinds = feature_kinds(categorical) if isinstance(X, np.ndarray) else None
        rows = DMatrix(X, feature_types=kinds, enable_categorical=True)
        return np.asarray(estimator.predict(rows, pred_contribs=True)[..., :-1], np.float64)

    def for_few_rows(self, estimator: Booster, categories: Mapping[int, int] | None) -> Estimator:
        trees = None if categories is None else tree_arrays(estimator, categories)
        if trees is not None:
            return trees
        single = estimator.copy()
        single.set_param({"nthread": 1})
        return single

    def dump(self, estimator: Booster) -> bytes:
        return bytes(estimator.save_raw("ubj"))

    def is_dump(self, data: bytes) -> bool:
        return data.startswith(b"{") and len(data) >= SMALLEST_BOOSTER  # XGBoost ends the process over an empty one

    def parse(self, data: bytes) -> Booster:
        import xgboost

        booster = xgboost.Booster()
        try:
            booster.load_model(bytearray(data))
        except xgboost.core.XGBoostError:
            raise damaged() from None
        return booster


def feature_kinds(categorical: Sequence[bool]) -> list[str] | None:
    """XGBoost's feature types of dense columns: `c` for categories, `q` for quantities."""
    return ["c" if is_category else "q" for is_category in categorical] or None


def booster_settings(regressor: XGBRegressor) -> dict[str, Any]:
    """What `xgboost.train` takes of a regressor of XGBoost."""
    return {name: value for name, value in regressor.get_xgb_params().items() if value is not None}


def finish_booster(booster: Booster, target: TargetKind) -> None:
    """Note in a fitted Booster what `predict` has to ask it for."""
    if target.is_classifier:
        booster.set_attr(**{GIVES: MARGINS})


def _callbacks(beat: float, learning_rate: float, metric: str | None) -> list[TrainingCallback] | None:
    """`metric`: XGBoost's name of the one that `beat` is of; None where it has none."""
    return [_gives_up(beat, learning_rate, metric)] if metric and beat < math.inf else None


def _gives_up(beat: float, learning_rate: float, metric: str) -> TrainingCallback:
    from xgboost.callback import TrainingCallback

    class GivesUp(TrainingCallback):
        def __init__(self) -> None:
            self.course = Course(beat, learning_rate)

        def after_iteration(self, model: Booster, epoch: int, evals_log: Any) -> bool:
            losses = evals_log["validation"].get(metric)
            return bool(losses) and self.course.is_hopeless(losses[-1])  # another metric may stop it early

    return GivesUp()
