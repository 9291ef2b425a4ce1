"""LightGBM: early stopping, native categories, models as text."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops_assets.core.learners.libraries.library import (
    FEW_ROWS,
    Course,
    Goal,
    comparable,
    damaged,
    validation_rows,
    with_values,
)
from mlops_assets.core.targets.metrics import TWEEDIE_POWER
from mlops_assets.core.types import Estimator, FloatArray

if TYPE_CHECKING:
    from lightgbm import Booster, LGBMModel

    from mlops_assets.core.learners.estimators import FitData
    from mlops_assets.core.targets.kind import TargetKind
    from mlops_assets.core.types import Matrix

_NOT_OF_TRAIN = ("n_estimators", "early_stopping_rounds", "class_weight", "importance_type")  # of `get_params`
_GOALS: Mapping[str, Goal] = {
    "rmse": Goal({"metric": "rmse"}, "rmse"),
    "mae": Goal({"objective": "regression_l1"}, "l1"),
    "rmsle": Goal({"metric": "rmse"}, None),
    "pinball": Goal({"objective": "quantile"}, None),
    "poisson": Goal({"objective": "poisson"}, None),
    "tweedie": Goal({"objective": "tweedie", "tweedie_variance_power": TWEEDIE_POWER}, None),
    "binary": Goal({"objective": "binary"}, "binary_logloss"),
    "multiclass": Goal({"objective": "multiclass"}, "multi_logloss"),
}
_OF_CLASSES = ("binary", "multiclass")  # objectives whose raw output is asked for
_END = b"pandas_categorical:null\n"
_SIZES = re.compile(rb"^tree\n(?:[a-z_]+(?:=.*)?\n)*?tree_sizes=([\d ]*)\n\n")


class LightGBM:
    """Its fitted estimators are Boosters with exactly the trees that predict, read back from their text."""

    estimator, classifier = "lightgbm.LGBMRegressor", "lightgbm.LGBMClassifier"
    packages: tuple[str, ...] = ("lightgbm",)
    file = "estimator.lightgbm.txt"
    more_parameters: tuple[str, ...] = ("early_stopping_rounds", "cat_smooth", "cat_l2", "min_data_per_group")

    def settings(self, seed: int, threads: int) -> dict[str, Any]:
        # By columns, sums do not depend on how rows are divided over threads.
        fixed = {"deterministic": True, "force_col_wise": True, "verbosity": -1}
        return {"random_state": seed, "n_jobs": threads} | fixed

    def objective(self, target: TargetKind) -> Goal:
        return with_values(_GOALS, target, quantile="alpha", classes="num_class")

    def fit(self, unfitted: LGBMModel, data: FitData, rounds: int | None, beat: float) -> tuple[Booster, int]:
        import lightgbm

        given = unfitted.get_params()
        params = {name: value for name, value in given.items() if value is not None and name not in _NOT_OF_TRAIN}
        patience = given.get("early_stopping_rounds")
        held = validation_rows("LightGBM", data, patience is not None and rounds is None)
        categories = [place for place, is_category in enumerate(data.categories) if is_category]
        train = lightgbm.Dataset(data.X, data.y, weight=data.weights, categorical_feature=categories, params=params)
        booster = lightgbm.train(
            params,
            train,
            num_boost_round=rounds or unfitted.n_estimators,
            valid_sets=[lightgbm.Dataset(*held, reference=train, params=params)] if held else None,
            callbacks=_callbacks(int(patience), beat, unfitted.learning_rate, comparable(self, data.target))
            if held and patience
            else None,
        )
        kept = booster.best_iteration if held and booster.best_iteration > 0 else booster.current_iteration()
        return self.parse(booster.model_to_string(num_iteration=kept).encode()), kept

    def predict(self, estimator: Booster, X: Matrix) -> FloatArray:
        margins = estimator.params.get("objective") in _OF_CLASSES
        threads = 1 if X.shape[0] <= FEW_ROWS else 0
        return np.asarray(estimator.predict(X, raw_score=margins, num_threads=threads), np.float64)

    def contributions(self, estimator: Booster, X: Matrix, categorical: Sequence[bool]) -> FloatArray:
        found: Any = estimator.predict(X, pred_contrib=True)
        if not isinstance(X, np.ndarray):  # sparse too, of several classes a list
            found = np.hstack([part.toarray() for part in (found if isinstance(found, list) else [found])])
        of_classes = np.asarray(found, np.float64).reshape(X.shape[0], -1, X.shape[1] + 1)[..., :-1]
        return of_classes[:, 0] if of_classes.shape[1] == 1 else of_classes

    def for_few_rows(self, estimator: Booster, categories: Mapping[int, int] | None) -> Estimator:
        return estimator

    def dump(self, estimator: Booster) -> bytes:
        return estimator.model_to_string().encode()

    def is_dump(self, data: bytes) -> bool:
        """A text that names the length of each of its trees, holds these, and ends as one does."""
        found = _SIZES.match(data)
        return found is not None and found.end() + sum(map(int, found[1].split())) <= len(data) and data.endswith(_END)

    def parse(self, data: bytes) -> Booster:
        import lightgbm

        try:
            return lightgbm.Booster(model_str=data.decode())
        except (lightgbm.basic.LightGBMError, UnicodeDecodeError):
            raise damaged() from None


def _callbacks(patience: int, beat: float, learning_rate: float, metric: str | None) -> list[Any]:
    """`metric`: LightGBM's name of the one that `beat` is of; None where it has none."""
    from lightgbm import callback

    course = Course(beat, learning_rate)

    def gives_up(env: Any) -> None:
        found = env.evaluation_result_list
        if found[0][1] == metric and course.is_hopeless(found[0][2]):  # another metric may stop it early
            raise callback.EarlyStopException(env.iteration, found)

    stops = callback.early_stopping(patience, verbose=False)
    return [stops, gives_up] if metric and beat < math.inf else [stops]
