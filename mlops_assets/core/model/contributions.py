"""What each feature adds to a prediction; base and contributions sum to it exactly.

Boosted trees: TreeSHAP (Lundberg et al., 2020). Linear models: coefficient times the deviation from the training mean.
Others: Shapley values against one typical training row, over seeded permutations (Castro et al., 2009).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops_assets.core.columns import evenly_spread
from mlops_assets.core.features.encoder import Encoder
from mlops_assets.core.learners.ensemble import Ensemble
from mlops_assets.core.learners.estimators import is_linear, predict
from mlops_assets.core.learners.libraries import library_of
from mlops_assets.core.learners.libraries.library import Library
from mlops_assets.core.state import load_state, save_state
from mlops_assets.core.types import (
    AnyMatrix,
    Array,
    BoolArray,
    Estimator,
    FloatArray,
    IntArray,
    LinearModel,
    of_kind,
)
from mlops_assets.dataset import Features
from mlops_assets.errors import ModelError

if TYPE_CHECKING:
    from mlops_assets.core.types import Matrix

PERMUTATIONS = 8  # and the reverse of each, which halves the error for smooth models
SEED = 0
TYPICAL_OF = 2_000  # training rows among which the typical one is sought


@dataclass(frozen=True, eq=False)
class Contributions:
    """Of n predictions: `values` (n, m) of the features `names`, and `base` (n,), in the unit of the raw output.

    Of classes that is log-odds: of the second of two, of the likeliest of more.
    """

    names: tuple[str, ...]
    values: FloatArray
    base: FloatArray


@dataclass(frozen=True, eq=False)
class Background:
    """What a row is compared with, a row (width,) of the matrix: the training mean, or a typical training row.

    Of an ensemble, those of its `members`, None for those that need none.
    """

    row: Array | None
    members: tuple[Background | None, ...] = ()

    def save(self, folder: Path) -> None:
        save_state(self, folder, "background")

    @classmethod
    def load(cls, folder: Path) -> Background:
        return load_state(folder, "background", (cls,))


def learn_background(estimator: Estimator, X: Matrix) -> Background | None:
    """From the training matrix (n, width); boosted trees need none, they know how rows were spread over them."""
    if library_of(estimator):
        return None
    if is_linear(estimator):
        return Background(_mean(X))
    sample = X[evenly_spread(X.shape[0], TYPICAL_OF)]
    prediction = predict(estimator, sample)
    apart = np.abs(prediction - prediction.mean(axis=0))
    typical = int((apart if apart.ndim == 1 else apart.sum(axis=1)).argmin())
    return Background(_dense(sample[[typical]])[0])


def _mean(X: Matrix) -> FloatArray:
    """The mean row (width,); SciPy's own would copy a sparse matrix, which may be larger than memory."""
    if isinstance(X, np.ndarray):
        mean: FloatArray = X.mean(axis=0, dtype=np.float64)
        return mean
    return np.asarray(X.T @ np.full(X.shape[0], 1 / X.shape[0]))


def explain(
    estimator: Estimator,
    X: Any,
    encoder: Encoder,
    kind: AnyMatrix,
    features: Features,
    background: Background | None,
    of_class: IntArray | None = None,
) -> Contributions:
    """Contributions to the predictions of the rows of a matrix; of more than two classes, for each row's `of_class`.

    Raises ModelError where the model was saved without the background that its kind needs.
    """
    if isinstance(estimator, Ensemble):
        return _of_ensemble(estimator, X, encoder, features, background)
    labels = _one_hot_labels(encoder, features) if kind == "one_hot" else _dense_labels(encoder, features)
    names = tuple(dict.fromkeys(labels))
    place = {name: number for number, name in enumerate(names)}
    groups = np.array([place[label] for label in labels], np.int64)
    if library := library_of(estimator):
        return _of_trees(library, estimator, X, encoder, names, groups, of_class)
    if background is None or background.row is None:
        raise ModelError("this model was saved without what explains its answers: use the version of a final model")
    if is_linear(estimator):
        return _of_linear(estimator, X, names, groups, background.row)
    return _of_any(estimator, X, names, groups, background.row, of_class)


def is_exact(estimator: Estimator) -> bool:
    """Whether contributions are computed, and not sampled."""
    if isinstance(estimator, Ensemble):
        return all(is_exact(member.estimator) for member in estimator.members)
    return library_of(estimator) is not None or is_linear(estimator)


