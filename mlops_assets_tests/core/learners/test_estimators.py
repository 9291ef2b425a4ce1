"""Every model type fits and predicts, the same twice, and with exactly the parameters that it was given."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from mlops_assets.core.learners import estimators
from mlops_assets.core.learners.estimators import FitData, build, fit, for_few_rows, parameters_of, predict
from mlops_assets.core.learners.libraries.library import SETTLED
from mlops_assets.core.learners.model_types import resolve_model_type, shipped_model_types
from mlops_assets.core.search.suggestions import make_suggester
from mlops_assets.core.training_set import TrainingSet
from mlops_assets.errors import ModelError
from mlops_assets_tests.core.examples import in_classes, model_type_of

QUICK = {"n_estimators": 12, "max_iter": 12, "iterations": 12}
BOOSTED = ("XGBoost", "LightGBM", "CatBoost")
NAMES = [*shipped_model_types(), "neighbors.KNeighborsRegressor", "tree.DecisionTreeRegressor"]


def quick(model_type, params):
    """The parameters with few trees or iterations."""
    return params | {name: value for name, value in QUICK.items() if name in params and model_type.name != "Lasso"}


@pytest.fixture
def data(training_set_folder):
    """A function that gives a training set's rows as a trial sees them."""
    rows = TrainingSet.load(training_set_folder)

    def read(model_type, validation=True):
        kind = model_type.target
        train, held = (in_classes(kind, rows.target(split)) for split in ("train", "validation"))
        validation_rows = (rows.matrix(model_type.matrix, "validation"), held) if validation else None
        return FitData.of(kind, rows.matrix(model_type.matrix, "train"), train, rows.categorical, validation_rows)

    return read


def fitted_params(estimator):
    final = estimator[-1] if hasattr(estimator, "steps") else estimator
    return final.get_params()


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_predictions_bit_for_bit_with_one_thread_or_two(name, data):
    model_type = model_type_of(name)
    params = quick(model_type, model_type.space.adopt(model_type.space.start) or {})
    X, y = data(model_type).validation
    estimators = [fit(model_type, params, data(model_type), seed=7, threads=n).estimator for n in (1, 2)]
    one, two = (predict(estimator, X) for estimator in estimators)
    assert one.dtype == np.float64 and one.shape == y.shape and np.isfinite(one).all()
    assert np.array_equal(one, two)


@pytest.mark.parametrize("name", ["ExtraTreesRegressor", *BOOSTED])
def test_the_seed_reaches_the_estimator(name, data):
    model_type = resolve_model_type(name)
    params = quick(model_type, model_type.space.adopt(model_type.space.start))
    X = data(model_type).validation[0]
    one, other = (fit(model_type, params, data(model_type), seed=seed, threads=1).estimator for seed in (1, 2))
    assert not np.array_equal(predict(one, X), predict(other, X))


@pytest.mark.parametrize("name", ["Ridge", *BOOSTED])
def test_rows_of_more_weight_draw_the_fit_to_them(name, data):
    model_type = resolve_model_type(name)
    params = quick(model_type, model_type.space.adopt(model_type.space.start))
    rows = data(model_type)
    high = rows.y > np.median(rows.y)
    for_high, for_low = (replace(rows, weights=np.where(at, 50.0, 1.0)) for at in (high, ~high))
    one, other = (fit(model_type, params, each, seed=7, threads=1).estimator for each in (for_high, for_low))
    assert predict(one, rows.X).mean() > predict(other, rows.X).mean()


@pytest.mark.parametrize("name", [name for name in shipped_model_types() if name not in BOOSTED])
def test_fault_1_what_is_sampled_is_what_is_fitted(name, data):
    model_type = model_type_of(name)
    sampled = quick(model_type, make_suggester(model_type.space, seed=7, startup=8, first=[]).next())
    fitted = fit(model_type, sampled, data(model_type), seed=7, threads=1)
    used = fitted_params(fitted.estimator)
    assert {name: used[name] for name in sampled} == sampled == fitted.params
    assert all(type(used[name]) is type(sampled[name]) for name in sampled)
    if "random_state" in used:
        assert used["random_state"] == 7


