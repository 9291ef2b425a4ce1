"""A model is one object: it answers from raw rows, alike before and after it was saved, and tells no secrets."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import yaml

from mlops_assets.core.columns import from_frame, from_rows, take
from mlops_assets.core.features.encoder import fit_encoder
from mlops_assets.core.learners.estimators import FitData, fit
from mlops_assets.core.learners.model_types import resolve_model_type
from mlops_assets.core.model import _load_pyfunc
from mlops_assets.core.model.model import Model, load_model
from mlops_assets.core.targets.kinds import target_of
from mlops_assets.dataset import load_dataset
from mlops_assets.dataset.target import Target
from mlops_assets.errors import InputError, ModelError

TYPES = {
    "Ridge": {},
    "HistGradientBoostingRegressor": {"max_iter": 5},
    "XGBoost": {"n_estimators": 5},
}
ENV = {"SHOP_DB": "postgresql://me:hunter2@db.example/shop", "TOWN_COLUMN": "KundenNr_Intern"}


def fit_model(spec, columns, name="Ridge"):
    inputs = {alias: columns[alias] for alias in spec.inputs()}
    model_type = resolve_model_type(name)
    fitted = fit_encoder(spec.features, inputs, columns["price"], seed=7)
    X = fitted.one_hot if model_type.matrix == "one_hot" else fitted.dense
    data = FitData(X, columns["price"], fitted.encoder.dense_categorical)
    estimator = fit(model_type, TYPES[name], data, seed=7, threads=1).estimator
    return Model(spec, fitted.encoder, estimator, name, model_type.matrix)


@pytest.fixture(params=TYPES)
def model(request, make_spec, make_columns):
    return fit_model(make_spec(), make_columns(500), request.param)


@pytest.fixture
def ridge(make_spec, make_columns):
    return fit_model(make_spec(), make_columns(500))


@pytest.fixture
def frame(make_columns):
    return pd.DataFrame(make_columns(200, seed=1)).drop(columns="price")


def json_rows(frame):
    """The rows as a caller sends them over HTTP."""
    plain = frame.assign(at=frame["at"].map(lambda at: at.isoformat() if pd.notna(at) else None)).astype(object)
    return json.loads(json.dumps(plain.where(plain.notna(), None).to_dict(orient="records")))


def test_a_loaded_model_predicts_as_before_bit_for_bit(model, frame, tmp_path):
    model.save(tmp_path)
    loaded = load_model(tmp_path)
    assert (loaded.model_type, loaded.matrix) == (model.model_type, model.matrix)
    prediction = model.predict(frame)
    assert prediction.dtype == np.float64 and prediction.shape == (200,)
    assert len(np.unique(prediction)) > 20
    np.testing.assert_array_equal(loaded.predict(frame), prediction)
    np.testing.assert_array_equal(_load_pyfunc(str(tmp_path)).predict(frame), prediction)


def test_single_rows_batches_and_json_get_one_answer(model, frame):
    batch = model.predict(frame)
    rows = json_rows(frame)
    np.testing.assert_array_equal(model.predict(rows), batch)
    np.testing.assert_array_equal(model.predict_columns(from_frame(frame, model.spec)), batch)
    for place in range(0, 200, 20):
        np.testing.assert_array_equal(model.predict([rows[place]]), batch[place : place + 1])


def test_the_same_rows_and_seed_give_the_same_files(make_spec, make_columns, tmp_path):
    for folder in (tmp_path / "first", tmp_path / "second"):
        folder.mkdir()
        fit_model(make_spec(), make_columns(300), "XGBoost").save(folder)
    for path in (tmp_path / "first").iterdir():
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes()


def test_rows_that_no_one_should_send_get_a_number_within_the_targets_range(model):
    rows = [{}, {"town": "Elsewhere", "zone": -1, "size": 1e300, "at": "0001-01-01"}, {"size": "inf", "town": ""}]
    prediction = model.predict(rows)
    assert np.isfinite(prediction).all()
    assert ((prediction >= 1) & (prediction <= 1000)).all()


def test_predictions_stay_within_what_the_target_may_be(make_spec, make_columns):
    columns = make_columns(500)
    wide = fit_model(make_spec(target={"column": "price", "keep": [1e-9, 1e9]}), columns)
    raw = wide.predict_columns(columns)
    assert raw.max() > 60 and raw.min() < 20
    narrow = replace(wide, spec=make_spec(target={"column": "price", "keep": [20, 60]}))
    np.testing.assert_array_equal(narrow.predict_columns(columns), np.clip(raw, 20, 60))


def test_no_rows_get_no_predictions(model, frame):
    assert model.predict([]).shape == model.predict(frame.iloc[:0]).shape == (0,)


def test_a_bad_row_is_an_input_error_that_names_it(ridge, frame):
    with pytest.raises(InputError, match="missing column.s.: zone"):
        ridge.predict(frame.drop(columns="zone"))
    with pytest.raises(InputError, match="size must be a number"):
        ridge.predict([{"size": "big"}])


def test_a_saved_model_tells_no_place_no_real_name_and_no_rule(tmp_path, tiny, make_columns):
    tiny["description"] = "Orders of ${SHOP_DB}"
    tiny["source"] = {"kind": "sql", "url": "${SHOP_DB}", "table": "inner_orders"}
    tiny["columns"]["town"] = {"from": "${TOWN_COLUMN}", "type": "text", "description": "In ${SHOP_DB}"}
    tiny["columns"]["zone"] = {"from": "ZONE_SECRET", "type": "integer"}
    tiny["rows"] = [{"name": "no friends of the house", "column": "town", "none_of": ["Secretville"]}]
    (tmp_path / "shop.yaml").write_text(yaml.safe_dump(tiny))
    spec = load_dataset(str(tmp_path / "shop.yaml"), ENV)
    folder = tmp_path / "model"
    folder.mkdir()
    fit_model(spec, make_columns(200)).save(folder)
    written = b"".join(path.read_bytes() for path in folder.iterdir())
    for secret in (*ENV.values(), "hunter2", "inner_orders", "ZONE_SECRET", "no friends", "Secretville"):
        assert secret.encode() not in written
    assert load_model(folder).spec.source_name("town") == "town"


def test_a_target_without_an_upper_end_survives_saving(make_spec, make_columns, frame, tmp_path):
    spec = make_spec(target={"column": "price", "keep": [1, float("inf")]})
    model = fit_model(spec, make_columns(200))
    model.save(tmp_path)
    assert load_model(tmp_path).spec.target.keep == (1, float("inf"))
    np.testing.assert_array_equal(load_model(tmp_path).predict(frame), model.predict(frame))


def test_every_damaged_file_of_a_model_is_a_model_error(model, tmp_path):
    model.save(tmp_path)
    for path in sorted(tmp_path.iterdir()):
        content = path.read_bytes()
        for damage in (b"", content[: len(content) // 2], b"[]", content[:-1] + bytes([content[-1] ^ 1])):
            path.write_bytes(damage)
            with pytest.raises(ModelError, match="the saved model is damaged"):
                load_model(tmp_path)
        path.unlink()
        with pytest.raises(ModelError, match="the saved model is damaged"):
            load_model(tmp_path)
        path.write_bytes(content)
    load_model(tmp_path)


@pytest.mark.parametrize("number", [1, 4])
def test_a_model_of_another_format_is_told_as_such(ridge, tmp_path, number):
    ridge.save(tmp_path)
    about = json.loads((tmp_path / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps(about | {"format": number}))
    with pytest.raises(ModelError, match=f"has format {number}; this version reads 2 and 3: train it again"):
        load_model(tmp_path)


# Answers


def test_an_answer_has_prediction_interval_and_flags_from_one_pass(final_model):
    model = final_model("XGBoost")
    rows = [{"town": "Ay", "zone": 2, "size": 20, "at": "2024-02-10T12:00"}, {"town": "Nowhere", "size": 1e6}]
    answers = model.answer_rows(rows)
    assert len(answers) == 2
    np.testing.assert_array_equal(answers.prediction, model.predict(rows))
    assert (answers.low < answers.prediction).all() and (answers.prediction <= answers.high).all()
    assert {name: flags.tolist() for name, flags in answers.out_of_range.items()} == {"size": [False, True]}
    assert {name: flags.tolist() for name, flags in answers.unseen.items()} == {"town": [False, True]}
    assert model.coverage == 0.9
    assert [item.name for item in model.signature] == list(model.spec.inputs())


def test_intervals_stay_within_what_the_target_may_be(final_model):
    model = final_model("Ridge")
    low, high = model.spec.target.keep
    answers = model.answer_rows(model.golden.rows)
    assert (answers.low >= low).all() and (answers.high <= high).all()
    assert (answers.low == low).any() and (answers.high == high).any()


def test_a_model_without_intervals_says_so_by_nan_and_no_rows_get_no_answers(ridge, final_model):
    answers = ridge.answer_rows([{}])
    assert np.isfinite(answers.prediction).all() and np.isnan([answers.low, answers.high]).all()
    assert ridge.coverage is None
    assert len(final_model("Ridge").answer_rows([])) == 0
    assert answers.arrow(3)["low"].null_count == 1 and answers.arrow(3)["model_version"].to_pylist() == [3]


def test_what_the_newest_period_lay_above_its_predictions_is_in_every_answer_as_far_as_it_persists(
    final_model, tmp_path
):
    plain = final_model("XGBoost")
    model = replace(plain, finish=plain.kind.learn(np.array([10.0, 20]), np.array([14.0, 20]), 0.9, persistence=0.25))
    rows = model.golden.rows[:20]
    columns = from_rows(rows, model.spec)
    low, high = model.spec.target.keep
    expected = np.clip(plain._raw(columns) + 0.5, low, high)
    np.testing.assert_array_equal(model.answer(columns).prediction, expected)
    np.testing.assert_array_equal(model.output(columns), expected)
    alone = [model.answer_rows([row]) for row in rows]
    np.testing.assert_array_equal(np.concatenate([answers.prediction for answers in alone]), expected)
    told, before = model.contributions(columns), plain.contributions(columns)
    np.testing.assert_array_equal(told.values, before.values)
    np.testing.assert_array_equal(told.base, before.base + 0.5)
    model.save(tmp_path)
    assert load_model(tmp_path).finish == model.finish
    newer = model.renewed(columns, plain._raw(columns) - 8)
    assert newer.kind.added(newer.finish) == pytest.approx(-2)


@pytest.mark.parametrize("target", [{"metric": "mae"}, {"kind": "count"}, {"transform": "log"}])
def test_a_level_is_for_means_of_plain_numbers(target):
    kind = target_of(Target(column="y", **target))
    finish = kind.learn(np.array([1.0, 2]), np.array([3.0, 4]), 0.9, persistence=0.5)
    assert kind.added(finish) == 0
    assert kind.renew(finish, lambda: np.ones(2), np.ones(2)) is finish


def test_a_loaded_final_model_has_every_part(final_model, tmp_path):
    model = final_model("HistGradientBoostingRegressor")
    model.save(tmp_path)
    loaded = load_model(tmp_path)
    assert loaded.signature == model.signature
    assert loaded.golden.rows == model.golden.rows
    answers, expected = loaded.answer_rows(model.golden.rows), model.answer_rows(model.golden.rows)
    for name in ("prediction", "low", "high"):
        np.testing.assert_array_equal(getattr(answers, name), getattr(expected, name))
    np.testing.assert_array_equal(loaded.background.row, model.background.row)


def test_a_batch_is_answered_as_its_rows_are_in_groups_of_any_size(final_model, orders):
    """Few rows take another way through XGBoost than many: the numbers are the same."""
    made = orders(300, seed=9)
    for name in ("XGBoost", "Ridge"):
        model = final_model(name)
        columns = {alias: made[alias] for alias in model.spec.inputs()}
        whole = model.answer(columns)
        for size in (1, 7, 64, 65):
            parts = [model.answer(take(columns, slice(start, start + size))) for start in range(0, 300, size)]
            for end in ("prediction", "low", "high"):
                np.testing.assert_array_equal(
                    np.concatenate([getattr(part, end) for part in parts]), getattr(whole, end)
                )
