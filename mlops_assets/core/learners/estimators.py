"""Build, fit and predict with any model type; the only place that knows how estimators differ.

The same data, parameters and seed give the same predictions bit for bit, whatever the number of threads.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from mlops_assets.core.features.one_hot import Entries
from mlops_assets.core.learners.model_types import ModelType
from mlops_assets.core.learners.out_of_core import external_matrix, fit_line
from mlops_assets.core.learners.tree_arrays import TreeArrays, tree_arrays
from mlops_assets.core.types import Estimator, FloatArray, LinearModel, MatrixKind
from mlops_assets.errors import ModelError

if TYPE_CHECKING:
    from xgboost import Booster, DMatrix, XGBRegressor
    from xgboost.callback import TrainingCallback

    from mlops_assets.core.types import Matrix

FEW_ROWS = 64
ONE_THREAD_ROWS = 20_000  # of XGBoost; two threads take as long, for twice the CPU, and on fewer rows longer
SETTLED = 2.0  # over the learning rate: so many rounds, and the first steep fall is over
MOST_TO_COME = 3.0
_LEAST_SQUARES = ("sklearn.linear_model.LinearRegression", "sklearn.linear_model.Ridge")


@dataclass(frozen=True, eq=False)
class FitData:
    """Rows to learn from: X (n, m), y (n,), and for a trial the validation rows that stop XGBoost early.

    `categorical`: for each column of a dense X, whether it holds category codes; a sparse X has none.
    `spill`: a folder for what a fit keeps on disk; with one, X in mapped files stays there (`learns_from_disk`).
    """

    X: Matrix
    y: FloatArray
    categorical: Sequence[bool] = ()
    validation: tuple[Matrix, FloatArray] | None = None
    spill: Path | None = None
    _binned: dict[int | None, list[DMatrix]] = field(default_factory=dict, init=False, repr=False)

    @property
    def categories(self) -> Sequence[bool]:
        return self.categorical if isinstance(self.X, np.ndarray) else ()

    def binned(self, max_bin: int | None) -> list[DMatrix]:
        """Training rows in XGBoost's bins, and validation rows if there are any; shared by all trials."""
        if max_bin not in self._binned:
            from xgboost import DMatrix, QuantileDMatrix

            kinds = feature_kinds(self.categories)
            matrices: list[DMatrix] = []
            if self.spill:
                matrices.append(external_matrix(self.X, self.y, kinds, max_bin, self.spill))
            else:
                binned = QuantileDMatrix(self.X, self.y, max_bin=max_bin, feature_types=kinds, enable_categorical=True)
                matrices.append(binned)
            if self.validation:
                # Not binned: each round's tree goes over plain numbers three times as fast, to the same leaves.
                matrices.append(DMatrix(*self.validation, feature_types=kinds, enable_categorical=True))
            self._binned.clear()  # one set of bins at a time, or a search over max_bin would hold them all
            self._binned[max_bin] = matrices
        return self._binned[max_bin]


@dataclass(frozen=True)
class Fitted:
    """A fitted estimator; `rounds` is the number of trees XGBoost kept, None for others.

    `shares`: over how many processes its rows were divided.
    """

    estimator: Estimator
    params: dict[str, Any]
    rounds: int | None
    seconds: float
    shares: int = 1


def feature_kinds(categorical: Sequence[bool]) -> list[str] | None:
    """XGBoost's feature types of dense columns: `c` for categories, `q` for quantities."""
    return ["c" if is_category else "q" for is_category in categorical] or None


def build(
    model_type: ModelType,
    params: Mapping[str, Any],
    *,
    seed: int,
    threads: int,
    categorical: Sequence[bool] = (),
) -> Any:
    """An unfitted estimator; `categorical` is for those of scikit-learn, XGBoost takes it with its data.

    Raises ModelError where the model type has no such parameter.
    """
    cls = model_type.load_class()
    defaults = cls().get_params(deep=False)
    for name in params:
        if name not in defaults:
            close = get_close_matches(name, defaults, n=1)
            hint = f"did you mean {close[0]}?" if close else f"its parameters: {', '.join(defaults)}"
            raise ModelError(f"{model_type.name} has no parameter '{name}': {hint}")
    ours: dict[str, Any] = {"random_state": seed, "n_jobs": threads}
    if model_type.is_xgboost:
        ours["tree_method"] = "hist"
    elif any(categorical):
        ours["categorical_features"] = list(categorical)
    return cls(**{name: value for name, value in ours.items() if name in defaults} | dict(params))


