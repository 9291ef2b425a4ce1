"""Trees as arrays answer any row as XGBoost does, bit for bit: also one that lies on a threshold."""

import json

import numpy as np
import pytest
import xgboost
from hypothesis import strategies as st

from mlops_assets.core.learners.libraries.xgboost import feature_kinds
from mlops_assets.core.learners.tree_arrays import TreeArrays, tree_arrays
from mlops_assets_tests.properties import for_all

SIZES = {0: 30, 1: 3}
NUMBERS = 3


@pytest.fixture(scope="module")
def booster() -> xgboost.Booster:
    """Of two categories and three whole numbers, some missing: its thresholds are values that rows have."""
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.integers(0, size, 2_000) for size in [*SIZES.values(), 24, 5, 200]]).astype(np.float32)
    X[rng.random(X.shape) < 0.1] = np.nan
    y = np.nan_to_num(X[:, 0] % 7) * 10 + np.nan_to_num(X[:, 2]) * np.nan_to_num(X[:, 1] + 1) + rng.normal(size=len(X))
    kinds = feature_kinds([True, True, False, False, False])
    data = xgboost.DMatrix(X, y, feature_types=kinds, enable_categorical=True)
    return xgboost.train({"tree_method": "hist", "seed": 7}, data, num_boost_round=30)


@pytest.fixture(scope="module")
def thresholds(booster) -> np.ndarray:
    """Those of all splits by a number, float32."""
    trees = json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]["model"]["trees"]
    return np.unique(
        [
            np.float32(condition)
            for tree in trees
            for column, condition, child in zip(
                tree["split_indices"], tree["split_conditions"], tree["left_children"], strict=True
            )
            if child >= 0 and column not in SIZES
        ]
    )


@pytest.fixture(scope="module")
def arrays(booster) -> TreeArrays:
    return tree_arrays(booster, SIZES)


@for_all(data=st.data())
def test_any_row_on_below_or_above_a_threshold_is_answered_bit_for_bit(booster, arrays, thresholds, data):
    around = [np.nextafter(thresholds, np.float32(end)) for end in (-np.inf, np.inf)]
    near = st.sampled_from(np.concatenate([thresholds, *around]).tolist())
    number = near | st.floats(-(2.0**100), 2.0**100, width=32) | st.just(np.nan)
    category = [st.integers(0, size - 1).map(float) | st.just(np.nan) for size in SIZES.values()]
    rows = data.draw(st.lists(st.tuples(*category, *[number] * NUMBERS), min_size=1, max_size=20))
    X = np.array(rows, np.float32)
    expected = booster.inplace_predict(X)
    np.testing.assert_array_equal(arrays.predict(X), expected)
    np.testing.assert_array_equal([arrays.predict_row(row.tolist()) for row in X], expected)


def test_a_row_that_lies_on_each_threshold_is_answered_bit_for_bit(booster, arrays, thresholds):
    no_category = np.full(len(thresholds), np.nan, np.float32)
    X = np.column_stack([no_category] * len(SIZES) + [thresholds] * NUMBERS)
    assert len(thresholds) > 50
    np.testing.assert_array_equal(arrays.predict(X), booster.inplace_predict(X))
