"""Build, fit and predict with any model type; the only place that knows how estimators differ.

The same data, parameters and seed give the same predictions bit for bit, whatever the number of threads.
"""

from __future__ import annotations

import inspect
import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from mlops_assets.core.features.one_hot import Entries
from mlops_assets.core.learners.ensemble import Ensemble
from mlops_assets.core.learners.libraries import library_of
from mlops_assets.core.learners.libraries.xgboost import feature_kinds
from mlops_assets.core.learners.model_types import ModelType
from mlops_assets.core.learners.out_of_core import external_matrix, fit_line
from mlops_assets.core.learners.tree_arrays import TreeArrays
from mlops_assets.core.targets.kind import TargetKind
from mlops_assets.core.targets.numbers import NUMBER
from mlops_assets.core.types import AnyMatrix, Both, Estimator, FloatArray, LinearModel, of_kind
from mlops_assets.errors import ModelError

if TYPE_CHECKING:
    from xgboost import DMatrix

    from mlops_assets.core.types import Matrix

SMALLEST_SHARE = 1e-6  # that a forest says of a class whose rows are in none of a row's leaves
ONE_THREAD_ROWS = 20_000  # of boosting; two threads take as long, for twice the CPU, and on fewer rows longer
_LEAST_SQUARES = ("sklearn.linear_model.LinearRegression", "sklearn.linear_model.Ridge")


@dataclass(frozen=True, eq=False)
class FitData:
    """Rows to learn from: X (n, m), y (n,), and for a trial the validation rows that stop boosting early.

    `y` as estimators learn it (`TargetKind.forward`), of validation too; `weights`: of each row (n,), in fits.

    `categorical`: for each column of a dense X, whether it holds category codes; a sparse X has none. `names`: of its
    columns, for model types with constraints.
    `spill`: a folder for what a fit keeps on disk; with one, X in mapped files stays there (`learns_from_disk`).
    """

    X: Matrix
    y: FloatArray
    categorical: Sequence[bool] = ()
    validation: tuple[Matrix, FloatArray] | None = None
    spill: Path | None = None
    weights: FloatArray | None = None
    target: TargetKind = NUMBER
    names: Sequence[str] = ()
    _binned: dict[int | None, list[DMatrix]] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def of(
        cls,
        target: TargetKind,
        X: Matrix,
        y: FloatArray,
        categorical: Sequence[bool] = (),
        validation: tuple[Matrix, FloatArray] | None = None,
        spill: Path | None = None,
        weights: FloatArray | None = None,
        names: Sequence[str] = (),
    ) -> FitData:
        """Of a target's values `y` (n,), and the weights that the dataset gives rows."""
        held = (validation[0], target.forward(validation[1])) if validation else None
        return cls(X, target.forward(y), categorical, held, spill, target.row_weights(y, weights), target, names)

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
                matrices.append(external_matrix(self.X, self.y, kinds, max_bin, self.spill, self.weights))
            else:
                how = {"max_bin": max_bin, "feature_types": kinds, "enable_categorical": True}
                binned = QuantileDMatrix(self.X, self.y, weight=self.weights, **how)
                matrices.append(binned)
            if self.validation:
                # Not binned: each round's tree goes over plain numbers three times as fast, to the same leaves.
                matrices.append(DMatrix(*self.validation, feature_types=kinds, enable_categorical=True))
            self._binned.clear()  # one set of bins at a time, or a search over max_bin would hold them all
            self._binned[max_bin] = matrices
        return self._binned[max_bin]


@dataclass(frozen=True)
class Fitted:
    """A fitted estimator; `rounds` is the number of trees that boosting kept, None for others.

    `shares`: over how many processes its rows were divided.
    """

    estimator: Estimator
    params: dict[str, Any]
    rounds: int | None
    seconds: float
    shares: int = 1


