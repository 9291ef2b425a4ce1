"""The search as an asset: a budget that may grow, a warm start, trials in MLflow, a failure of its own."""

import json

import pytest

from mlops_assets.assets.hyperparameters import Budget, TuningConfig
from mlops_assets_tests.assets.conftest import failure_of
from mlops_assets_tests.homes import write_yaml


@pytest.fixture(scope="module")
def lab(new_workshop):
    """A workshop with a training set, on which tests may search."""
    return new_workshop(MLOPS_MODEL_TYPES="Ridge,Lasso,LinearRegression,LinearSVR").make_up_to("training_set")


def trials_of(workshop, model_type):
    """Trials in MLflow by their number, and the searches above them."""
    runs = {run.info.run_id: run for run in workshop.mlflow_runs()}
    found = [run for run in runs.values() if "trial" in run.data.tags and run.data.tags["model_type"] == model_type]
    parents = {runs[run.data.tags["mlflow.parentRunId"]].info.run_id for run in found}
    return {int(run.data.tags["trial"]): run for run in found}, parents


def test_the_budget_is_the_usual_one_where_the_config_gives_none():
    usual = Budget(7, 60)
    assert TuningConfig().budget(usual) == usual
    assert TuningConfig(max_trials=3, tuning_seconds=5).budget(usual) == Budget(3, 5)


def test_a_search_records_its_best_trial_and_how_it_went(workshop):
    record = workshop.record("hyperparameters", "Ridge")
    trials, parents = trials_of(workshop, "Ridge")
    assert record.value("trials") == len(trials) == 3
    assert record.value("stopped_by") == "max_trials"
    assert record.value("failed_trials") == record.value("resumed_trials") == 0
    best = min(trials.values(), key=lambda run: run.data.metrics["validation_rmse"])
    assert record.value("validation_rmse") == best.data.metrics["validation_rmse"]
    (search,) = (run for run in workshop.mlflow_runs() if run.info.run_id in parents)
    assert search.data.metrics["validation_rmse"] == record.value("validation_rmse")
    assert [it.dataset.digest for it in search.inputs.dataset_inputs] == [workshop.record("training_set").content[:12]]
    client = workshop.project.tracking.client
    assert {item.path for item in client.list_artifacts(search.info.run_id, "search")} == {
        "search/history.svg",
        "search/trials.csv",
    }
    assert record.value("best_parameters") == {name: json.loads(text) for name, text in best.data.params.items()}
    assert [record.value("mlflow_run").endswith(parent) for parent in parents] == [True]
    assert f"`{json.dumps(record.value('best_parameters'))}`" in record.value("best_trials")


def test_xgboost_records_the_rounds_of_its_best_trial(workshop):
    record = workshop.record("hyperparameters", "XGBoost")
    best = min(trials_of(workshop, "XGBoost")[0].values(), key=lambda run: run.data.metrics["validation_rmse"])
    assert record.value("rounds") == best.data.metrics["rounds"] > 0


def test_a_larger_budget_goes_on_where_the_smaller_one_ended(lab):
    assert lab.make("hyperparameters", "LinearSVR", {"max_trials": 2}).success
    first, earlier_parents = trials_of(lab, "LinearSVR")
    assert lab.make("hyperparameters", "LinearSVR", {"max_trials": 4}).success
    record = lab.record("hyperparameters", "LinearSVR")
    assert (record.value("trials"), record.value("resumed_trials")) == (4, 2)
    assert record.value("reason") == "settings: max_trials 2 -> 4"
    trials, parents = trials_of(lab, "LinearSVR")
    assert sorted(trials) == [1, 2, 3, 4]
    assert trials[1].info.run_id == first[1].info.run_id
    assert len(parents) == 1 and not parents & earlier_parents  # all trials stand below the newest search


def test_a_smaller_budget_asks_for_nothing(lab):
    lab.make("hyperparameters", "Ridge", {"max_trials": 4})
    before = lab.record("hyperparameters", "Ridge").value("trials")
    assert lab.make("hyperparameters", "Ridge", {"max_trials": 1}).success
    record = lab.record("hyperparameters", "Ridge")
    assert record.value("recomputed") is False
    assert record.value("trials") == before


def test_another_search_tries_the_best_parameters_known_first(lab):
    lab.make("hyperparameters", "LinearRegression")
    best = lab.record("hyperparameters", "LinearRegression").value("best_parameters")
    other = {"fit_intercept": False}  # not that of the space that ships; which is best hangs on the machine's rounding
    choice = {"choice": [True, False]}
    space = {"LinearRegression": {"parameters": {"fit_intercept": choice}, "start": other}}
    lab.change(MLOPS_SEARCH_SPACES=write_yaml(lab.home.folder / "spaces.yaml", space))
    assert lab.make("hyperparameters", "LinearRegression").success
    searches = {run.data.tags["search"] for run in lab.mlflow_runs() if run.info.run_name == "tune LinearRegression"}
    assert len(searches) == 2
    firsts = [run for run in lab.mlflow_runs() if run.info.run_name == "LinearRegression trial 1"]
    assert json.loads(firsts[0].data.params["fit_intercept"]) == best["fit_intercept"]  # newest first


def test_a_model_type_whose_trials_all_fail_says_why_and_is_not_tried_again_by_itself(lab):
    spaces = {"Lasso": {"parameters": {"alpha": {"fixed": -1}}}}
    lab.change(MLOPS_SEARCH_SPACES=write_yaml(lab.home.folder / "wrong.yaml", spaces))
    result = lab.make("hyperparameters", "Lasso")
    assert not result.success
    assert failure_of(result).startswith("all 1 trials failed; the first: InvalidParameterError: The 'alpha'")
    assert lab.record("hyperparameters", "Lasso") is None
    runs = [run for run in lab.mlflow_runs() if run.data.tags["model_type"] == "Lasso"]
    assert sorted(run.info.run_name for run in runs) == ["Lasso trial 1", "tune Lasso"]  # one attempt, not three
    assert {run.info.status for run in runs} == {"FAILED"}


def test_a_training_set_that_is_damaged_is_named(own_workshop):
    file = own_workshop.project.home / own_workshop.record("training_set").path / "train_y.npy"
    file.write_bytes(b"no numbers")
    told = failure_of(own_workshop.make("hyperparameters", "Ridge", {"max_trials": 9}))
    assert told.endswith("is damaged, and counts as missing now: materialise the asset that makes it again")
