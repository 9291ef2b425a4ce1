"""An ensemble is one model: it answers, explains itself, is saved and is checked as any other."""

from dataclasses import replace

import numpy as np
import pytest

from mlops_assets.core.learners.estimators import predict
from mlops_assets.core.model.ensemble import blended
from mlops_assets.core.model.model import load_model
from mlops_assets.errors import ModelError
from mlops_assets_tests.core.examples import MEMBERS


@pytest.fixture
def ensemble(final_model):
    return final_model("Ensemble")


def test_it_answers_the_weighted_sum_of_its_members(ensemble, final_model, orders):
    columns = {alias: orders(200, seed=5)[alias] for alias in ensemble.spec.inputs()}
    expected = np.zeros(200)
    for name, weight in MEMBERS.items():
        model = final_model(name)
        expected += weight * predict(
            model.estimator, model.encoder.transform(model.spec.features, columns, model.matrix)
        )
    np.testing.assert_allclose(ensemble.output(columns), np.clip(expected, *ensemble.spec.target.keep), rtol=1e-9)
    assert ensemble.matrix == "both"


def test_a_saved_one_has_a_file_for_each_member_and_answers_the_same_bits(ensemble, tmp_path):
    ensemble.save(tmp_path)
    assert {"ensemble.json", "0.estimator.ubj", "1.estimator.skops"} <= {path.name for path in tmp_path.iterdir()}
    loaded = load_model(tmp_path)
    loaded.self_check()
    rows = ensemble.golden.rows
    assert np.array_equal(loaded.answer_rows(rows).prediction, ensemble.answer_rows(rows).prediction)


def test_one_with_a_damaged_list_of_members_is_refused(ensemble, tmp_path):
    ensemble.save(tmp_path)
    (tmp_path / "ensemble.json").write_text("[1]")
    with pytest.raises(ModelError, match="damaged"):
        load_model(tmp_path)


def test_members_that_did_not_learn_from_the_same_rows_are_refused(final_model):
    other = final_model("Ridge", rows=400)
    with pytest.raises(ModelError, match="golden rows differ|cannot answer"):
        blended({"XGBoost": final_model("XGBoost"), "Ridge": other}, MEMBERS, None, None)


def test_an_ensemble_is_no_member_and_neither_is_a_trial(ensemble, final_model):
    with pytest.raises(ModelError, match="no member of another"):
        blended({"XGBoost": ensemble, "Ridge": final_model("Ridge")}, MEMBERS, None, None)
    with pytest.raises(ModelError, match="without golden rows"):
        blended({"XGBoost": replace(final_model("XGBoost"), golden=None)}, MEMBERS, None, None)
