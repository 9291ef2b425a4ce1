"""What each feature adds to a prediction; base and contributions sum to it exactly.

XGBoost: TreeSHAP (Lundberg et al., 2020). Linear models: coefficient times the deviation from the training mean.
Others: Shapley values against one typical training row, over seeded permutations (Castro et al., 2009).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops_assets.core.features.encoder import Encoder, MatrixKind
from mlops_assets.core.learners.estimators import feature_kinds, is_booster, is_linear, predict
from mlops_assets.core.state import load_state, save_state
from mlops_assets.dataset import Features
from mlops_assets.errors import ModelError

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    Matrix = csr_matrix | np.ndarray

PERMUTATIONS = 8  # and the reverse of each, which halves the error for smooth models
SEED = 0
TYPICAL_OF = 2_000  # training rows among which the typical one is sought


@dataclass(frozen=True, eq=False)
class Contributions:
    """Of n predictions: `values` (n, m) of the features `names`, and `base` (n,), in the target's unit."""

    names: tuple[str, ...]
    values: np.ndarray
    base: np.ndarray


@dataclass(frozen=True, eq=False)
class Background:
    """What a row is compared with, a row (width,) of the matrix: the training mean, or a typical training row."""

    row: np.ndarray

    def save(self, folder: Path) -> None:
        save_state(self, folder, "background")

    @classmethod
    def load(cls, folder: Path) -> Background:
        return load_state(folder, "background", (cls,))


def learn_background(estimator: Any, X: Matrix) -> Background | None:
    """From the training matrix (n, width); XGBoost needs none, its trees know how rows were spread over them."""
    if is_booster(estimator):
        return None
    if is_linear(estimator):
        return Background(_mean(X))
    rows = X.shape[0]
    some = X[np.arange(min(rows, TYPICAL_OF)) * rows // min(rows, TYPICAL_OF)]
    prediction = predict(estimator, some)
    typical = int(np.abs(prediction - prediction.mean()).argmin())
    return Background(_dense(some[[typical]])[0])


def _mean(X: Matrix) -> np.ndarray:
    """The mean row (width,); SciPy's own would copy a sparse matrix, which may be larger than memory."""
    if isinstance(X, np.ndarray):
        return X.mean(axis=0, dtype=np.float64)
    return X.T @ np.full(X.shape[0], 1 / X.shape[0])


def explain(
    estimator: Any, X: Matrix, encoder: Encoder, kind: MatrixKind, features: Features, background: Background | None
) -> Contributions:
    """Contributions to the predictions of the rows of a matrix.

    Raises ModelError where the model was saved without the background that its kind needs.
    """
    labels = _one_hot_labels(encoder, features) if kind == "one_hot" else _dense_labels(encoder, features)
    names = tuple(dict.fromkeys(labels))
    place = {name: number for number, name in enumerate(names)}
    groups = np.array([place[label] for label in labels], np.int64)
    if is_booster(estimator):
        return _of_trees(estimator, X, encoder, names, groups)
    if background is None:
        raise ModelError("this model was saved without what explains its answers: use the version of a final model")
    if is_linear(estimator):
        return _of_line(estimator, X, names, groups, background.row)
    return _of_any(estimator, X, names, groups, background.row)


def _of_trees(booster: Any, X: np.ndarray, encoder: Encoder, names: tuple[str, ...], groups: np.ndarray):
    from xgboost import DMatrix

    kinds = feature_kinds(encoder.dense_categorical) if isinstance(X, np.ndarray) else None
    rows = DMatrix(X, feature_types=kinds, enable_categorical=True)
    each = booster.predict(rows, pred_contribs=True)[:, :-1].astype(np.float64)
    values = each @ _membership(groups, len(names))
    # XGBoost sums in single precision: what that loses goes to the base.
    return Contributions(names, values, predict(booster, X) - values.sum(axis=1))


def _of_line(estimator: Any, X: Matrix, names: tuple[str, ...], groups: np.ndarray, mean: np.ndarray):
    weights = _membership(groups, len(names)) * estimator.coef_[:, None]
    base = float(estimator.intercept_ + mean @ estimator.coef_)
    return Contributions(names, X @ weights - mean @ weights, np.full(X.shape[0], base))


def _of_any(estimator: Any, X: Matrix, names: tuple[str, ...], groups: np.ndarray, reference: np.ndarray):
    """Features go from the reference row's value to the row's own in a random order; each is given its step."""
    rng = np.random.default_rng(SEED)
    some = [rng.permutation(len(names)) for _ in range(PERMUTATIONS)]
    orders = np.array([*some, *(order[::-1] for order in some)])
    own = np.arange(len(names) + 1)[:, None] > orders.argsort(axis=1)[:, None, :]  # (orders, steps, names)
    own = own.reshape(-1, len(names))[:, groups]
    values = np.empty((X.shape[0], len(names)))
    for number in range(X.shape[0]):
        path = np.where(own, _dense(X[[number]])[0], reference)
        steps = np.diff(predict(estimator, _like(X, path)).reshape(len(orders), -1), axis=1)
        values[number] = np.take_along_axis(steps, orders.argsort(axis=1), axis=1).mean(axis=0)
    base = predict(estimator, _like(X, reference[None, :]))[0]
    return Contributions(names, values, np.full(X.shape[0], base))


def _membership(groups: np.ndarray, count: int) -> np.ndarray:
    """(width, count): 1 where a matrix column belongs to a feature."""
    return np.equal.outer(groups, np.arange(count)).astype(np.float64)


def _dense(X: Matrix) -> np.ndarray:
    return X if isinstance(X, np.ndarray) else X.toarray()


def _like(X: Matrix, rows: np.ndarray) -> Matrix:
    return rows.astype(X.dtype) if isinstance(X, np.ndarray) else type(X)(rows)


def _dense_labels(encoder: Encoder, features: Features) -> list[str]:
    labels = [_label([name], features) for name in (*encoder.categorical, *encoder.numbers)]
    means = encoder.group_means
    for key in means.keys if means else ():
        labels += [_label([token.name for token in key.tokens], features)] * len(key.default)
    if means and means.scale:
        labels += [_label([means.relative_to, *(token.name for token in means.scale.tokens)], features)] * 2
    return labels


def _one_hot_labels(encoder: Encoder, features: Features) -> list[str]:
    one_hot = encoder.one_hot_encoder
    labels = [_label(block.names, features) for block in one_hot.blocks for _ in block.ids]
    return labels + [_label([scale.name], features) for scale in one_hot.scales for _ in range(scale.width)]


def _label(names: list[str] | tuple[str, ...], features: Features) -> str:
    """Features as people call them: all parts of a time by its own name, several joined by `and`."""
    times = {f"{alias}_{part}": alias for alias, calendar in features.calendar.items() for part in calendar.parts}
    order = [*features.categories, *features.numbers, *features.calendar]
    *first, last = sorted({times.get(name, name) for name in names}, key=order.index)
    return f"{', '.join(first)} and {last}" if first else last
