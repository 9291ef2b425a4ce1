"""The whole pipeline on real flights, as a user sees it: four periods, two model types that work and one that fails."""

import json
from collections import Counter
from math import isclose

import dagster as dg
import numpy as np
import pyarrow.compute as pc
import pytest

from mlops_assets_tests.homes import copy_dataset, write_few_trees

PERIODS = ["2013-01", "2013-02", "2013-03", "2013-04"]
FLIGHT = {
    "departure_at": "2013-05-01T08:00",
    "scheduled_departure": 800,
    "scheduled_arrival": 1130,
    "carrier": "UA",
    "origin": "EWR",
    "destination": "LAX",
    "distance": 2454,
}


@pytest.fixture(scope="module")
def home(new_home):
    home = new_home(MLOPS_MODEL_TYPES="Ridge,Lasso,XGBoost", MLOPS_MAX_TRIALS="2", MLOPS_TUNING_ROWS="5000")
    time = {"column": "departure_at", "first": "2013-01", "last": "2013-04"}
    copy_dataset(home, "nyc_flights", time=time, window={"train_periods": 2})
    lasso = {"parameters": {"alpha": {"fixed": -1}}}  # not a value that Lasso takes
    home.env["MLOPS_SEARCH_SPACES"] = write_few_trees(home.folder, Lasso=lasso)
    return home


@pytest.fixture(scope="module")
def answer(home):
    """What the first run said."""
    return home.command("run")


@pytest.fixture(scope="module")
def champion(home, answer):
    return home.record("champion_model")


@pytest.fixture(scope="module")
def runs(home, answer):
    """All MLflow runs by id."""
    tracking = home.project().tracking
    return {run.info.run_id: run for run in tracking.client.search_runs([tracking.experiment_id])}


def test_fault_11_a_model_type_that_fails_is_told_and_stops_no_other(answer, champion):
    assert answer.code == 1
    assert "hyperparameters[Lasso] failed: all 1 trials failed; the first: InvalidParameterError: " in answer.out
    assert "Without a model for this training set: Lasso" in answer.out
    assert champion.value("not_fitted") == "Lasso"
    assert champion.value("decision") == "promoted"
    assert "Traceback" not in answer.out + answer.err


def test_the_run_ends_with_a_leaderboard_a_verdict_and_an_example(answer, champion):
    assert "Leaderboard (RMSE in minutes)" in answer.out
    assert champion.value("verdict") in answer.out
    assert f"Champion: version {champion.value('champion_version')}, " in answer.out
    assert "For example: departure_at=2013-04-0" in answer.out
    *candidates, mean, route = champion.value("leaderboard_rows")
    assert sorted(row["model"] for row in candidates) == ["Ridge", "XGBoost"]
    assert candidates[0]["validation_loss"] < candidates[1]["validation_loss"]
    assert (mean["model"], route["model"]) == ("mean", "mean of origin and destination")


def test_every_asset_is_recorded_with_what_it_was_made_from(home, answer):
    rows = {period: record.value("dagster/row_count") for period, record in home.records("raw_data").items()}
    assert rows == dict(zip(PERIODS, [27_004, 24_951, 28_834, 28_330], strict=True))
    cleaned = home.records("clean_data")
    assert list(cleaned) == PERIODS
    training_set = home.record("training_set")
    assert training_set.value("train_periods") == "2013-01, 2013-02"
    assert (training_set.value("validation_periods"), training_set.value("test_periods")) == ("2013-03", "2013-04")
    assert training_set.value("dagster/row_count") == sum(r.value("dagster/row_count") for r in cleaned.values())
    assert set(training_set.recipe.parts["data"]) == set(PERIODS)
    assert list(home.records("hyperparameters")) == ["Ridge", "XGBoost"]
    assert list(home.records("sklearn_model")) == ["Ridge"]
    assert list(home.records("predictions")) == PERIODS


def test_the_champion_beats_the_baselines_and_holds_the_alias(home, champion):
    version = home.project().registry.champion()
    assert version.number == champion.value("champion_version")
    winner = champion.value("champion_type")
    rmse = {row["model"]: row["loss"] for row in champion.value("leaderboard_rows")}
    assert rmse[winner] < rmse["mean of origin and destination"] < rmse["mean"]
    assert version.tags["periods"] == ",".join(PERIODS)
    assert version.tags["verdict"] == champion.value("verdict")
    candidate = home.project().registry.version(int(version.tags["candidate"]))
    assert (candidate.tags["role"], candidate.model_type) == ("candidate", winner)


def test_every_raw_row_has_a_prediction_with_the_models_version(home, champion):
    record = home.record("predictions", "2013-04")
    table = home.project().storage.read_table(record.path)
    assert table.column_names == ["row_id", "prediction", "low", "high", "model_version", "lacks_inputs"]
    assert table.num_rows == home.record("raw_data", "2013-04").value("dagster/row_count")
    assert pc.unique(table["model_version"]).to_pylist() == [champion.value("champion_version")]
    limits = pc.min_max(table["prediction"]).as_py()
    assert limits["min"] >= 10 and limits["max"] <= 720
    assert 0.85 < record.value("coverage") < 0.95