def test_fault_2_constants_and_the_seed_reach_xgboost(data):
    model_type = resolve_model_type("XGBoost")
    params = {"objective": "reg:pseudohubererror", "max_depth": 3, "n_estimators": 4, "eta": 0.5}
    with pytest.raises(ModelError, match="XGBoost has no parameter 'eta'"):
        build(model_type, params, seed=7, threads=1)
    del params["eta"]
    booster = fit(model_type, params, data(model_type), seed=7, threads=1).estimator
    config = json.loads(booster.save_config())["learner"]
    assert config["objective"]["name"] == "reg:pseudohubererror"
    assert config["generic_param"]["seed"] == "7"
    assert config["gradient_booster"]["tree_train_param"]["max_depth"] == "3"


def boosting(name, data, **more):
    """A boosting model type with rows of both splits, and parameters under which it stops early."""
    model_type = resolve_model_type(name)
    loose = {"min_child_weight": 1, "min_child_samples": 5}
    params = model_type.space.adopt(model_type.space.start) | {"early_stopping_rounds": 5} | more
    return model_type, data(model_type), params | {key: loose[key] for key in loose if key in params}


def loss_of(fitted, rows):
    X, y = rows.validation
    return np.sqrt(np.mean((predict(fitted.estimator, X) - y) ** 2))


@pytest.mark.parametrize("name", BOOSTED)
def test_a_trial_stops_boosting_early_and_keeps_the_best_round_and_no_later_tree(name, data):
    model_type, rows, params = boosting(name, data)
    best = fit(model_type, params, rows, seed=7, threads=1)
    assert 5 < best.rounds < 795
    losses = {}
    for rounds in range(best.rounds - 5, best.rounds + 6):
        losses[rounds] = loss_of(fit(model_type, params, rows, seed=7, threads=1, rounds=rounds), rows)
    assert min(losses, key=losses.get) == best.rounds
    assert losses[best.rounds] == loss_of(best, rows)


def test_xgboost_learns_from_few_rows_on_one_thread_whatever_is_set(data, monkeypatch):
    model_type, rows = resolve_model_type("XGBoost"), data(resolve_model_type("XGBoost"))

    def threads_used():
        booster = fit(model_type, {"n_estimators": 2}, rows, seed=7, threads=2).estimator
        return json.loads(booster.save_config())["learner"]["generic_param"]["nthread"]

    assert threads_used() == "1"
    monkeypatch.setattr(estimators, "ONE_THREAD_ROWS", 0)
    assert threads_used() == "2"


@pytest.mark.parametrize("name", BOOSTED)
def test_a_trial_that_cannot_come_below_the_best_loss_is_given_up_and_any_other_is_as_it_would_be(name, data):
    model_type, rows, params = boosting(name, data, early_stopping_rounds=20)
    whole = fit(model_type, params, rows, seed=7, threads=1)
    loss = loss_of(whole, rows)
    winning = fit(model_type, params, rows, seed=7, threads=1, beat=loss * 1.0001)
    assert loss_of(winning, rows) == loss
    hopeless = fit(model_type, params, rows, seed=7, threads=1, beat=loss / 4)
    assert SETTLED / params["learning_rate"] <= hopeless.rounds < whole.rounds
    assert loss_of(hopeless, rows) > loss / 4


@pytest.mark.parametrize("name", BOOSTED)
def test_fault_5_a_final_fit_grows_exactly_the_rounds_of_its_trial_and_never_stops_on_its_own_rows(name, data):
    model_type, _, params = boosting(name, data)
    trial = fit(model_type, params, data(model_type), seed=7, threads=1)
    final_data = data(model_type, validation=False)
    final = fit(model_type, params, final_data, seed=7, threads=1, rounds=trial.rounds)
    assert final.rounds == trial.rounds
    assert np.array_equal(predict(final.estimator, final_data.X), predict(trial.estimator, final_data.X))
    assert fit(model_type, params, final_data, seed=7, threads=1, rounds=150).rounds == 150
    with pytest.raises(ModelError, match=f"{name} cannot stop early without validation rows"):
        fit(model_type, params, final_data, seed=7, threads=1)


