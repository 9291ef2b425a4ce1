"""A trial fits on train, is judged on validation, and its failure is an outcome."""

import pickle

import numpy as np
import pytest

from mlops_assets.core.learners.estimators import FitData, fit, predict
from mlops_assets.core.learners.model_types import resolve_model_type
from mlops_assets.core.learners.persistence import parse_estimator
from mlops_assets.core.metrics import score
from mlops_assets.core.search.trials import FitTrial, attempt
from mlops_assets.core.training_set import TrainingSet
from mlops_assets.errors import ModelError, StorageError


@pytest.fixture
def make_trial(training_set_folder):
    def make(name, **changes):
        options = {"seed": 7, "threads": 1} | changes
        return FitTrial(training_set_folder, resolve_model_type(name), **options)

    return make


@pytest.mark.parametrize("name, params", [("Ridge", {"alpha": 2.0}), ("XGBoost", {"n_estimators": 9})])
def test_a_trial_is_scored_on_validation_rows_and_carries_its_estimator(name, params, make_trial):
    trial = make_trial(name)
    outcome = trial(params, float("inf"))
    rows, kind = TrainingSet.load(trial.training_set), trial.model_type.matrix
    prediction = predict(parse_estimator(outcome.estimator), rows.matrix(kind, "validation"))
    expected = score(rows.target("validation"), prediction)
    assert outcome.loss == outcome.metrics["rmse"] == expected.rmse
    assert outcome.metrics == {"rmse": expected.rmse, "mae": expected.mae, "r2": expected.r2}
    assert outcome.rounds == (9 if name == "XGBoost" else None)


def test_only_a_trial_that_beats_the_best_known_loss_sends_its_estimator(make_trial):
    trial = make_trial("Ridge")
    loss = trial({"alpha": 2.0}, float("inf")).loss
    assert trial({"alpha": 2.0}, loss + 1e-9).estimator is not None
    assert trial({"alpha": 2.0}, loss).estimator is None


def test_a_trial_sees_rows_spread_over_the_split_and_all_of_validation(make_trial):
    trial = make_trial("Ridge", most_rows=50)
    rows = TrainingSet.load(trial.training_set)
    spread = np.arange(50) * rows.rows["train"] // 50
    data = FitData(rows.matrix("one_hot", "train")[spread], rows.target("train")[spread])
    expected = predict(
        fit(trial.model_type, {"alpha": 1.0}, data, seed=7, threads=1).estimator, rows.matrix("one_hot", "validation")
    )
    loss = trial({"alpha": 1.0}, 0).loss
    assert loss == score(rows.target("validation"), expected).rmse != make_trial("Ridge")({"alpha": 1.0}, 0).loss


def test_a_training_set_that_was_written_anew_is_read_anew(make_trial):
    trial = make_trial("Ridge")
    before = trial({"alpha": 1.0}, 0).loss
    folder = trial.training_set
    y = np.load(folder / "validation_y.npy")
    folder.rename(folder.with_name("old"))
    folder.mkdir()
    for path in folder.with_name("old").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    np.save(folder / "validation_y.npy", y + 1)
    assert trial({"alpha": 1.0}, 0).loss != before


def test_a_trial_can_be_sent_to_another_process(make_trial):
    trial = make_trial("XGBoost")
    assert pickle.loads(pickle.dumps(trial)) == trial


def test_what_the_parameters_break_is_a_text(objectives):
    picky = objectives.Picky()
    assert attempt(picky, {"x": 9}, 0).error == "UnpicklableError: 9 is too much"
    assert attempt(picky, {"x": 0}, 0).error == "the loss is nan"
    fine = attempt(picky, {"x": 2}, 0)
    assert (fine.error, fine.outcome.loss) == (None, 2)


def test_a_parameter_out_of_the_estimators_range_fails_its_trial(make_trial):
    assert "alpha" in attempt(make_trial("Ridge"), {"alpha": -1.0}, 0).error


def test_what_would_break_every_trial_is_raised(make_trial, tmp_path):
    with pytest.raises(ModelError, match="Ridge has no parameter 'alpa'"):
        attempt(make_trial("Ridge"), {"alpa": 1.0}, 0)
    (make_trial("Ridge").training_set / "about.json").write_text("{")
    with pytest.raises(StorageError, match="the training set is damaged"):
        attempt(make_trial("Ridge", most_rows=9), {"alpha": 1.0}, 0)
