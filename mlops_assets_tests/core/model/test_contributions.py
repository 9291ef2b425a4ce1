"""Contributions: with the base they sum to the prediction, they have names people know, and they are right."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from mlops_assets.core.learners.estimators import predict
from mlops_assets.core.model.contributions import _of_any
from mlops_assets.errors import ModelError

LINES, BOOSTED = ("LinearRegression", "Ridge", "Lasso"), ("XGBoost", "LightGBM", "CatBoost")
TYPES = (*LINES, *BOOSTED, "Ensemble", "HistGradientBoostingRegressor", "sklearn.svm.SVR")


def raw(model, columns):
    """Predictions before they are kept within the target's range."""
    return predict(model.estimator, model.encoder.transform(model.spec.features, columns, model.matrix))


@pytest.fixture
def columns(orders, order_spec):
    made = orders(40, seed=5)
    return {alias: made[alias] for alias in order_spec.inputs()}


@pytest.mark.parametrize(
    ("name", "matrix"),
    [*((name, None) for name in TYPES), *((name, "one_hot") for name in BOOSTED), ("Lasso", "dense")],
)
def test_base_and_contributions_sum_to_the_prediction(final_model, columns, name, matrix):
    model = final_model(name, matrix=matrix)
    found = model.contributions(columns)
    assert found.values.shape == (40, len(found.names)) and found.base.shape == (40,)
    np.testing.assert_allclose(found.base + found.values.sum(axis=1), raw(model, columns), rtol=0, atol=1e-9)
    assert np.abs(found.values).max() > 5


def test_contributions_are_of_the_prediction_before_it_is_kept_within_the_targets_range(final_model):
    model, row = final_model("Ridge"), one_row() | {"size": np.array([60.0])}
    found = model.contributions(row)
    assert found.base[0] + found.values.sum() > model.predict_columns(row)[0] == model.spec.target.keep[1]


def test_names_are_those_of_features_not_of_columns(final_model):
    assert set(final_model("Ridge").contributions(one_row()).names) == {"town", "zone", "at", "town and zone", "size"}
    of_trees = {"town", "zone", "size", "at", "town and at", "zone and size", "town and size"}
    assert set(final_model("XGBoost").contributions(one_row()).names) == of_trees


def one_row():
    return {
        "at": np.array(["2024-02-19T22:00"], "datetime64[us]"),
        "town": np.array(["Ay"], object),
        "zone": np.array([2.0]),
        "size": np.array([30.0]),
    }


def test_a_linear_contribution_is_coefficient_times_deviation_from_the_mean(final_model):
    model, row = final_model("Ridge"), one_row()
    names, coefficients = model.encoder.one_hot_names, model.estimator.coef_
    columns = [place for place, name in enumerate(names) if name.startswith("town=") and "," not in name]
    expected = sum(coefficients[c] * ((names[c] == "town=Ay") - model.background.row[c]) for c in columns)
    found = model.contributions(row)
    assert found.values[0, found.names.index("town")] == pytest.approx(expected, abs=1e-9)


def test_the_mean_training_row_has_no_linear_contribution(final_model, orders, order_spec):
    """On average over the training rows every linear contribution is zero, and the base is the mean prediction."""
    model, made = final_model("Ridge"), orders(1_500)
    columns = {alias: made[alias] for alias in order_spec.inputs()}
    found = model.contributions(columns)
    np.testing.assert_allclose(found.values.mean(axis=0), 0, atol=1e-9)
    assert found.base[0] == pytest.approx(raw(model, columns).mean())


def test_a_single_row_has_the_contributions_that_it_has_among_others(final_model, columns):
    for name in TYPES:
        model = final_model(name)
        together = model.contributions(columns).values
        alone = model.contributions({alias: values[3:4] for alias, values in columns.items()}).values
        np.testing.assert_allclose(alone[0], together[3], atol=1e-5)


def test_sampled_contributions_come_near_the_exact_shapley_values():
    """All 24 orders of four features of a function with interactions, by hand."""

    class Product:
        def predict(self, X):
            return X[:, 0] * X[:, 1] + 3 * X[:, 2] - X[:, 1] * X[:, 3]

    row, reference = np.array([2.0, 3.0, 1.0, 4.0]), np.array([1.0, 1.0, 0.0, 2.0])
    exact = np.zeros(4)
    for order in permutations(range(4)):
        x = reference.copy()
        for feature in order:
            before = Product().predict(x[None])[0]
            x[feature] = row[feature]
            exact[feature] += (Product().predict(x[None])[0] - before) / 24
    found = _of_any(Product(), row[None], ("a", "b", "c", "d"), np.arange(4), reference, None)
    np.testing.assert_allclose(found.values[0], exact, atol=0.6)
    assert found.values[0, 2] == pytest.approx(3.0)  # without interactions every order says the same
    assert found.base[0] + found.values.sum() == pytest.approx(Product().predict(row[None])[0])


def test_sampled_contributions_are_the_same_every_time(final_model, columns):
    model = final_model("HistGradientBoostingRegressor")
    np.testing.assert_array_equal(model.contributions(columns).values, model.contributions(columns).values)


def test_a_model_without_what_its_kind_needs_says_so(final_model):
    replace(final_model("XGBoost"), background=None).contributions(one_row())
    with pytest.raises(ModelError, match="saved without what explains"):
        replace(final_model("Ridge"), background=None).contributions(one_row())
