"""Settings: read from the environment and .env, typed, with one clear message for whatever is wrong."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from mlops_assets.core.model.files import new_pair
from mlops_assets.errors import SettingsError
from mlops_assets.settings import GROUPS, Settings, environment, project_root, read_settings, root, trusted_types


def test_nothing_has_to_be_set():
    assert read_settings({}) == Settings()
    assert read_settings({"PATH": "/bin", "MLOPSY": "no prefix of ours"}) == Settings()


def test_each_setting_is_read_from_its_variable():
    given = read_settings(
        {
            "MLOPS_DATASET": "nyc_green_taxi",
            "MLOPS_MODEL_TYPES": "Ridge, ensemble.RandomForestRegressor,,XGBoost ",
            "MLOPS_MAX_TRIALS": "3",
            "MLOPS_TUNING_SECONDS": "1.5",
            "MLOPS_TRIALS": "local:4",
            "MLOPS_SEARCH_SPACES": "spaces.yaml",
        }
    )
    assert given.dataset == "nyc_green_taxi"
    assert given.model_types == ("Ridge", "ensemble.RandomForestRegressor", "XGBoost")
    assert (given.max_trials, given.tuning_seconds, given.trials) == (3, 1.5, "local:4")
    assert given.search_spaces == Path("spaces.yaml")


@pytest.mark.parametrize("value", ["Mine", "my_models.", "my models.Mine", "my_models.Mine;os"])
def test_what_is_no_path_of_a_class_cannot_be_trusted(value, monkeypatch):
    monkeypatch.setenv("MLOPS_TRUSTED_TYPES", f"my_models.Other, {value}")
    with pytest.raises(SettingsError, match=f"^MLOPS_TRUSTED_TYPES='.*': '{value}' is not the import path of a class"):
        trusted_types()


@pytest.mark.parametrize("value", ["", "  "])
def test_an_empty_variable_counts_as_not_set(value):
    assert read_settings({"MLOPS_MAX_TRIALS": value, "MLOPS_TRACKING_URI": value}) == Settings()


def test_every_setting_has_a_description():
    assert all(field.description for field in Settings.model_fields.values())


def test_every_setting_is_of_one_group_and_in_its_order():
    assert list(Settings.model_fields) == [name for group in GROUPS for name in group.model_fields]


def test_a_name_that_is_no_setting_is_told_with_the_one_that_was_meant():
    with pytest.raises(SettingsError, match="MLOPS_DATASETT is not a setting: did you mean MLOPS_DATASET?"):
        read_settings({"MLOPS_DATASETT": "x"})
    with pytest.raises(SettingsError, match="MLOPS_QQQ is not a setting: see docs/settings.md"):
        read_settings({"MLOPS_QQQ": "x"})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("MAX_TRIALS", "many", "valid integer, unable to parse"),
        ("MAX_TRIALS", "0", "greater than or equal to 1"),
        ("CPU_MINUTES", "0", "greater than 0"),
        ("CPU_MINUTES", "nan", "finite number"),
        ("CPU_MINUTES", "soon", "valid number"),
        ("CONFIDENCE", "1", "less than 1"),
        ("SEED", "-1", "greater than or equal to 0"),
        ("TRIALS", "cluster", "must be one of its forms (Where"),
        ("TRIALS", "local:0", "must be one of its forms (Where"),
        ("FINAL_FIT", "local:2", "must be one of its forms (Where"),
        ("FINAL_FIT", "dask:scheduler:8786", "must be one of its forms (Where"),
        ("MODEL_TYPES", ",", "at least 1 item"),
        ("HTTP_TIMEOUT", "nan", "greater than 0"),
    ],
)
def test_a_wrong_value_is_told_with_its_variable_and_what_it_is_for(name, value, message):
    with pytest.raises(SettingsError) as error:
        read_settings({f"MLOPS_{name}": value})
    assert str(error.value).startswith(f"MLOPS_{name}='{value}': ")
    assert message in str(error.value)
    assert f"({Settings.model_fields[name.lower()].description})" in str(error.value)


def test_all_wrong_variables_are_told_at_once():
    with pytest.raises(SettingsError) as error:
        read_settings({"MLOPS_SEED": "x", "MLOPS_THREADS": "-1", "MLOPS_SPEED": "1"})
    assert all(name in str(error.value) for name in ("MLOPS_SEED='x'", "MLOPS_THREADS='-1'", "MLOPS_SPEED is not"))


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("TRACKING_URL", "postgresql://me:hunter2@host/db", "MLOPS_TRACKING_URL is not a setting"),
        ("DATABASE_URL", "mysql://me:hunter2@host/db", "MLOPS_DATABASE_URL: it must begin with"),
        ("STORAGE", "s3://me:hunter2@bucket/a", "MLOPS_STORAGE='s3://***@bucket/a': it must be"),
        ("STORAGE", "s3://bucket?key=hunter2", "MLOPS_STORAGE='s3://bucket?***': it must be"),
        ("TRIALS", "dask:tcp://me:hunter2@host:1", "MLOPS_TRIALS='dask:tcp://***@host:1': must be one of its forms"),
    ],
)
def test_secrets_are_never_repeated_in_messages(name, value, shown):
    with pytest.raises(SettingsError) as error:
        read_settings({f"MLOPS_{name}": value})
    assert str(error.value).startswith(shown)
    assert "hunter2" not in str(error.value)
    assert error.value.__cause__ is None and error.value.__suppress_context__


def test_a_long_value_is_cut_in_messages():
    with pytest.raises(SettingsError, match="MLOPS_SEED='x{80}\\.{3}': Input"):
        read_settings({"MLOPS_SEED": "x" * 5000})


def test_secrets_mask_themselves():
    given = read_settings({"MLOPS_TRACKING_URI": "postgresql://me:hunter2@host/db", "MLOPS_SOURCE_URI": "s3://hunter2"})
    assert "hunter2" not in f"{given} {given!r} {given.model_dump_json()}"
    assert given.tracking == "postgresql+psycopg2://me:hunter2@host/db"


def test_one_url_of_postgresql_is_the_place_of_everything():
    given = read_settings({"MLOPS_DATABASE_URL": "postgresql://me:hunter2@host/db"})
    assert given.postgres == "postgresql+psycopg2://me:hunter2@host/db"
    assert given.tracking == f"{given.postgres}?options=-csearch_path%3Dmlflow"
    assert "hunter2" not in given.tracking_place
    served = read_settings({"MLOPS_DATABASE_URL": given.postgres, "MLOPS_TRACKING_URI": "http://mlflow:5000"})
    assert served.tracking == served.tracking_place == "http://mlflow:5000"
    assert read_settings({"MLOPS_DATABASE_URL": "sqlite:///own.db"}).postgres is None


def test_settings_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        read_settings({}).seed = 1


def test_the_home_folder_is_relative_to_the_project(monkeypatch, tmp_path):
    monkeypatch.setattr(root, "CHECKOUT", tmp_path / "installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert project_root() == tmp_path
    assert read_settings({}).home_path == tmp_path / "var"
    assert read_settings({"MLOPS_HOME": "/elsewhere"}).home_path == Path("/elsewhere")
    assert read_settings({"MLOPS_HOME": "~/mine"}).home_path == tmp_path / "me" / "mine"
    assert read_settings({}).tracking == f"sqlite:///{tmp_path}/var/mlflow.db"


def test_threads_are_all_cores_unless_said():
    assert read_settings({}).thread_count >= 1
    assert read_settings({"MLOPS_THREADS": "3"}).thread_count == 3


def test_the_process_environment_wins_over_the_checkouts_env_file(monkeypatch, tmp_path):
    (tmp_path / "workspace.yaml").touch()
    (tmp_path / ".env").write_text("MLOPS_SEED=1\nMLOPS_THREADS=2\nMLOPS_TRIALS\n# MLOPS_HOME=x\n")
    monkeypatch.setattr(root, "CHECKOUT", tmp_path)
    monkeypatch.setenv("MLOPS_SEED", "5")
    for name in ("MLOPS_THREADS", "MLOPS_TRIALS", "MLOPS_HOME"):
        monkeypatch.delenv(name, raising=False)
    merged = environment()
    assert (merged["MLOPS_SEED"], merged["MLOPS_THREADS"]) == ("5", "2")
    assert not {"MLOPS_TRIALS", "MLOPS_HOME"} & set(merged)
    assert read_settings({k: v for k, v in merged.items() if k in ("MLOPS_SEED", "MLOPS_THREADS")}).seed == 5


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("MLOPS_TIMEZONE", "Mars/Olympus", "it is not a time zone"),
        ("MLOPS_FRESH_DAYS", "0.0001", "greater than or equal to 0.001"),
        ("MLOPS_WARN_DAYS", "35", "it must be less than MLOPS_FRESH_DAYS"),
    ],
)
def test_what_starts_a_retraining_is_checked_at_the_door(name, value, told):
    with pytest.raises(SettingsError, match=f"{name}='{value}': .*{told}"):
        read_settings({name: value})


@pytest.mark.parametrize("name", ["MLOPS_SIGNING_KEY", "MLOPS_VERIFY_KEY"])
@pytest.mark.parametrize("value", ["hunter2", "c2hvcnQ=", "-----BEGIN PRIVATE KEY-----", "é" * 44])
def test_what_is_no_key_is_told_at_the_door_and_not_repeated(name, value):
    with pytest.raises(SettingsError, match=f"{name}: it is not a key as `mlops-assets new-signing-key`") as error:
        read_settings({name: value})
    assert value not in str(error.value)


def test_models_are_not_signed_by_a_key_that_their_reader_does_not_know():
    (signing, verify), (_, other) = new_pair(), new_pair()
    assert read_settings({"MLOPS_SIGNING_KEY": signing, "MLOPS_VERIFY_KEY": f"{other}, {verify}"}).signing_key
    assert read_settings({"MLOPS_SIGNING_KEY": signing}).verify_key == ()
    for keys in (other, signing):  # of another pair, or the secret one in both places
        with pytest.raises(SettingsError, match="MLOPS_SIGNING_KEY: MLOPS_VERIFY_KEY does not have the key beside it"):
            read_settings({"MLOPS_SIGNING_KEY": signing, "MLOPS_VERIFY_KEY": keys})


def test_people_are_warned_before_a_champion_is_stale():
    assert read_settings({"MLOPS_FRESH_DAYS": "10"}).warn_after_days == 9
    assert read_settings({"MLOPS_FRESH_DAYS": "10", "MLOPS_WARN_DAYS": "3"}).warn_after_days == 3


def test_programs_reach_dagster_where_the_links_lead_unless_told_otherwise():
    assert (
        read_settings({"MLOPS_DAGSTER_URL": "https://dagster.example.com"}).launch_url == "https://dagster.example.com"
    )
    given = {"MLOPS_DAGSTER_URL": "https://dagster.example.com", "MLOPS_DAGSTER_API_URL": "http://webserver:3000"}
    assert read_settings(given).launch_url == "http://webserver:3000"