def build(
    model_type: ModelType,
    params: Mapping[str, Any],
    *,
    seed: int,
    threads: int,
    categorical: Sequence[bool] = (),
    constraints: Sequence[int] = (),
) -> Any:
    """An unfitted estimator; `categorical` is for those of scikit-learn, others take it with their data.

    `constraints`: of each column, 1 where predictions must not fall with it, -1 where they must not rise, else 0.

    Raises ModelError where the model type has no such parameter.
    """
    cls, library = model_type.load_class(), model_type.library
    known = [*parameters_of(cls), *(library.more_parameters if library else ())]
    for name in params:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"its parameters: {', '.join(known)}"
            raise ModelError(f"{model_type.name} has no parameter '{name}': {hint}")
    if library:
        # What the parameters themselves say of the objective goes before.
        fixed = {"monotone_constraints": tuple(constraints)} if any(constraints) else {}
        goal = library.objective(model_type.target)
        return cls(**library.settings(seed, threads) | goal.params | fixed | dict(params))
    ours: dict[str, Any] = {"random_state": seed} | ({} if _is_line(cls) else {"n_jobs": threads})
    if any(constraints):
        ours["monotonic_cst"] = list(constraints)
    if any(categorical):
        ours["categorical_features"] = list(categorical)
    return cls(**{name: value for name, value in ours.items() if name in known} | dict(params))