def fit(
    model_type: ModelType,
    params: Mapping[str, Any],
    data: FitData,
    *,
    seed: int,
    threads: int,
    rounds: int | None = None,
    beat: float = math.inf,
) -> Fitted:
    """Fit on `data`.

    XGBoost stops early on `data.validation`, sooner where it will not come below the RMSE `beat`, or grows exactly
    `rounds` trees where given, as a final fit does: the rounds of its best trial, never judged on rows that it learns
    from.
    """
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    started = time.perf_counter()
    if model_type.is_xgboost and data.X.shape[0] <= ONE_THREAD_ROWS:
        threads = 1
    # BLAS sums in an order that depends on its threads; OpenMP here does not.
    fitted: Estimator
    with threadpool_limits({"openmp": threads, "blas": 1}), warnings.catch_warnings():
        # A fit that ran out of iterations is judged by its loss, like any other.
        warnings.simplefilter("ignore", ConvergenceWarning)
        if model_type.is_xgboost:
            fitted = booster = _fit_xgboost(build(model_type, params, seed=seed, threads=threads), data, rounds, beat)
            rounds = booster.num_boosted_rounds()
        else:
            categorical = _few_values(data, params.get("max_bins", 255))
            estimator = build(model_type, params, seed=seed, threads=threads, categorical=categorical)
            fitted = fit_line(estimator, data.X, data.y) if data.spill else _fit_sklearn(estimator, data)
            rounds = None
    return Fitted(fitted, dict(params), rounds, time.perf_counter() - started)


def learns_from_disk(model_type: ModelType, params: Mapping[str, Any]) -> bool:
    """Whether it can be fitted on rows in mapped files without holding them: XGBoost, and lines by least squares."""
    is_line = model_type.import_path in _LEAST_SQUARES and model_type.matrix == "one_hot"
    return model_type.is_xgboost or (is_line and params.keys() <= {"alpha", "fit_intercept"})


def predict(estimator: Estimator, X: Matrix | Entries) -> FloatArray:
    """Predictions (n,) float64 of a matrix of the kind the estimator was fitted on."""
    prediction: Any
    if is_linear(estimator):
        prediction = np.asarray(X @ estimator.coef_) + estimator.intercept_  # scikit-learn would check a row for longer
    else:
        rows = X.csr() if isinstance(X, Entries) else X
        if is_booster(estimator):
            prediction = estimator.inplace_predict(rows, validate_features=False)  # the encoder makes no other width
        else:
            # In single precision, BLAS gives a row another sum than it has among others.
            prediction = estimator.predict(rows.astype(np.float64))
    return np.asarray(prediction, np.float64).reshape(X.shape[0])


def is_booster(estimator: Estimator) -> TypeGuard[Booster]:
    return hasattr(estimator, "inplace_predict")


def is_linear(estimator: Estimator) -> TypeGuard[LinearModel]:
    """Whether its prediction is known to be X @ coef_ + intercept_ and nothing else."""
    return _is_line(type(estimator)) and np.ndim(getattr(estimator, "coef_", 0.0)) == 1


@cache
def _is_line(cls: type) -> bool:
    from sklearn import linear_model as linear

    return issubclass(cls, linear.LinearRegression | linear.Ridge | linear.ElasticNet | linear.Lars)


def for_few_rows(estimator: Estimator, categories: Mapping[int, int] | None) -> Estimator:
    """An estimator with equal predictions that answers up to FEW_ROWS sooner.

    `categories`: how many a categorical column has, by its place in the dense matrix; None for a sparse one.
    """
    if not is_booster(estimator):
        return estimator
    trees = None if categories is None else tree_arrays(estimator, categories)
    if trees is not None:
        return trees
    single = estimator.copy()
    single.set_param({"nthread": 1})  # waking threads costs more than a few rows
    return single


