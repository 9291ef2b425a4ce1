"""XGBoost on more rows than memory holds: it reads them a part at a time, and keeps its bins on disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from xgboost import DataIter, ExtMemQuantileDMatrix


PART_ROWS = 2**19  # so many, binned, are a page on disk; a few pages are in memory at a time


def external_matrix(
    X: csr_matrix | np.ndarray, y: np.ndarray, kinds: Sequence[str] | None, max_bin: int | None, folder: Path
) -> ExtMemQuantileDMatrix:
    """Rows X (n, width) and y (n,), best of mapped files, in bins that are written below `folder`.

    The folder must outlive the matrix. What is held in memory is a few numbers a row: target, gradient, prediction.
    """
    from xgboost import DataIter, ExtMemQuantileDMatrix

    class Parts(DataIter):
        def __init__(self) -> None:
            self._at = 0
            super().__init__(cache_prefix=str(folder / "bins"))

        def reset(self) -> None:
            self._at = 0

        def next(self, input_data) -> bool:
            part = slice(self._at, self._at + PART_ROWS)
            if part.start >= X.shape[0]:
                return False
            input_data(data=X[part], label=np.asarray(y[part]), feature_types=kinds)
            self._at = part.stop
            return True

    return ExtMemQuantileDMatrix(Parts(), max_bin=max_bin, enable_categorical=True)


BLOCK_ROWS = 500_000


def row_blocks(X: csr_matrix | np.ndarray, y: np.ndarray, kinds: Sequence[str] | None) -> DataIter:
    """The rows of X (n, m) with their targets (n,), in order; `kinds`: XGBoost's type of each column."""
    from xgboost import DataIter

    class Blocks(DataIter):
        first = 0

        def next(self, input_data: Callable[..., Any]) -> bool:
            if self.first >= len(y):
                return False
            block = slice(self.first, self.first + BLOCK_ROWS)
            input_data(data=X[block], label=y[block], feature_types=kinds)
            self.first = block.stop
            return True

        def reset(self) -> None:
            self.first = 0

    return Blocks()


TOLERANCE = 1e-6  # of scikit-learn's own LSQR
ITERATIONS = 1_000


def fit_line(estimator: Any, X: csr_matrix, y: np.ndarray) -> Any:
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
    found = lsqr(centred, y - offset, damp=damp, atol=TOLERANCE, btol=TOLERANCE, iter_lim=ITERATIONS)
    estimator.coef_ = found[0]
    estimator.intercept_ = offset - float(mean @ found[0])
    estimator.n_features_in_ = X.shape[1]
    return estimator
