"""Intervals of quantiles in whole models: the same on every path, as wide as the noise, within what is kept."""

import json

import numpy as np
import pytest

from mlops_assets.core.columns import from_rows, take
from mlops_assets.core.features.derive import derive
from mlops_assets.core.features.encoder import fit_encoder
from mlops_assets.core.learners.estimators import FitData
from mlops_assets.core.model import quantiles
from mlops_assets.core.model.golden_rows import difference
from mlops_assets.core.model.model import load_model
from mlops_assets.core.model.quantiles import QuantileTrees
from mlops_assets.core.targets.numbers import NUMBER
from mlops_assets.dataset import DatasetSpec
from mlops_assets.errors import ModelError
from mlops_assets_tests.core.examples import fit_final_model
from mlops_assets_tests.tiny import TINY, random_columns

NAMES = ("Ridge", "XGBoost", "HistGradientBoostingRegressor", "Ensemble")
LOG = {"transform": "log", "metric": "mae"}
NUMBERS = ("prediction", "low", "high")


def noisy_columns(n, seed=0):
    """Rows whose price varies by 1 in one town and by 12 in others; what is expected is by size alone."""
    columns = random_columns(n, seed)
    spread = np.where(columns["town"] == "Ay", 1.0, 12.0)
    noise = np.random.default_rng(seed + 100).normal(size=n)
    return columns | {"price": np.clip(60 + np.nan_to_num(columns["size"]) / 4 + spread * noise, 1.5, 990)}


def spec_of(target):
    return DatasetSpec.model_validate(TINY | {"target": target})


@pytest.fixture(scope="module")
def quantile_model():
    """A function that gives a model of a type with intervals of quantiles, made once."""
    made = {}

    def model(name, **target):
        key = (name, *target)
        if key not in made:
            spec = spec_of({"column": "price", "keep": [1, 1000], "intervals": "quantiles"} | target)
            made[key] = fit_final_model(spec, name, rows=3_000, make=noisy_columns)
        return made[key]

    return model


@pytest.fixture(scope="module", params=[*((name, {}) for name in NAMES), ("Ridge", LOG)], ids=str)
def model(request, quantile_model):
    name, target = request.param
    return quantile_model(name, **target)


def test_columns_json_one_row_and_a_loaded_model_give_the_same_ends(model, tmp_path):
    model.save(tmp_path)
    loaded = load_model(tmp_path)
    loaded.self_check()
    rows = json.loads(json.dumps(model.golden.rows))
    expected = model.golden.expected
    assert np.isfinite(expected["low"]).sum() > 100
    answered = {
        "columns": model.answer(from_rows(rows, model.spec)).numbers,
        "loaded": loaded.answer_rows(rows).numbers,
    }
    for one in (model, loaded):
        alone = [one.answer_rows([row]) for row in rows]
        answered[f"one by one, {one is loaded}"] = {
            name: np.array([answer.numbers[name][0] for answer in alone]) for name in NUMBERS
        }
    for path, numbers in answered.items():
        for name in NUMBERS:
            assert difference(numbers[name], expected[name]).max() <= 1e-9, (path, name)


def test_intervals_hold_as_often_as_asked_where_it_is_calm_and_where_it_is_not(model):
    columns = noisy_columns(20_000, seed=5)
    answers = model.answer({alias: columns[alias] for alias in model.spec.inputs()})
    held, width = answers.held(columns["price"]), answers.high - answers.low
    is_calm = columns["town"] == "Ay"
    assert np.nanmean(held) == pytest.approx(0.9, abs=0.04)
    assert np.nanmean(held[is_calm]) > 0.8 and np.nanmean(held[~is_calm]) > 0.8
    assert np.nanmean(width[~is_calm]) > 2.5 * np.nanmean(width[is_calm])


def test_an_interval_holds_its_prediction_and_stays_within_what_is_kept(quantile_model):
    model = quantile_model("Ridge", keep=[55, 75])
    columns = noisy_columns(2_000, seed=6)
    answers = model.answer({alias: columns[alias] for alias in model.spec.inputs()})
    known = np.isfinite(answers.low)
    low, said, high = (values[known] for values in (answers.low, answers.prediction, answers.high))
    assert (low <= said).all() and (said <= high).all()
    assert low.min() == 55 and high.max() == 75


def test_trees_that_were_altered_are_refused(quantile_model, tmp_path):
    quantile_model("Ridge").save(tmp_path)
    path = tmp_path / "intervals.npz"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelError, match=r"intervals.npz is not what was written"):
        load_model(tmp_path)


def test_quantiles_are_fitted_once_a_process_on_the_same_rows(monkeypatch):
    monkeypatch.setattr(quantiles, "_RECENT", {})
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 2)).astype(np.float32), rng.normal(size=300)

    def fitted(y, coverage=0.9):
        return QuantileTrees.fit(None, FitData(X, y, (False, False)), coverage, seed=7, threads=1)

    first = fitted(y)
    assert fitted(y.copy()).low is first.low
    for other in (fitted(y + 1), fitted(y, coverage=0.8)):
        assert not np.array_equal(other.low, first.low)
    assert len(quantiles._RECENT) == quantiles.KEPT
    assert np.array_equal(fitted(y).low, first.low)


def test_quantiles_are_the_same_whatever_the_number_of_threads(monkeypatch):
    features = spec_of({"column": "price", "keep": [1, 1000]}).features
    columns = noisy_columns(30_000)
    encoded = fit_encoder(features, columns, columns["price"], 7)
    data = FitData.of(NUMBER, encoded.dense, columns["price"], encoded.encoder.dense_categorical)
    learnt = []
    for threads in (1, 2):
        monkeypatch.setattr(quantiles, "_RECENT", {})
        learnt.append(QuantileTrees.fit(encoded.encoder, data, 0.9, seed=7, threads=threads))
    one, two = learnt
    few = derive(features, take(columns, slice(0, 500)))
    assert np.array_equal(one.ends(few), two.ends(few))
