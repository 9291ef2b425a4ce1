"""Learning from more rows than memory holds: from a matrix in mapped files, of which a part is in memory at a time.

XGBoost reads it in parts, and keeps its bins on disk or, where rows are divided over processes, in each one's memory.
Least squares only multiply by it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops_assets.core.types import FloatArray, LinearModel

if TYPE_CHECKING:
    from xgboost import DataIter, ExtMemQuantileDMatrix

    from mlops_assets.core.types import Matrix

PART_ROWS = 2**19  # so many, binned, are a page on disk; a few pages are in memory at a time
BLOCK_ROWS = 500_000
TOLERANCE = 1e-6  # of scikit-learn's own LSQR
ITERATIONS = 1_000


def external_matrix(
    X: Matrix,
    y: FloatArray,
    kinds: Sequence[str] | None,
    max_bin: int | None,
    folder: Path,
    weights: FloatArray | None = None,
) -> ExtMemQuantileDMatrix:
    """Rows X (n, width) and y (n,), best of mapped files, in bins that are written below `folder`.

    The folder must outlive the matrix. What is held in memory is a few numbers a row: target, gradient, prediction.
    """
    from xgboost import ExtMemQuantileDMatrix

    parts = _parts(X, y, kinds, PART_ROWS, str(folder / "bins"), weights)
    return ExtMemQuantileDMatrix(parts, max_bin=max_bin, enable_categorical=True)


def row_blocks(X: Matrix, y: FloatArray, kinds: Sequence[str] | None, weights: FloatArray | None = None) -> DataIter:
    """The rows of X (n, width) with their targets (n,), in order; `kinds`: XGBoost's type of each column."""
    return _parts(X, y, kinds, BLOCK_ROWS, None, weights)


def _parts(
    X: Matrix, y: FloatArray, kinds: Sequence[str] | None, rows: int, bins: str | None, weights: FloatArray | None
) -> DataIter:
    """So many rows at a time; `bins`: how the names of the files begin in which XGBoost keeps what it makes of them."""
    from xgboost import DataIter

    class Parts(DataIter):
        first = 0

        def next(self, input_data: Callable[..., Any]) -> bool:
            part = slice(self.first, self.first + rows)
            if part.start >= X.shape[0]:
                return False
            weight = {} if weights is None else {"weight": weights[part]}
            input_data(data=X[part], label=np.asarray(y[part]), feature_types=kinds, **weight)
            self.first = part.stop
            return True

        def reset(self) -> None:
            self.first = 0

    return Parts(cache_prefix=bins)


def fit_line(estimator: Any, X: Matrix, y: FloatArray) -> LinearModel:
    """`Ridge` or `LinearRegression`, fitted to X (n, width) and y (n,) as it would fit itself.

    scikit-learn copies a sparse matrix; here it is only multiplied, so that some 30 bytes a row are in memory.
    """
    from scipy.sparse.linalg import LinearOperator, lsqr

    across, rows = X.T, X.shape[0]
    mean, offset = np.zeros(X.shape[1]), 0.0
    if estimator.fit_intercept:
        mean, offset = across @ np.full(rows, 1 / rows), float(np.mean(y))
    centred = LinearOperator(
        X.shape,
        dtype=np.float64,
        matvec=lambda weights: X @ weights - mean @ weights,
        rmatvec=lambda residuals: across @ residuals - residuals.sum() * mean,
    )
    damp = np.sqrt(getattr(estimator, "alpha", 0.0))
    weights, *_ = lsqr(centred, y - offset, damp=damp, atol=TOLERANCE, btol=TOLERANCE, iter_lim=ITERATIONS)
    estimator.coef_ = weights
    estimator.intercept_ = offset - float(mean @ weights)
    estimator.n_features_in_ = X.shape[1]
    fitted: LinearModel = estimator
    return fitted