def test_a_second_run_computes_nothing_and_starts_no_run(home, answer):
    before = home.run_ids()
    again = home.command("run", MLOPS_MODEL_TYPES="Ridge,XGBoost")
    assert again.code == 0
    assert "Nothing to do: every asset is up to date." in again.out
    assert home.run_ids() == before
    assert "yes" not in home.command("why", "all", MLOPS_MODEL_TYPES="Ridge,XGBoost").out


def test_every_mlflow_run_has_ended_and_is_linked_with_its_dagster_run(home, runs, champion):
    names = {run.info.run_name: run.info.status for run in runs.values()}
    assert names["tune Ridge"] == names["tune XGBoost"] == names["fit Ridge"] == "FINISHED"
    assert names["fit XGBoost"] == names[f"champion {champion.value('champion_type')}"] == "FINISHED"
    assert names["tune Lasso"] == names["Lasso trial 1"] == "FAILED"
    assert set(names.values()) == {"FINISHED", "FAILED"}
    with home.instance() as instance:
        for run in runs.values():
            dagster_run = instance.get_run_by_id(run.data.tags["dagster_run_id"])
            assert dagster_run.is_finished
            if "trial" not in run.data.tags:
                assert run.data.tags["dagster_run_id"] == dagster_run.run_id
                told = [entry.user_message for entry in instance.all_logs(dagster_run.run_id)]
                assert any(message.endswith(run.info.run_id) for message in told)
    record = home.record("sklearn_model", "Ridge")
    assert runs[record.value("mlflow_run").rpartition("/")[2]].data.tags["dagster_run_id"] == record.run_id


def test_fault_3_each_trial_is_a_child_of_its_search_with_typed_parameters(home, runs):
    trials = [run for run in runs.values() if run.data.tags.get("model_type") == "Ridge" and "trial" in run.data.tags]
    assert sorted(run.data.tags["trial"] for run in trials) == ["1", "2"]
    assert {runs[run.data.tags["mlflow.parentRunId"]].info.run_name for run in trials} == {"tune Ridge"}
    record = home.record("hyperparameters", "Ridge")
    best = min(trials, key=lambda run: run.data.metrics["validation_rmse"])
    assert best.data.metrics["validation_rmse"] == record.value("validation_rmse")
    assert json.loads(best.data.params["alpha"]) == record.value("best_parameters")["alpha"]


def test_only_the_best_trial_and_the_final_models_carry_a_model(home, runs, champion):
    tracking = home.project().tracking
    logged = tracking.client.search_logged_models([tracking.experiment_id])
    carriers = [runs[model.source_run_id] for model in logged]
    names = sorted(run.info.run_name for run in carriers)
    trials = [name for name in names if " trial " in name]
    winner = champion.value("champion_type")
    assert sorted(set(names) - set(trials)) == [f"champion {winner}", "fit Ridge", "fit XGBoost"]
    assert sorted(name.split()[0] for name in trials) == ["Ridge", "XGBoost"]
    assert len(names) == 5


def test_fault_4_a_logged_model_answers_from_a_raw_row_in_mlflow_alone(home, champion):
    import mlflow
    import pandas as pd

    told = home.command("predict", write_row(home, FLIGHT))
    assert told.code == 0, told
    prediction = json.loads(told.out)["prediction"]
    mlflow.set_tracking_uri(home.project().settings.tracking)
    model = mlflow.pyfunc.load_model("models:/nyc_flights@champion")
    assert {column.name for column in model.metadata.signature.inputs} == set(FLIGHT)
    row = pd.DataFrame([FLIGHT | {"distance": 2454.0, "departure_at": pd.Timestamp(FLIGHT["departure_at"])}])
    assert isclose(model.predict(row)[0], prediction, abs_tol=1e-5)
    assert 270 < prediction < 400


def test_fault_6_two_routes_get_two_answers(home, champion):
    rows = [FLIGHT, FLIGHT | {"destination": "SFO"}, FLIGHT | {"destination": "nowhere"}]
    told = home.command("predict", write_row(home, rows))
    answers = [json.loads(line)["prediction"] for line in told.out.splitlines()]
    assert len(set(answers)) == 3 and np.isfinite(answers).all()


def write_row(home, row) -> str:
    path = home.folder / "row.json"
    path.write_text(json.dumps(row))
    return str(path)


def test_every_check_of_every_period_was_made(home, answer):
    with home.instance() as instance:
        for asset, count in (("raw_data", 7), ("clean_data", 3)):
            runs = instance.get_runs(dg.RunsFilter(job_name={"raw_data": "ingest", "clean_data": "clean"}[asset]))
            (run,) = runs
            events = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
            checks = [event.dagster_event.event_specific_data for event in events]
            assert Counter(check.partition for check in checks) == dict.fromkeys(PERIODS, count)
            assert all(check.passed for check in checks)


def test_why_tells_settings_that_change_and_all_that_is_below(home, answer):
    told = home.command("why", "all", MLOPS_SEED="8", MLOPS_MODEL_TYPES="Ridge,XGBoost").out
    lines = {line.split("│")[1].strip(): line for line in told.splitlines() if line.startswith("│")}
    assert "nothing changed" in lines["clean_data[2013-04]"]
    assert "settings: seed 7 -> 8" in lines["training_set"]
    assert "training_set will be made again" in lines["hyperparameters[Ridge]"]
    assert "champion_model will be made again" in lines["predictions[2013-04]"]
