"""Where Dagster keeps its records."""

import os

import pytest

from mlops_assets.errors import SettingsError, StorageError
from mlops_assets.instance import prepare_dagster_home
from mlops_assets.settings import project_root
from mlops_assets_tests.homes import Home


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", "")
    return Home(tmp_path).project()


def test_each_dataset_has_records_of_its_own(project, tmp_path):
    home = prepare_dagster_home(project)
    assert home == tmp_path / "nyc_flights" / "dagster"
    assert os.environ["DAGSTER_HOME"] == str(home)


def test_the_projects_dagster_yaml_is_linked_into_it(project):
    config = prepare_dagster_home(project) / "dagster.yaml"
    assert config.is_symlink()
    assert config.resolve() == project_root() / "dagster.yaml"


def test_a_link_whose_target_has_moved_is_set_right(project):
    config = prepare_dagster_home(project) / "dagster.yaml"
    config.unlink()
    config.symlink_to("moved.yaml")
    prepare_dagster_home(project)
    assert config.resolve() == project_root() / "dagster.yaml"


def test_a_dagster_yaml_of_ones_own_stays(project):
    config = prepare_dagster_home(project) / "dagster.yaml"
    config.unlink()
    config.write_text("telemetry: {enabled: false}\n")
    prepare_dagster_home(project)
    assert config.read_text() == "telemetry: {enabled: false}\n"


def test_a_home_that_is_set_is_used(project, tmp_path, monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "mine"))
    assert prepare_dagster_home(project) == tmp_path / "mine"
    monkeypatch.setenv("DAGSTER_HOME", "mine")
    with pytest.raises(SettingsError, match="DAGSTER_HOME must be an absolute path, not mine"):
        prepare_dagster_home(project)


def test_a_folder_that_cannot_be_made_is_told(project, tmp_path):
    (tmp_path / "nyc_flights").touch()
    with pytest.raises(StorageError, match=r"set MLOPS_HOME or DAGSTER_HOME"):
        prepare_dagster_home(project)