@pytest.mark.parametrize("name", BOOSTED)
def test_boosting_takes_a_row_alone_as_it_takes_it_among_others(name, data):
    model_type, rows, params = boosting(name, data)
    estimator = fit(model_type, params, rows, seed=7, threads=1, rounds=30).estimator
    X = np.array(rows.validation[0])
    X[:3, 0] = (np.nan, 99, 0)  # unknown, never seen, seen
    few = for_few_rows(estimator, {0: 200, 1: 200})
    alone = [predict(few, X[[row]])[0] for row in range(20)]
    np.testing.assert_allclose(alone, predict(estimator, X)[:20], rtol=1e-9, atol=0)


def test_xgboost_predicts_from_the_array_as_from_its_own_matrix_categories_included(data):
    from xgboost import DMatrix

    model_type = resolve_model_type("XGBoost")
    rows = data(model_type)
    booster = fit(model_type, {"n_estimators": 20}, rows, seed=7, threads=1).estimator
    X = np.array(rows.validation[0])
    X[:3, 0] = (np.nan, 99, 0)  # unknown, never seen, seen
    kinds = ["c" if category else "q" for category in rows.categorical]
    matrix = DMatrix(X, feature_types=kinds, enable_categorical=True)
    assert "c" in kinds
    assert np.array_equal(predict(booster, X), booster.predict(matrix).astype(np.float64))


def test_xgboost_also_learns_from_a_sparse_matrix(data):
    ridge, xgboost = resolve_model_type("Ridge"), resolve_model_type("XGBoost")
    rows = data(ridge)
    booster = fit(xgboost, {"n_estimators": 20}, rows, seed=7, threads=1).estimator
    assert predict(booster, rows.X).shape == rows.y.shape


def test_trials_share_the_binned_matrices_of_their_rows(data):
    rows = data(resolve_model_type("XGBoost"))
    first = rows.binned(64)
    assert rows.binned(64) is first
    assert rows.binned(32) is not first


def test_read_only_rows_with_missing_values_are_taken_and_left_alone(data):
    model_type = resolve_model_type("RandomForestRegressor")
    rows = data(model_type)
    assert not rows.X.flags.writeable and np.isnan(rows.X).any()
    estimator = fit(model_type, {"n_estimators": 3}, rows, seed=7, threads=1).estimator
    assert predict(estimator, rows.validation[0]).shape == rows.validation[1].shape


def test_an_estimator_without_missing_values_gets_them_filled_even_in_an_empty_column():
    X = np.column_stack([np.arange(40.0), np.full(40, np.nan)]).astype(np.float32)
    X[3, 0] = np.nan
    model_type = resolve_model_type("GradientBoostingRegressor")
    estimator = fit(model_type, {"n_estimators": 3}, FitData(X, np.arange(40.0)), seed=7, threads=1).estimator
    assert np.isfinite(predict(estimator, X)).all()


def test_columns_of_too_many_values_are_no_categories_to_scikit_learn():
    rng = np.random.default_rng(7)
    X = np.column_stack([rng.integers(0, 5, 900), np.arange(900) % 300]).astype(np.float32)
    model_type = resolve_model_type("HistGradientBoostingRegressor")
    rows = FitData(X, X[:, 0], (True, True))
    estimator = fit(model_type, {"max_iter": 5}, rows, seed=7, threads=1).estimator
    assert estimator.get_params()["categorical_features"] == [True, False]