def _of_ensemble(
    ensemble: Ensemble, X: Any, encoder: Encoder, features: Features, background: Background | None
) -> Contributions:
    """The weighted sum of the members' contributions."""
    members = ensemble.members
    backgrounds = background.members if background else (None,) * len(members)
    raw = predict(ensemble, X)
    of_class = _likeliest(raw)
    found = [
        explain(member.estimator, of_kind(X, member.matrix), encoder, member.matrix, features, its, of_class)
        for member, its in zip(members, backgrounds, strict=True)
    ]
    names = tuple(dict.fromkeys(name for part in found for name in part.names))
    values = np.zeros((len(raw), len(names)))
    for member, part in zip(members, found, strict=True):
        values[:, [names.index(name) for name in part.names]] += member.weight * part.values
    return Contributions(names, values, _of_class(raw, of_class) - values.sum(axis=1))


def _of_trees(
    library: Library,
    estimator: Estimator,
    X: Matrix,
    encoder: Encoder,
    names: tuple[str, ...],
    groups: IntArray,
    of_class: IntArray | None,
) -> Contributions:
    each, raw = library.contributions(estimator, X, encoder.dense_categorical), predict(estimator, X)
    likeliest = _likeliest(raw) if of_class is None else of_class
    values = (each if raw.ndim == 1 else each[np.arange(len(raw)), likeliest]) @ _membership(groups, len(names))
    # Some sum in single precision: what that loses goes to the base.
    return Contributions(names, values, _of_class(raw, likeliest) - values.sum(axis=1))


def _of_linear(
    estimator: LinearModel, X: Matrix, names: tuple[str, ...], groups: IntArray, mean: FloatArray
) -> Contributions:
    weights = _membership(groups, len(names)) * estimator.coef_[:, None]
    base = float(estimator.intercept_ + mean @ estimator.coef_)
    return Contributions(names, np.asarray(X @ weights) - mean @ weights, np.full(X.shape[0], base))


def _of_any(
    estimator: Estimator,
    X: Matrix,
    names: tuple[str, ...],
    groups: IntArray,
    reference: Array,
    of_class: IntArray | None,
) -> Contributions:
    """Features go from the reference row's value to the row's own in a random order; each is given its step."""
    rng = np.random.default_rng(SEED)
    drawn = [rng.permutation(len(names)) for _ in range(PERMUTATIONS)]
    orders = np.array([*drawn, *(order[::-1] for order in drawn)])
    # Whether a feature has the row's own value: (orders, steps, names), then (orders * steps, width).
    is_own: BoolArray = np.arange(len(names) + 1)[:, None] > orders.argsort(axis=1)[:, None, :]
    is_own = is_own.reshape(-1, len(names))[:, groups]
    values = np.empty((X.shape[0], len(names)))
    likeliest = _likeliest(predict(estimator, X)) if of_class is None else of_class
    for number in range(X.shape[0]):
        path = np.where(is_own, _dense(X[[number]])[0], reference)
        raw = predict(estimator, _like(X, path))
        steps = np.diff(_of_class(raw, likeliest[[number]]).reshape(len(orders), -1), axis=1)
        values[number] = np.take_along_axis(steps, orders.argsort(axis=1), axis=1).mean(axis=0)
    base = predict(estimator, _like(X, reference[None, :]))
    return Contributions(names, values, np.full(X.shape[0], base[0]) if base.ndim == 1 else base[0, likeliest])


def _likeliest(raw: FloatArray) -> IntArray:
    """Of more than two classes the one (n,) with the largest margin: the one that is explained."""
    return raw.argmax(axis=1) if raw.ndim == 2 else np.zeros(len(raw), np.int64)


def _of_class(raw: FloatArray, code: IntArray) -> FloatArray:
    """Raw output (n,), of more than two classes that of one; `code` (n,), or (1,) for all rows."""
    return raw if raw.ndim == 1 else np.take_along_axis(raw, np.broadcast_to(code, len(raw))[:, None], axis=1)[:, 0]


def _membership(groups: IntArray, count: int) -> FloatArray:
    """(width, count): 1 where a matrix column belongs to a feature."""
    belongs: BoolArray = np.equal.outer(groups, np.arange(count))
    return belongs.astype(np.float64)


def _dense(X: Matrix) -> Array:
    return X if isinstance(X, np.ndarray) else X.toarray()


def _like(X: Matrix, rows: Array) -> Matrix:
    """Rows (n, width) as a matrix of the kind of X."""
    return rows.astype(X.dtype) if isinstance(X, np.ndarray) else type(X)(rows)


def _dense_labels(encoder: Encoder, features: Features) -> list[str]:
    labels = [_label([name], features) for name in (*encoder.categorical, *encoder.numbers)]
    means = encoder.group_means
    for key in means.keys if means else ():
        labels += [_label([token.name for token in key.tokens], features)] * len(key.default)
    if means and means.scale and means.relative_to:
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
