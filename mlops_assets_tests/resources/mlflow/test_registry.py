import subprocess
import sys
import warnings
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from mlops_assets.core.columns import from_frame
from mlops_assets.core.features.encoder import fit_encoder
from mlops_assets.core.learners.estimators import FitData, fit
from mlops_assets.core.learners.model_types import resolve_model_type
from mlops_assets.core.model.model import Model
from mlops_assets.errors import TrackingError
from mlops_assets.resources.mlflow.registry import Registry
from mlops_assets_tests.resources.conftest import FakeTrial

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)


def hours(count: float) -> datetime:
    return NOON + timedelta(hours=count)


@pytest.fixture
def rows(make_spec, make_columns):
    """Rows as a caller has them."""
    import pandas as pd

    columns = make_columns(200)
    return pd.DataFrame({name: columns[name] for name in make_spec().inputs()})


@pytest.fixture
def model(make_spec, make_columns, rows) -> Model:
    spec, y = make_spec(), make_columns(200)["price"]
    encoded = fit_encoder(spec.features, from_frame(rows, spec), y, seed=7)
    fitted = fit(resolve_model_type("Ridge"), {"alpha": 1.0}, FitData(encoded.one_hot, y), seed=7, threads=1)
    return Model(spec, encoded.encoder, fitted.estimator, "Ridge", "one_hot")


@pytest.fixture
def registry(tracking) -> Registry:
    return Registry(tracking, "taxi")


@pytest.fixture
def log_version(registry, in_asset, model, rows, tmp_path):
    """A function that logs and registers the model, and gives its version."""
    folder = tmp_path / "model"
    folder.mkdir()
    model.save(folder)
    versions = []

    def log(tags: dict | None = None, into: Registry = registry):
        def body(context):
            with into.tracking.run(context, "fit", {}) as run:
                told = {"model_type": "Ridge"} | (tags or {})
                given = {"params": {"alpha": 1.0}, "metrics": {"rmse": 4.0}, "tags": told}
                versions.append(into.log(run, folder, example=rows.head(), prediction_name="minutes", **given))

        in_asset(body)
        return versions[-1]

    return log


def test_a_logged_model_predicts_as_before(registry, log_version, model, rows):
    version = log_version({"training_set": "abc"})
    assert (version.number, version.model_type, version.tags["training_set"]) == (1, "Ridge", "abc")
    assert version.page == "models/taxi/versions/1"
    assert registry.load(1).predict(rows).tolist() == model.predict(rows).tolist()
    run = registry.tracking.client.get_run(version.run_id)
    assert (run.data.params, run.data.metrics) == ({"alpha": "1.0"}, {"rmse": 4.0})


def test_a_version_is_loaded_once_as_long_as_it_is_kept(registry, log_version):
    log_version()
    with registry.keeping_loaded():
        assert registry.load(1) is registry.load(1)
    assert registry.load(1) is not registry.load(1)


def test_tags_have_the_names_of_now(registry, log_version):
    log_version({"months": "2024-01,2024-02", "learnt_months": "2024-01"})  # until 0.1
    tags = registry.version(1).tags
    assert (tags["periods"], tags["learnt_periods"]) == ("2024-01,2024-02", "2024-01")


def test_mlflow_s_own_loader_gives_the_same_predictions(registry, log_version, model, rows):
    import mlflow

    log_version()
    registry.promote(1, reason="first", at=NOON)
    loaded = mlflow.pyfunc.load_model("models:/taxi@champion")
    assert loaded.predict(rows).tolist() == model.predict(rows).tolist()
    assert loaded.metadata.get_input_schema().input_names() == list(rows.columns)
    assert loaded.metadata.get_output_schema().input_names() == ["minutes"]


