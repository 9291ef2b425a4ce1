"""Quantiles of the target given the inputs, by boosted trees: what intervals are made of where the YAML asks for it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mlops_assets.core.columns import Columns, Row
from mlops_assets.core.features.encoder import ENCODER_PARTS, Encoder
from mlops_assets.core.learners.estimators import FitData, fit, for_few_rows, for_one_row, predict
from mlops_assets.core.learners.libraries.library import FEW_ROWS
from mlops_assets.core.learners.model_types import resolve_model_type
from mlops_assets.core.learners.persistence import dump_estimator, parse_estimator
from mlops_assets.core.state import load_state
from mlops_assets.core.targets.intervals import INTERVAL_PARTS, Intervals
from mlops_assets.core.targets.numbers import Number
from mlops_assets.core.types import Array, Estimator, FloatArray, SingleArray
from mlops_assets.dataset.target import Target

ROUNDS = 100
KEPT = 2  # of the fits of this process: those on the train split, and on all that a final model learns from
PARAMETERS = {"learning_rate": 0.2, "max_depth": 4, "min_child_weight": 20}  # rows of a leaf: one lies in a tail
_RECENT: dict[str, tuple[Array, ...]] = {}


@dataclass(frozen=True, eq=False)
class QuantileTrees:
    """XGBoost at the low and at the high quantile, and the encoder of its matrix."""

    encoder: Encoder
    low: Array  # uint8, a Booster in XGBoost's own format
    high: Array

    @classmethod
    def fit(cls, encoder: Encoder, data: FitData, coverage: float, *, seed: int, threads: int) -> QuantileTrees:
        """Learnt from a dense matrix that the encoder has made.

        They are the same whatever the model type, so they are fitted once a process on the same rows.
        """
        key = _digest_of(data, coverage, seed)
        if key not in _RECENT:
            tail = (1 - coverage) / 2
            fitted = tuple(_at_quantile(each, data, seed, threads) for each in (tail, 1 - tail))
            while len(_RECENT) >= KEPT:
                del _RECENT[next(iter(_RECENT))]
            _RECENT[key] = fitted
        low, high = _RECENT[key]
        return cls(encoder, low, high)

    def ends(self, features: Columns) -> FloatArray:
        """The low and the high quantile (n, 2) of rows, by their derived features, on the scale of what is learnt."""
        return self.ends_of(self.encoder.dense(features, self.encoder.codes(features)))

    def ends_of(self, X: SingleArray) -> FloatArray:
        """The same of their dense matrix (n, width)."""
        asked = self._few if len(X) <= FEW_ROWS else self._whole
        return np.stack([predict(estimator, X) for estimator in asked], axis=1)

    def ends_row(self, features: Row) -> tuple[float, float]:
        row = self.encoder.matrix_row(features, self.encoder.codes_row(features), "dense")
        low, high = self._alone
        return low(row), high(row)

    @cached_property
    def _whole(self) -> list[Estimator]:
        return [parse_estimator(trees.tobytes()) for trees in (self.low, self.high)]

    @cached_property
    def _few(self) -> list[Estimator]:
        return [for_few_rows(estimator, self.encoder.dense_sizes) for estimator in self._whole]

    @cached_property
    def _alone(self) -> list[Callable[[Any], Any]]:
        return [for_one_row(few, "dense", len(self.encoder.dense_names)) for few in self._few]


def _at_quantile(quantile: float, data: FitData, seed: int, threads: int) -> Array:
    at = Target(column="target", metric="pinball", quantile=quantile)
    xgboost = resolve_model_type("XGBoost", target=Number.of(at))
    fitted = fit(xgboost, PARAMETERS, data, rounds=ROUNDS, seed=seed, threads=threads)
    return np.frombuffer(dump_estimator(fitted.estimator), np.uint8)


def _digest_of(data: FitData, *more: float) -> str:
    """Of all that quantiles are learnt from."""
    found = hashlib.blake2b(repr((*more, *data.categorical)).encode())
    for array in (data.X, data.y, data.weights):
        if array is not None:
            found.update(np.ascontiguousarray(array).reshape(-1).data)
    return found.hexdigest()


def load_intervals(folder: Path) -> Intervals:
    """What `Intervals.save` wrote; raises ModelError."""
    return load_state(folder, "intervals", (*INTERVAL_PARTS, QuantileTrees, *ENCODER_PARTS))
