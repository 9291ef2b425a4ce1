"""Trees as arrays answer as XGBoost does, bit for bit, and leave to it what they do not know."""

import numpy as np
import pytest
import xgboost

from mlops_assets.core.learners.estimators import for_few_rows, predict
from mlops_assets.core.learners.libraries import library_of
from mlops_assets.core.learners.libraries.xgboost import feature_kinds, finish_booster
from mlops_assets.core.learners.tree_arrays import tree_arrays
from mlops_assets_tests.core.examples import BINARY

SIZES = {0: 30, 1: 3}


def rows(n, seed=0):
    """Two categorical columns, four numbers, some values missing."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([rng.integers(0, size, n) for size in SIZES.values()] + [rng.normal(size=(n, 4))])
    X[rng.random(X.shape) < 0.1] = np.nan
    return X.astype(np.float32)


def fit(X, rounds=40, **params):
    rng = np.random.default_rng(1)
    y = np.nan_to_num(X[:, 0] % 7) * 10 + np.nan_to_num(X[:, 2]) * np.nan_to_num(X[:, 1] + 1) + rng.normal(size=len(X))
    kinds = feature_kinds([True, True, False, False, False, False])
    data = xgboost.DMatrix(X, np.abs(y), feature_types=kinds, enable_categorical=True)
    return xgboost.train({"tree_method": "hist", "seed": 7} | params, data, num_boost_round=rounds)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"max_depth": 1},
        {"max_depth": 10, "min_child_weight": 0},
        {"max_depth": 0, "grow_policy": "lossguide", "max_leaves": 31},
        {"gamma": 50.0},
        {"gamma": 1e9},
        {"max_cat_to_onehot": 100},
        {"num_parallel_tree": 3, "subsample": 0.5},
        {"objective": "reg:absoluteerror"},
        {"objective": "reg:pseudohubererror"},
        {"base_score": 12.3},
    ],
    ids=str,
)
def test_predictions_are_those_of_xgboost_bit_for_bit(params):
    booster = fit(rows(2_000), **params)
    X = rows(3_000, seed=2)
    X[:50, 2:] *= np.float32(1e30)
    trees = tree_arrays(booster, SIZES)
    expected = booster.inplace_predict(X)
    np.testing.assert_array_equal(trees.predict(X), expected)
    for row in range(0, 3_000, 300):
        np.testing.assert_array_equal(trees.predict(X[row : row + 1]), expected[row : row + 1])
        assert trees.predict_row(X[row].tolist()) == expected[row]


def test_trees_of_the_best_rounds_alone_are_read():
    booster = fit(rows(2_000))[:25]
    X = rows(500, seed=2)
    np.testing.assert_array_equal(tree_arrays(booster, SIZES).predict(X), booster.inplace_predict(X))


@pytest.mark.parametrize(
    "params",
    [{"booster": "dart", "rate_drop": 0.3}, {"objective": "reg:gamma"}, {"objective": "count:poisson"}],
    ids=str,
)
def test_what_is_more_than_a_sum_of_trees_stays_with_xgboost(params):
    booster = fit(rows(500), rounds=5, **params)
    assert tree_arrays(booster, SIZES) is None
    few, X = for_few_rows(booster, SIZES), rows(50, seed=2)
    assert library_of(few)
    np.testing.assert_array_equal(predict(few, X), predict(booster, X))


def test_categories_that_would_take_too_much_memory_stay_with_xgboost(monkeypatch):
    monkeypatch.setattr("mlops_assets.core.learners.tree_arrays.MOST_BYTES", 1_000)
    assert tree_arrays(fit(rows(500)), SIZES) is None


def test_the_sum_begins_where_xgboost_says_for_any_share_of_a_class():
    """One library's logarithm may differ from another's by a bit, and a curve of calibration makes more of that."""
    rng = np.random.default_rng(7)
    X = rng.normal(size=(200, 2)).astype(np.float32)
    for share in np.linspace(0.02, 0.98, 40):
        rows = xgboost.DMatrix(X, (np.arange(200) < 200 * share).astype(float))
        booster = xgboost.train({"objective": "binary:logistic", "max_depth": 2}, rows, 3)
        finish_booster(booster, BINARY)
        few = tree_arrays(booster, {})
        assert np.array_equal(few.predict(X), predict(booster, X)), share