def test_logging_a_model_says_nothing(log_version, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        log_version()
    said = [line for line in "".join(capfd.readouterr()).splitlines() if " dagster - " not in line]
    assert said == []


def test_versions_count_up_and_a_missing_one_is_named(registry, log_version):
    assert [log_version().number, log_version().number] == [1, 2]
    with pytest.raises(TrackingError, match="cannot find version 3 of 'taxi'"):
        registry.version(3)
    with pytest.raises(TrackingError, match="cannot fetch version 3 of 'taxi'"):
        registry.load(3)


def test_a_model_whose_files_are_gone_is_a_tracking_error(registry, log_version, tmp_path):
    import shutil

    log_version()
    shutil.rmtree(tmp_path / "art files")
    with pytest.raises(TrackingError, match="cannot fetch version 1 of 'taxi'"):
        registry.load(1)


def test_the_best_trial_carries_its_model_and_no_version(registry, in_asset, model, tmp_path):
    trial_ids = []

    def body(context):
        with registry.tracking.run(context, "tune", {}) as run:
            with run.start_trials("search-1", "Ridge") as trials:
                trials.log(FakeTrial(0))
            trial_ids.append(trials.run_id(0))
            registry.attach(run, trials.run_id(0), model)

    in_asset(body)
    run = registry.tracking.client.get_run(trial_ids[0])
    assert len(run.outputs.model_outputs) == 1
    assert run.info.status == "FINISHED"
    assert [path.parent.name for path in (tmp_path / "art files").rglob("model.json")] == ["model"]
    assert registry.champion() is None
    assert registry.history() == ()


def test_without_a_model_there_is_no_champion(registry, log_version):
    assert registry.champion() is None
    log_version()
    assert registry.champion() is None
    with pytest.raises(TrackingError, match="'taxi' has no champion, so there is nothing to roll back"):
        registry.rollback(at=NOON)


def test_history_says_who_was_champion_when_newest_first(registry, log_version):
    for number in (1, 2):
        log_version({"model_type": ["Ridge", "XGBoost"][number - 1]})
        registry.promote(number, reason=f"reason {number}", at=hours(number))
    assert registry.champion().number == 2
    newest, oldest = registry.history()
    assert (newest.version, newest.model_type, newest.since, newest.until) == (2, "XGBoost", hours(2), None)
    assert (oldest.version, oldest.model_type, oldest.since, oldest.until) == (1, "Ridge", hours(1), hours(2))
    assert (newest.reason, oldest.reason) == ("reason 2", "reason 1")


def test_promoting_the_champion_again_changes_nothing(registry, log_version):
    log_version()
    registry.promote(1, reason="first", at=NOON)
    registry.promote(1, reason="again", at=hours(1))
    assert [(item.reason, item.since) for item in registry.history()] == [("first", NOON)]


def test_a_version_that_does_not_exist_cannot_be_promoted(registry, log_version):
    log_version()
    with pytest.raises(TrackingError, match="cannot find version 2"):
        registry.promote(2, reason="", at=NOON)
    assert registry.champion() is None


def test_rollback_goes_back_step_by_step_and_no_further_than_the_first(registry, log_version):
    for number in (1, 2, 3):
        log_version()
        registry.promote(number, reason="better", at=hours(number))
    before, now = registry.rollback(at=hours(4))
    assert (before.number, now.number, registry.champion().number) == (3, 2, 2)
    before, now = registry.rollback(at=hours(5))
    assert (before.number, now.number, registry.champion().number) == (2, 1, 1)
    with pytest.raises(TrackingError, match="version 1 is the first champion: there is none before it"):
        registry.rollback(at=hours(6))
    assert [item.version for item in registry.history()] == [1, 2, 3, 2, 1]
    assert registry.history()[0].reason == "Rolled back from version 2."


def test_a_clock_that_runs_behind_does_not_change_the_order(registry, log_version):
    for number in (1, 2):
        log_version()
        registry.promote(number, reason="better", at=hours(-number))
    assert [item.version for item in registry.history()] == [2, 1]


def test_an_alias_moved_by_hand_is_shown_and_kept_in_history(registry, log_version):
    log_version()
    log_version()
    log_version()
    registry.promote(1, reason="first", at=NOON)
    registry.tracking.client.set_registered_model_alias("taxi", "champion", "2")
    assert [(item.version, item.reason) for item in registry.history()] == [
        (2, "The alias was moved by hand."),
        (1, "first"),
    ]
    registry.promote(3, reason="third", at=datetime.now(UTC) + timedelta(hours=1))
    assert [item.version for item in registry.history()] == [3, 2, 1]
    assert registry.rollback(at=datetime.now(UTC) + timedelta(hours=2))[1].number == 2


def test_an_alias_that_was_deleted_by_hand_can_be_given_again(registry, log_version):
    log_version()
    registry.promote(1, reason="first", at=NOON)
    registry.tracking.client.delete_registered_model_alias("taxi", "champion")
    assert registry.champion() is None
    registry.promote(1, reason="again", at=hours(1))
    assert registry.champion().number == 1


STEPS = ("set_model_version_tag", "set_registered_model_alias", "set_model_version_tag", "delete_model_version_tag")


class Killed(BaseException):
    """Stands for a kill: nothing after it happens."""


def killed_before(step: int, calls: list, real):
    def call(*arguments):
        if len(calls) == step:
            raise Killed
        calls.append(arguments)
        real(*arguments)

    return call


@pytest.mark.parametrize("step", range(4))
def test_a_promotion_killed_at_any_step_leaves_one_champion_and_can_be_repeated(
    registry, log_version, monkeypatch, step
):
    for _ in range(3):
        log_version()
    registry.promote(1, reason="first", at=hours(1))
    client, calls = registry.tracking.client, []
    with monkeypatch.context() as patch:
        for name in set(STEPS):
            patch.setattr(client, name, killed_before(step, calls, getattr(client, name)))
        with pytest.raises(Killed):
            registry.promote(2, reason="second", at=hours(2))
    expected = [1] if step <= 1 else [2, 1]
    assert registry.champion().number == expected[0]
    assert [item.version for item in registry.history()] == expected

    registry.promote(2, reason="second", at=hours(3))
    assert [item.version for item in registry.history()] == [2, 1]
    registry.promote(3, reason="third", at=hours(4))
    assert [item.version for item in registry.history()] == [3, 2, 1]
    assert not [key for number in (1, 2, 3) for key in registry.version(number).tags if key.startswith("pending/")]


def test_a_model_behind_a_server_is_fetched_once(server, make_tracking, log_version, model, rows, tmp_path):
    remote = Registry(make_tracking(server), "taxi")
    log_version(into=remote)
    assert remote.load(1).predict(rows).tolist() == model.predict(rows).tolist()
    first = remote.folder(1)
    assert remote.folder(1) == first
    assert first.is_relative_to(tmp_path / "art files" / "fetched")
    assert len(list((tmp_path / "art files" / "fetched").iterdir())) == 1


def test_a_logged_model_can_be_loaded_by_a_process_that_knows_only_the_uri(
    registry, log_version, database, model, rows
):
    log_version()
    rows.head(3).to_parquet(path := registry.tracking.artifact_root / "rows.parquet")
    code = (
        "import sys, mlflow, pandas as pd; mlflow.set_tracking_uri(sys.argv[1]);"
        "print(*mlflow.pyfunc.load_model('models:/taxi/1').predict(pd.read_parquet(sys.argv[2])))"
    )
    said = subprocess.run([sys.executable, "-c", code, database, str(path)], capture_output=True, text=True)
    assert np.array(said.stdout.split(), float).tolist() == model.predict(rows.head(3)).tolist(), said.stderr