def parameters_of(cls: type) -> list[str]:
    """What an estimator's class takes: by its signature, and by scikit-learn's `get_params` where it has that."""
    by_signature = [name for name, item in inspect.signature(cls).parameters.items() if item.kind != item.VAR_KEYWORD]
    more: Sequence[str] = list(cls().get_params(deep=False)) if hasattr(cls, "get_params") else ()
    return list(dict.fromkeys([*by_signature, *more]))


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

    Boosting stops early on `data.validation`, sooner where its metric will not come below `beat`, or grows exactly
    `rounds` trees where given, as a final fit does: the rounds of its best trial, never judged on rows that it learns
    from.
    """
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    started = time.perf_counter()
    library, constraints = model_type.library, model_type.constraints(data.names)
    if library and data.X.shape[0] <= ONE_THREAD_ROWS:
        threads = 1
    # BLAS sums in an order that depends on its threads; OpenMP here does not.
    fitted: Estimator
    with threadpool_limits({"openmp": threads, "blas": 1}), warnings.catch_warnings():
        # A fit that ran out of iterations is judged by its loss, like any other.
        warnings.simplefilter("ignore", ConvergenceWarning)
        if library:
            estimator = build(model_type, params, seed=seed, threads=threads, constraints=constraints)
            fitted, rounds = library.fit(estimator, data, rounds, beat)
        else:
            categorical = _few_values(data, params.get("max_bins", 255))
            estimator = build(
                model_type, params, seed=seed, threads=threads, categorical=categorical, constraints=constraints
            )
            fitted = (
                fit_line(estimator, data.X, data.y)
                if data.spill and data.weights is None
                else _fit_sklearn(estimator, data)
            )
            rounds = None
    return Fitted(fitted, dict(params), rounds, time.perf_counter() - started)


def learns_from_disk(model_type: ModelType, params: Mapping[str, Any]) -> bool:
    """Whether it can be fitted on rows in mapped files without holding them: XGBoost, and lines by least squares."""
    is_line = model_type.import_path in _LEAST_SQUARES and model_type.matrix == "one_hot"
    return model_type.is_xgboost or (is_line and params.keys() <= {"alpha", "fit_intercept"})


def predict(estimator: Estimator, X: Matrix | Entries | Both) -> FloatArray:
    """Raw output of a matrix of the kind the estimator was fitted on: predictions (n,) float64 of a number.

    Of classes margins: log-odds (n,) of the second of two, (n, k) of more.
    """
    prediction: Any
    if isinstance(estimator, Ensemble):
        return estimator.predict([predict(member.estimator, of_kind(X, member.matrix)) for member in estimator.members])
    if isinstance(X, Both):
        raise TypeError("an estimator that is no ensemble takes one matrix")
    if is_linear(estimator):
        prediction = np.asarray(X @ estimator.coef_) + estimator.intercept_  # scikit-learn would check a row for longer
    else:
        rows = X.csr() if isinstance(X, Entries) else X
        if library := library_of(estimator):
            prediction = library.predict(estimator, rows)
        else:
            # In single precision, BLAS gives a row another sum than it has among others.
            rows = rows.astype(np.float64)
            prediction = _margins(estimator, rows) if hasattr(estimator, "classes_") else estimator.predict(rows)
    raw = np.asarray(prediction, np.float64)
    return raw if raw.ndim == 2 and raw.shape[1] > 1 else raw.reshape(X.shape[0])


def _margins(classifier: Any, rows: Any) -> FloatArray:
    """What a classifier of scikit-learn says before it becomes a probability, or the logarithm of that."""
    if hasattr(classifier, "decision_function"):
        return np.asarray(classifier.decision_function(rows))
    odds = np.log(np.clip(classifier.predict_proba(rows), SMALLEST_SHARE, 1.0))
    return np.asarray(odds[:, 1] - odds[:, 0] if odds.shape[1] == 2 else odds)


def is_linear(estimator: Estimator) -> TypeGuard[LinearModel]:
    """Whether its raw output is known to be X @ coef_ + intercept_ and nothing else."""
    return _is_line(type(estimator)) and np.ndim(getattr(estimator, "coef_", 0.0)) == 1


@cache
def _is_line(cls: type) -> bool:
    from sklearn import linear_model as linear
    from sklearn.svm import LinearSVC

    numbers = linear.LinearRegression | linear.Ridge | linear.ElasticNet | linear.Lars
    is_as_shipped = cls.__module__.startswith("sklearn.")  # a class of the user's own may predict otherwise
    return is_as_shipped and issubclass(cls, numbers | linear.LogisticRegression | LinearSVC)


def for_few_rows(estimator: Estimator, categories: Mapping[int, int] | None) -> Estimator:
    """An estimator with equal predictions that answers up to FEW_ROWS sooner.

    `categories`: how many a categorical column has, by its place in the dense matrix; None for a sparse one.
    """
    if isinstance(estimator, Ensemble):
        sizes = {"dense": categories, "one_hot": None}
        few = (replace(m, estimator=for_few_rows(m.estimator, sizes[m.matrix])) for m in estimator.members)
        return Ensemble(tuple(few))
    library = library_of(estimator)
    return library.for_few_rows(estimator, categories) if library else estimator


def for_one_row(few: Estimator, matrix: AnyMatrix, width: int) -> Callable[[Any], Any]:
    """What gives the raw output of a row of a matrix of this kind and width, as `few`, an estimator for few rows, does.

    A line may add the same terms in another order.
    """
    if isinstance(few, Ensemble):
        return _sum_for_one_row(few, width)
    if isinstance(few, TreeArrays):
        return few.predict_row
    if matrix == "dense":
        return lambda row: predict(few, np.array([row], np.float32)).tolist()[0]
    if not is_linear(few):
        return lambda row: predict(few, Entries.of_row(row, width)).tolist()[0]
    weights, intercept = few.coef_.tolist(), float(few.intercept_)
    return lambda row: sum([weights[place] * value for place, value in row.items()], intercept)


def _sum_for_one_row(few: Ensemble, width: int) -> Callable[[Any], Any]:
    asked = [(m.weight, m.matrix, for_one_row(m.estimator, m.matrix, width)) for m in few.members]

    def estimate(row: Any) -> Any:
        raws = [weight * np.asarray(ask(of_kind(row, kind))) for weight, kind, ask in asked]
        return np.add.accumulate(raws)[-1].tolist()

    return estimate


def _fit_sklearn(estimator: Any, data: FitData) -> Estimator:
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.utils import get_tags

    takes_missing = get_tags(estimator).input_tags.allow_nan or not isinstance(data.X, np.ndarray)
    fitted: Any = estimator if takes_missing else make_pipeline(SimpleImputer(keep_empty_features=True), estimator)
    fitted.fit(_writable(data.X), data.y, **_weighted(fitted, estimator, data.weights))
    cls: type = type(estimator)
    if _is_line(cls) and len(getattr(estimator, "classes_", ())) == 2:  # one line, as of a number
        estimator.coef_, estimator.intercept_ = estimator.coef_[0], float(np.ravel(estimator.intercept_)[0])
    if hasattr(estimator, "n_jobs"):
        # A forest adds its trees up in the order in which threads finish: one thread predicts.
        estimator.n_jobs = None
    regressor: Estimator = fitted
    return regressor


def _weighted(fitted: Any, estimator: Any, weights: FloatArray | None) -> dict[str, Any]:
    """Sample weights as `fit` takes them; raises ModelError where the estimator takes none."""
    from sklearn.utils.validation import has_fit_parameter

    if weights is None:
        return {}
    if not has_fit_parameter(estimator, "sample_weight"):
        raise ModelError(f"{type(estimator).__name__} takes no weights of rows: use another model type")
    if fitted is estimator:
        return {"sample_weight": weights}
    return {f"{fitted.steps[-1][0]}__sample_weight": weights}


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