def for_one_row(few: Estimator, matrix: MatrixKind, width: int) -> Callable[[Any], float]:
    """What predicts a row of a matrix of this kind and width, as `few`, an estimator for few rows, does.

    A line may add the same terms in another order.
    """
    if isinstance(few, TreeArrays):
        return few.predict_row
    if matrix == "dense":
        return lambda row: float(predict(few, np.array([row], np.float32))[0])
    if not is_linear(few):
        return lambda row: float(predict(few, Entries.of_row(row, width))[0])
    weights, intercept = few.coef_.tolist(), float(few.intercept_)
    return lambda row: sum([weights[place] * value for place, value in row.items()], intercept)


def booster_settings(regressor: XGBRegressor) -> dict[str, Any]:
    """What `xgboost.train` takes of a regressor of XGBoost."""
    return {name: value for name, value in regressor.get_xgb_params().items() if value is not None}


def _fit_xgboost(regressor: XGBRegressor, data: FitData, rounds: int | None, beat: float) -> Booster:
    """A Booster with exactly the trees that predict: those of the best round, or `rounds`."""
    import xgboost

    train, *validation = data.binned(regressor.max_bin)
    stops = regressor.early_stopping_rounds is not None and rounds is None
    if stops and not validation:
        raise ModelError("XGBoost cannot stop early without validation rows: give them, or the number of rounds")
    booster = xgboost.train(
        booster_settings(regressor),
        train,
        num_boost_round=rounds or regressor.n_estimators or 100,
        evals=[(matrix, "validation") for matrix in validation] if stops else (),
        early_stopping_rounds=regressor.early_stopping_rounds if stops else None,
        verbose_eval=False,
        callbacks=[_gives_up(beat, regressor.learning_rate or 0.3)] if stops and beat < math.inf else None,
    )
    return booster[: booster.best_iteration + 1] if stops else booster


def _gives_up(beat: float, learning_rate: float) -> TrainingCallback:
    """Ends a fit whose RMSE on validation rows will not come below `beat`, seen from its own course.

    Where the error above its limit falls like one over the rounds, as much is still to come as the last half of them
    has brought. It falls more slowly, and unevenly: MOST_TO_COME times as much is left to hope for. To compare with the
    best trial at the same round, as successive halving does, ends those that learn slowly, which often win.
    """
    from xgboost.callback import TrainingCallback

    first = SETTLED / learning_rate

    class GivesUp(TrainingCallback):
        def __init__(self) -> None:
            self.lowest: list[float] = []

        def after_iteration(self, model: Booster, epoch: int, evals_log: Any) -> bool:
            losses = evals_log["validation"].get("rmse")
            if not losses:  # another metric stops it early
                return False
            self.lowest.append(min([losses[-1], *self.lowest[-1:]]))
            now, half = self.lowest[-1], self.lowest[(epoch - 1) // 2]
            return epoch >= first and now - MOST_TO_COME * (half - now) > beat

    return GivesUp()


def _fit_sklearn(estimator: Any, data: FitData) -> Estimator:
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.utils import get_tags

    takes_missing = get_tags(estimator).input_tags.allow_nan or not isinstance(data.X, np.ndarray)
    fitted: Any = estimator if takes_missing else make_pipeline(SimpleImputer(keep_empty_features=True), estimator)
    fitted.fit(_writable(data.X), data.y)
    if hasattr(estimator, "n_jobs"):
        # A forest adds its trees up in the order in which threads finish: one thread predicts.
        estimator.n_jobs = None
    regressor: Estimator = fitted
    return regressor


def _few_values(data: FitData, most: int) -> list[bool]:
    """The categorical columns, without those of more values than scikit-learn takes as categories."""
    X = data.X
    if not isinstance(X, np.ndarray):
        return []
    return [
        is_category and len(np.unique(X[~np.isnan(X[:, place]), place])) <= most
        for place, is_category in enumerate(data.categorical)
    ]


def _writable(X: Matrix) -> Matrix:
    """scikit-learn refuses read-only memory, such as a mapped file, where it holds a missing value."""
    return X.copy() if isinstance(X, np.ndarray) and not X.flags.writeable else X
