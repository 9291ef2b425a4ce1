"""Runs and versions that are removed are gone with their files, and nothing else is."""

import time

import pytest
from mlflow import MlflowClient
from mlflow.entities import ViewType

from mlops_assets.errors import TrackingError
from mlops_assets.resources.mlflow.removal import MlflowRemoval, size_of
from mlops_assets_tests.servers import free_port

EVERYTHING = ViewType.ALL
NAME = "removal"


@pytest.fixture(params=["database", "server"])
def removal(request, make_tracking, monkeypatch):
    """Removal from a database of this process's own, or through a server's API."""
    uri = request.getfixturevalue("database") if request.param == "database" else request.getfixturevalue("server")
    tracking = make_tracking(uri)
    tracking.experiment = f"{NAME} of {request.node.name}"
    return MlflowRemoval(tracking, uri if request.param == "database" else None)


@pytest.fixture
def client(removal) -> MlflowClient:
    return removal._tracking.client


def new_run(removal, client, text="x" * 1000):
    """The id of a run that has ended, with an artefact."""
    run_id = client.create_run(removal._tracking.experiment_id).info.run_id
    client.log_text(run_id, text, "note.txt")
    client.set_terminated(run_id)
    return run_id


def new_version(removal, client, run_id, folder):
    """A version of the registered model, with a file."""
    model = client.create_logged_model(removal._tracking.experiment_id, source_run_id=run_id)
    (folder / "model").mkdir(exist_ok=True)
    (folder / "model" / "weights").write_text("1 2 3")
    client.log_model_artifacts(model.model_id, str(folder / "model"))
    client.finalize_logged_model(model.model_id, "READY")
    name = removal._tracking.experiment
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name)
    return name, int(client.create_model_version(name, f"models:/{model.model_id}", model_id=model.model_id).version)


def files(client, run_id):
    return [item.path for item in client.list_artifacts(run_id)]


def removed(removal, client, run_id):
    removal.remove_run(next(run for run in removal.old_runs(time.time() + 60) if run.info.run_id == run_id))


def test_a_run_goes_with_its_files_and_the_others_stay(removal, client):
    going, staying = new_run(removal, client), new_run(removal, client)
    removed(removal, client, going)
    left = [run.info.run_id for run in client.search_runs([removal._tracking.experiment_id])]
    assert left == [staying] and files(client, staying) == ["note.txt"]


def test_in_a_database_of_ours_nothing_is_left_of_it(make_tracking, database):
    removal = MlflowRemoval(make_tracking(database), database)
    client = removal._tracking.client
    removed(removal, client, new_run(removal, client))
    assert list(client.search_runs([removal._tracking.experiment_id], run_view_type=EVERYTHING)) == []
    assert size_of(removal._tracking.artifact_root.as_uri()) == 0


def test_only_what_ended_before_is_old(removal, client):
    new_run(removal, client)
    open_run = client.create_run(removal._tracking.experiment_id).info.run_id
    assert list(removal.old_runs(time.time() - 60)) == []
    assert open_run not in {run.info.run_id for run in removal.old_runs(time.time() + 60)}


def test_a_version_goes_with_its_model_and_the_others_stay(removal, client, tmp_path):
    run_id = new_run(removal, client)
    name, going = new_version(removal, client, run_id, tmp_path)
    _, staying = new_version(removal, client, run_id, tmp_path)
    model = removal.logged_model(name, going)
    removal.remove_version(name, going)
    assert [int(found.version) for found in client.search_model_versions(f"name = '{name}'")] == [staying]
    kept = client.search_logged_models([removal._tracking.experiment_id])
    assert [found.model_id for found in kept] == [removal.logged_model(name, staying).model_id]
    assert model.model_id not in {found.model_id for found in kept}


def test_what_others_have_marked_as_deleted_is_not_touched(make_tracking, database):
    removal = MlflowRemoval(make_tracking(database), database)
    client = removal._tracking.client
    theirs, ours = new_run(removal, client), new_run(removal, client)
    client.delete_run(theirs)
    removed(removal, client, ours)
    found = client.search_runs([removal._tracking.experiment_id], run_view_type=EVERYTHING)
    assert [run.info.run_id for run in found] == [theirs] and files(client, theirs) == ["note.txt"]


def test_a_server_that_does_not_answer_is_told(make_tracking, no_waits):
    removal = MlflowRemoval(make_tracking(f"http://127.0.0.1:{free_port()}"), None)
    with pytest.raises(TrackingError, match="cannot"):
        list(removal.old_runs(0))
