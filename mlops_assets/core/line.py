"""Least squares on more rows than memory holds: LSQR (Paige and Saunders, 1982) over a matrix in mapped files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

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