@pytest.mark.parametrize("name, hint", [("max_dept", "did you mean max_depth"), ("zzz", "its parameters: ")])
def test_a_parameter_that_the_model_type_lacks_is_named(name, hint):
    for model_type in ("XGBoost", "RandomForestRegressor"):
        with pytest.raises(ModelError, match=f"{model_type} has no parameter '{name}': {hint}"):
            build(resolve_model_type(model_type), {name: 3}, seed=7, threads=1)


@pytest.mark.parametrize("name", ["LinearRegression", "Ridge", "Lasso", "LinearSVR"])
def test_linear_models_fit_five_thousand_one_hot_columns(name):
    rng = np.random.default_rng(7)
    n, columns = 20_000, 5_000
    data = np.ones(n), (np.arange(n), rng.integers(0, columns, n))
    X = csr_matrix(data, (n, columns))
    y = rng.normal(0, 5, columns)[X.indices] + 15
    model_type = resolve_model_type(name)
    params = model_type.space.adopt(model_type.space.start)
    estimator = fit(model_type, params, FitData(X, y), seed=7, threads=1).estimator
    assert np.sqrt(np.mean((predict(estimator, X) - y) ** 2)) < y.std()


def test_real_trips_are_predicted_better_than_by_their_mean(taxi_month):
    """A stand-in for the encoder: zones as codes, distance and hour."""
    from mlops_assets.core.prepare.cleaning import TARGET, clean
    from mlops_assets.dataset import load_dataset

    spec = load_dataset("nyc_green_taxi", {})
    table = clean(spec, taxi_month(spec, "2024-01"), "2024-01").table
    columns = [table[name].to_numpy().astype(np.float32) for name in ("pickup_zone", "dropoff_zone", "distance")]
    hour = table["pickup_at"].to_numpy().astype("datetime64[h]").astype(int) % 24
    X, y = np.column_stack([*columns, hour]).astype(np.float32)[::5], table[TARGET].to_numpy()[::5]
    X[:, 2] = np.clip(X[:, 2], 0, 60)
    split = len(y) * 4 // 5
    rows = FitData(X[:split], y[:split], (True, True, False, False), (X[split:], y[split:]))
    model_type = resolve_model_type("XGBoost")
    fitted = fit(model_type, model_type.space.adopt(model_type.space.start), rows, seed=7, threads=1)
    rmse = np.sqrt(np.mean((predict(fitted.estimator, X[split:]) - y[split:]) ** 2))
    assert rmse < 0.65 * y[split:].std()


@pytest.mark.parametrize("name", [*BOOSTED, "HistGradientBoostingRegressor"])
@pytest.mark.parametrize(("way", "sign"), [("up", 1), ("down", -1)])
def test_predictions_follow_a_monotone_feature_in_its_direction_alone(name, way, sign, training_set_folder):
    rows = TrainingSet.load(training_set_folder)
    place = rows.dense_names.index("size")
    X, y = np.array(rows.matrix("dense", "train")), rows.target("train")
    few = {"iterations": 12} if name == "CatBoost" else QUICK | {"min_child_samples": 5}
    model_type = resolve_model_type(name).constrained({"size": way})
    params = {key: few[key] for key in few if key in parameters_of(model_type.load_class())}
    data = FitData.of(model_type.target, X, y, rows.categorical, names=rows.dense_names)
    estimator = fit(model_type, params, data, seed=7, threads=1).estimator
    grid = np.repeat(X[:20], 50, axis=0)
    grid[:, place] = np.tile(np.linspace(0, 100, 50), 20)
    steps = np.diff(predict(estimator, grid).reshape(20, 50), axis=1)
    assert (sign * steps >= -1e-9).all()
    assert way == "down" or steps.max() > 0.1


def test_one_that_cannot_keep_a_direction_is_refused_with_those_that_can():
    message = (
        "'Ridge' cannot keep what the dataset asks of size .*: use one of HistGradientBoostingRegressor, .*XGBoost"
    )
    with pytest.raises(ModelError, match=message):
        resolve_model_type("Ridge").constrained({"size": "up"})
