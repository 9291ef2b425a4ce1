"""CatBoost: symmetric trees, early stopping, models in its own binary format."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops_assets.core.learners.libraries.library import FEW_ROWS, Course, damaged, validation_rows
from mlops_assets.core.types import Estimator, FloatArray

if TYPE_CHECKING:
    from mlops_assets.core.learners.estimators import FitData
    from mlops_assets.core.types import Matrix

_HEAD = struct.Struct("<4sI")  # a mark, and the length of what follows


class CatBoost:
    """Its fitted estimators are models with exactly the trees that predict."""

    packages: tuple[str, ...] = ("catboost",)
    file = "estimator.cbm"
    more_parameters: tuple[str, ...] = ()

    def settings(self, seed: int, threads: int) -> dict[str, Any]:
        fixed = {"allow_writing_files": False, "logging_level": "Silent"}
        return {"random_seed": seed, "thread_count": threads} | fixed

    def fit(self, unfitted: Any, data: FitData, rounds: int | None, beat: float) -> tuple[Estimator, int]:
        params = unfitted.get_params()
        patience = params.pop("early_stopping_rounds", None)
        held = validation_rows("CatBoost", data, patience is not None and rounds is None)
        grown = type(unfitted)(**params | ({"iterations": rounds} if rounds else {}))
        stops = {"eval_set": held, "early_stopping_rounds": patience, "use_best_model": True} if held else {}
        if held and data.target.stops_by == "rmse" and beat < math.inf:
            stops["callbacks"] = [_GivesUp(Course(beat, params.get("learning_rate", 0.03)))]
        grown.fit(data.X, data.y, sample_weight=data.weights, **stops)
        return grown, grown.tree_count_

    def predict(self, estimator: Any, X: Matrix) -> FloatArray:
        return np.asarray(estimator.predict(X, thread_count=1 if X.shape[0] <= FEW_ROWS else -1), np.float64)

    def contributions(self, estimator: Any, X: Matrix, categorical: Sequence[bool]) -> FloatArray:
        from catboost import Pool

        return np.asarray(estimator.get_feature_importance(Pool(X), type="ShapValues")[:, :-1], np.float64)

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
    def __init__(self, course: Course) -> None:
        self._course = course

    def after_iteration(self, info: Any) -> bool:
        """Whether to go on."""
        losses: list[float] = info.metrics["validation"].get("RMSE")
        return not losses or not self._course.is_hopeless(losses[-1])
