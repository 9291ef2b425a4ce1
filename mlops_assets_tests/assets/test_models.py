"""Final models: fitted on the train split alone, registered, and able to answer from raw rows."""

import numpy as np
import pytest

from mlops_assets.assets.models import held_out_output
from mlops_assets.core.training_set import TrainingSet
from mlops_assets.errors import ModelError
from mlops_assets.resources.mlflow.rehearsal import Rehearsals
from mlops_assets_tests.assets.conftest import failure_of

MODELS = [("sklearn_model", "Ridge"), ("xgboost_model", None)]


@pytest.mark.parametrize(("asset", "partition"), MODELS)
def test_a_final_model_is_registered_with_all_that_it_was_made_from(workshop, asset, partition):
    record = workshop.record(asset, partition)
    name = record.value("model_type")
    tuned, built = workshop.record("hyperparameters", name), workshop.record("training_set")
    version = workshop.project.registry.version(record.value("version"))
    assert version.model_type == name
    assert version.tags["role"] == "candidate"
    assert version.tags["training_set"] == built.content
    assert version.tags["recipe"] == record.recipe.digest
    assert record.value("best_parameters") == tuned.value("best_parameters")
    run = workshop.project.tracking.client.get_run(version.run_id)
    assert run.data.tags["dagster_run_id"] == record.run_id
    assert record.value("mlflow_run").endswith(version.run_id)
    assert run.data.metrics["validation_rmse"] == record.value("validation_rmse")


@pytest.mark.parametrize(("asset", "partition"), MODELS)
def test_a_final_model_is_its_best_trial_once_more(workshop, asset, partition):
    """Same rows, parameters and, for XGBoost, rounds: fault 5 was to stop on the training rows instead."""
    record = workshop.record(asset, partition)
    tuned = workshop.record("hyperparameters", record.value("model_type"))
    assert record.value("validation_rmse") == pytest.approx(tuned.value("validation_rmse"), rel=1e-6)
    assert record.value("rounds") == tuned.value("rounds")


@pytest.mark.parametrize(("asset", "partition"), MODELS)
def test_fault_4_a_logged_model_scores_raw_rows_as_it_was_judged(workshop, asset, partition):
    """The gate asks models of the matrix's path and of the raw rows' path alike: there is one."""
    record = workshop.record(asset, partition)
    cleaned = workshop.project.storage.read_table(workshop.record("clean_data", "2024-03").path).to_pandas()
    prediction = workshop.project.registry.load(record.value("version")).predict(cleaned[["zone", "size"]])
    assert prediction.min() >= 1  # kept within the target's range
    rmse = float(np.sqrt(np.mean((prediction - cleaned["target"]) ** 2)))
    leaderboard = workshop.record("champion_model").value("leaderboard_rows")
    judged = {row["version"]: row["loss"] for row in leaderboard if row["role"] == "candidate"}
    assert rmse == pytest.approx(judged[record.value("version")], rel=1e-9)


@pytest.mark.parametrize(("asset", "partition"), MODELS)
def test_what_is_judged_has_learnt_from_all_but_the_test_rows(workshop, asset, partition):
    record = workshop.record(asset, partition)
    version = workshop.project.registry.version(record.value("version"))
    assert version.tags["learnt_periods"] == "2024-01,2024-02"
    rows = sum(workshop.record("clean_data", period).value("dagster/row_count") for period in ("2024-01", "2024-02"))
    assert record.value("fit_rows") == rows
    assert record.value("validation_plot").startswith("![predicted against true](data:image/svg+xml;base64,")


def test_rows_of_the_test_period_touch_no_fitted_thing(workshop, new_workshop):
    """With another test period, encoders, searches and candidates stay what they are."""
    other = new_workshop(MLOPS_MODEL_TYPES="Ridge,XGBoost")
    sales = other.home.folder / "sales" / "sales_2024-03.csv"
    sales.write_text("at,zone,size,price\n" + "2024-03-01T10:00,77,1000,999\n" * 300)
    other.make_up_to("training_set")
    for name in ("Ridge", "XGBoost"):
        assert other.make("hyperparameters", name).success
    assert other.make("sklearn_model", "Ridge").success and other.make("xgboost_model").success
    sets = [TrainingSet.load(w.project.storage.local_folder(w.record("training_set").path)) for w in (workshop, other)]
    assert sets[0].one_hot_names == sets[1].one_hot_names
    assert not np.array_equal(sets[0].target("test"), sets[1].target("test"))
    rows = [{"zone": zone, "size": size} for zone in (1, 3, 77) for size in (5.0, 50.0, 1000.0)]
    for asset, partition in MODELS:
        records = [w.record(asset, partition) for w in (workshop, other)]
        assert records[0].value("best_parameters") == records[1].value("best_parameters")
        assert records[0].value("validation_rmse") == records[1].value("validation_rmse")
        models = [
            w.project.registry.load(record.value("version"))
            for w, record in zip((workshop, other), records, strict=True)
        ]
        assert models[0].predict(rows).tolist() == models[1].predict(rows).tolist()


