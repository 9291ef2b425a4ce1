"""A line through rows in mapped files is the one that scikit-learn finds in memory."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from mlops_assets.core.learners.estimators import FitData, fit, learns_from_disk, predict
from mlops_assets.core.learners.model_types import resolve_model_type
from mlops_assets.core.learners.persistence import dump_estimator, parse_estimator


@pytest.fixture
def rows(tmp_path):
    """Two categories and a number of 2,000 rows, in files: columns that depend on each other, as one-hot ones do."""
    rng = np.random.default_rng(0)
    first, second, number = rng.integers(0, 12, 2_000), rng.integers(0, 5, 2_000), rng.normal(size=2_000)
    X = csr_matrix(np.column_stack([np.eye(12)[first], np.eye(5)[second], number]))
    y = np.sin(first) * 5 + second + 2 * number + rng.normal(0, 0.5, 2_000) + 40
    parts = []
    for name, part in {"data": X.data, "indices": X.indices, "indptr": X.indptr, "y": y}.items():
        np.save(tmp_path / f"{name}.npy", part)
        parts.append(np.load(tmp_path / f"{name}.npy", mmap_mode="r"))
    return csr_matrix(tuple(parts[:3]), X.shape), parts[3]


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("Ridge", {"alpha": 0.01}),
        ("Ridge", {"alpha": 100.0}),
        ("LinearRegression", {"fit_intercept": True}),
        ("LinearRegression", {"fit_intercept": False}),
    ],
)
def test_a_line_from_disk_predicts_as_one_from_memory(rows, tmp_path, name, params):
    X, y = rows
    model_type = resolve_model_type(name)
    in_memory = fit(model_type, params, FitData(X, y), seed=7, threads=1)
    from_disk = fit(model_type, params, FitData(X, y, spill=tmp_path), seed=7, threads=1)
    expected = predict(in_memory.estimator, X)
    assert expected.std() > 1
    np.testing.assert_allclose(predict(from_disk.estimator, X), expected, atol=0.01)
    saved = parse_estimator(dump_estimator(from_disk.estimator))
    np.testing.assert_array_equal(predict(saved, X), predict(from_disk.estimator, X))


def test_the_model_types_that_learn_from_disk_are_known():
    names = {"Ridge": True, "LinearRegression": True, "XGBoost": True, "Lasso": False, "sklearn.svm.SVR": False}
    assert {name: learns_from_disk(resolve_model_type(name), {}) for name in names} == names


def test_a_line_with_a_parameter_of_another_solver_learns_in_memory():
    assert learns_from_disk(resolve_model_type("Ridge"), {"alpha": 2.0})
    assert not learns_from_disk(resolve_model_type("Ridge"), {"alpha": 2.0, "positive": True})
