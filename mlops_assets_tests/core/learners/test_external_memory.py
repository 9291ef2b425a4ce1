"""XGBoost from parts on disk learns what it learns from the same rows in memory."""

import numpy as np
import pytest

from mlops_assets.core.learners import out_of_core
from mlops_assets.core.learners.estimators import FitData, fit, predict
from mlops_assets.core.learners.model_types import resolve_model_type

KIND = resolve_model_type("XGBoost")
ROWS = 3_000


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(out_of_core, "PART_ROWS", 700)


def rows():
    """Categories, continuous numbers, missing ones, and a target that needs all of them."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(ROWS, 6)).astype(np.float32)
    X[:, 0] = rng.integers(0, 40, ROWS)
    y = np.sin(X[:, 0]) * 3 + X[:, 1] * X[:, 2] + X[:, 3] + rng.normal(0, 0.1, ROWS)
    X[rng.random(X.shape) < 0.05] = np.nan
    return X, y, (True, *[False] * 5)


def predictions(X, y, categorical, spill=None, **params):
    params = {"n_estimators": 40, "max_depth": 5, "learning_rate": 0.2} | params
    data = FitData(X, y, categorical, spill=spill)
    fitted = fit(KIND, params, data, seed=7, threads=2, rounds=40)
    return predict(fitted.estimator, X)


@pytest.mark.parametrize("params", [{}, {"max_bin": 64, "subsample": 0.8}], ids=["all rows", "a share a tree"])
def test_trees_from_disk_predict_as_trees_from_memory(tmp_path, params):
    X, y, categorical = rows()
    in_memory = predictions(X, y, categorical, **params)
    from_disk = predictions(X, y, categorical, spill=tmp_path, **params)
    error = np.sqrt(np.mean((in_memory - y) ** 2))
    assert error < 0.5 * y.std()
    assert np.sqrt(np.mean((from_disk - y) ** 2)) == pytest.approx(error, rel=0.03)
    assert np.corrcoef(in_memory, from_disk)[0, 1] > 0.995


def test_bins_are_on_disk_while_a_matrix_lives_and_gone_afterwards(tmp_path):
    X, y, _ = rows()
    matrix = out_of_core.external_matrix(X, y, None, None, tmp_path)
    assert (matrix.num_row(), matrix.num_col()) == X.shape
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) > ROWS
    del matrix
    assert list(tmp_path.iterdir()) == []


def test_a_sparse_matrix_comes_from_disk_too(tmp_path):
    from scipy.sparse import csr_matrix

    X, y, _ = rows()
    X = csr_matrix(np.where(np.isnan(X), 0, X))
    in_memory = predictions(X, y, ())
    from_disk = predictions(X, y, (), spill=tmp_path)
    assert np.corrcoef(in_memory, from_disk)[0, 1] > 0.99


def test_what_fails_while_a_part_is_read_is_raised(tmp_path):
    X, y, _ = rows()
    with pytest.raises(ValueError, match="size"):
        out_of_core.external_matrix(X, y[:1000], None, None, tmp_path)