def test_a_model_without_a_training_set_says_what_to_make_first(new_workshop):
    told = failure_of(new_workshop().make("sklearn_model", "Ridge"))
    assert told == "training_set has not been materialised: do that first"


@pytest.mark.parametrize(("asset", "partition"), MODELS)
@pytest.mark.parametrize("left", [None, b"", b"{ damaged"])
def test_the_fit_on_the_train_split_is_the_best_trials_own_or_the_same_again(
    workshop_up_to, monkeypatch, asset, partition, left
):
    name = partition or "XGBoost"
    workshop = workshop_up_to("hyperparameters", MLOPS_MODEL_TYPES=name)
    kept = [*workshop.project.home.rglob(f"searches/{name}-*/*.model")]
    assert len(kept) == 1
    with monkeypatch.context() as patch:
        patch.setattr("mlops_assets.assets.models.fit_final", lambda *args: pytest.fail("it was fitted once more"))
        assert workshop.make(asset, partition).success
    first = workshop.record(asset, partition)
    kept[0].unlink() if left is None else kept[0].write_bytes(left)
    workshop.project.registry.tag(first.value("version"), {"recipe": "another"})
    with monkeypatch.context() as patch:
        patch.setattr("mlops_assets.assets.models.CODE_VERSION", "0")  # so that it is made again
        assert workshop.make(asset, partition).success
    again = workshop.record(asset, partition)
    assert again.value("version") == first.value("version") + 1
    said = [held_out_output(workshop.project, record.value("version")) for record in (first, again)]
    np.testing.assert_array_equal(*said)
    assert again.value("validation_rmse") == first.value("validation_rmse")


def test_a_model_that_is_up_to_date_is_neither_registered_nor_drawn_again(own_workshop, no_pictures):
    workshop = own_workshop
    before = workshop.record("sklearn_model", "Ridge")
    result = workshop.make("sklearn_model", "Ridge")
    after = workshop.record("sklearn_model", "Ridge")
    assert result.success and after.value("recomputed") is False
    assert after.value("version") == before.value("version")
    with pytest.raises(Exception, match="cannot find version 3"):
        workshop.project.registry.version(3)  # a candidate and a champion


def test_a_model_that_was_registered_by_a_killed_run_is_not_fitted_twice(workshop_up_to, monkeypatch):
    workshop = workshop_up_to("hyperparameters")

    def die(*args):
        raise OSError("killed")

    with monkeypatch.context() as patch:
        patch.setattr("mlops_assets.core.report.plots.predicted_against_true", die)
        assert not workshop.make("sklearn_model", "Ridge").success
    assert workshop.make("sklearn_model", "Ridge").success
    record = workshop.record("sklearn_model", "Ridge")
    assert record.value("version") == 1 and record.value("fit_seconds") >= 0
    assert [run.info.run_name for run in workshop.mlflow_runs()].count("fit Ridge") == 1


def test_a_class_of_the_users_own_is_tried_and_answers_only_where_it_is_trusted(new_workshop, my_models):
    my_models("Mine")
    made = new_workshop(MLOPS_MODEL_TYPES="my_models.Mine", MLOPS_MAX_TRIALS="1").make_up_to("sklearn_model")
    number = made.record("sklearn_model", "my_models.Mine").value("version")
    folder = made.project.registry.folder(number)
    my_models()
    with pytest.raises(ModelError, match=r"trusted types: my_models\.Mine; .* MLOPS_TRUSTED_TYPES"):
        Rehearsals()(folder)
    my_models("Mine")
    Rehearsals()(folder)
    made.project.registry.load(number).self_check()
