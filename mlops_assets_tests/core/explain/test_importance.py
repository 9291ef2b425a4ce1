"""What models go by: weights that fit what rows were made of, single contributions that add up, and pictures."""

from dataclasses import replace

import numpy as np
import pytest

from mlops_assets.core.explain.importance import ROWS, Explanation, explain_model, permutation_importance, some_rows
from mlops_assets.core.explain.plots import coefficient_bars, dependence, importance_bars, swarm, waterfalls
from mlops_assets.core.features.encoder import fit_encoder
from mlops_assets.core.learners.estimators import FitData, fit
from mlops_assets.core.learners.model_types import resolve_model_type
from mlops_assets.core.model.contributions import learn_background
from mlops_assets.core.model.model import Model

SMALL = {"XGBoost": {"n_estimators": 30, "max_depth": 3}, "ExtraTreesRegressor": {"n_estimators": 10}}
NAMES = ("Ridge", "XGBoost", "ExtraTreesRegressor")


@pytest.fixture(scope="module")
def rows():
    """Columns in which the size decides nearly all, the town something, and the zone nothing."""
    rng = np.random.default_rng(0)
    n = 1_500
    size = np.where(rng.random(n) < 0.05, np.nan, rng.gamma(4, 8, n).clip(0, 100))
    town = np.array(["Ay", "Bree", None], object)[rng.integers(0, 3, n)]
    columns = {
        "at": np.datetime64("2024-01-01", "us") + rng.integers(0, 31 * 86_400, n).astype("timedelta64[s]"),
        "town": town,
        "zone": rng.integers(1, 5, n).astype(float),
        "size": size,
    }
    return columns, 20 + 2 * np.nan_to_num(size) + 6 * (town == "Bree") + rng.normal(0, 1, n)


@pytest.fixture(scope="module")
def models(rows):
    from mlops_assets.dataset import DatasetSpec
    from mlops_assets_tests.tiny import TINY

    calendar = {"at": {"parts": ["hour"]}}
    features = {"categorical": ["town", "zone"], "numeric": {"size": {}}, "calendar": calendar}
    spec = DatasetSpec.model_validate(TINY | {"features": features})
    columns, y = rows
    encoded = fit_encoder(spec.features, columns, y, 7)
    found = {}
    for name in NAMES:
        kind = resolve_model_type(name)
        X = encoded.one_hot if kind.matrix == "one_hot" else encoded.dense
        data = FitData(X, y, encoded.encoder.dense_categorical)
        estimator = fit(kind, SMALL.get(name, {}), data, seed=7, threads=1, rounds=30).estimator
        background = learn_background(estimator, X)
        found[name] = Model(spec, encoded.encoder, estimator, name, kind.matrix, background=background)
    return found


@pytest.fixture(scope="module")
def explanations(models, rows):
    return {name: explain_model(model, *rows, seed=7) for name, model in models.items()}


@pytest.mark.parametrize("name", NAMES)
def test_what_decides_most_weighs_most_and_what_decides_nothing_least(explanations, name):
    weights = {weight.name: weight.value for weight in explanations[name].importance}
    assert list(weights)[:2] == ["size", "town"]
    assert weights["size"] > 5 * weights["town"] > 20 * abs(weights["zone"])


@pytest.mark.parametrize("name", ["Ridge", "XGBoost"])
def test_contributions_of_the_sample_add_up_to_its_predictions(models, explanations, rows, name):
    explanation, model = explanations[name], models[name]
    chosen = some_rows(len(rows[1]), ROWS, 7)
    prediction = model.predict_columns({alias: values[chosen] for alias, values in rows[0].items()})
    added = explanation.contributions.base + explanation.contributions.values.sum(axis=1)
    assert explanation.rows == len(added) == ROWS
    assert np.allclose(np.clip(added, 1, 1000), prediction)


def test_only_groups_of_features_have_no_value_to_depend_on(explanations):
    explanation = explanations["XGBoost"]
    assert dependence(replace(explanation, inputs={}), "minutes") is None
    assert waterfalls(replace(explanation, inputs={}), "minutes").startswith(b"<svg")


def test_the_sample_is_the_same_each_time_and_another_for_another_seed():
    assert np.array_equal(some_rows(5_000, 100, 7), some_rows(5_000, 100, 7))
    assert not np.array_equal(some_rows(5_000, 100, 7), some_rows(5_000, 100, 8))
    assert np.array_equal(some_rows(30, 100, 7), np.arange(30))


def test_a_linear_model_tells_its_coefficients_by_the_names_of_its_columns(models, explanations):
    coefficients = {weight.name: weight.value for weight in explanations["Ridge"].coefficients}
    assert set(coefficients) <= set(models["Ridge"].encoder.one_hot_names)
    assert coefficients["town=Bree"] - coefficients["town=Ay"] == pytest.approx(6, abs=0.3)
    assert explanations["XGBoost"].coefficients == explanations["ExtraTreesRegressor"].coefficients == ()


def test_an_input_that_is_not_used_weighs_exactly_nothing(rows):
    columns, y = rows
    weights = permutation_importance(lambda rows: np.nan_to_num(rows["size"]), ("size", "zone"), columns, y, seed=0)
    assert [weight.name for weight in weights] == ["size", "zone"]
    assert weights[0].value > 5 and weights[1].value == 0


@pytest.mark.parametrize("name", NAMES)
def test_an_explanation_comes_back_from_json_as_it_was(explanations, name):
    explanation = explanations[name]
    again = Explanation.from_json(explanation.to_json())
    assert again.to_json() == explanation.to_json()
    assert again.importance == explanation.importance
    if explanation.contributions is not None:
        assert np.allclose(again.contributions.values, explanation.contributions.values, atol=1e-6)
        assert again.inputs["town"].tolist() == explanation.inputs["town"].tolist()
        assert np.array_equal(again.inputs["at"], explanation.inputs["at"].astype("datetime64[m]"))


def test_codes_of_categories_are_told_as_text_since_they_are_no_quantities(explanations):
    assert set(explanations["XGBoost"].inputs["zone"].tolist()) == {"1", "2", "3", "4"}


@pytest.mark.parametrize("name", NAMES)
def test_the_same_explanation_gives_the_same_pictures(explanations, name):
    explanation = explanations[name]
    draw = [swarm, waterfalls, dependence] if explanation.contributions is not None else []
    for picture in [importance_bars, *draw]:
        svg = picture(explanation, "minutes")
        assert svg.startswith(b"<svg") and svg == picture(explanation, "minutes")
    if explanation.coefficients:
        assert coefficient_bars(explanation.coefficients).startswith(b"<svg")
