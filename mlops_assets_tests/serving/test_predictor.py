"""The predictor: follows the alias, swaps only to what proves itself, and keeps what it has whatever goes wrong."""

import asyncio
import json
import shutil
from contextlib import contextmanager
from hashlib import sha256

import pytest

from mlops_assets.core.model.files import new_pair
from mlops_assets.resources.mlflow.registry import CHAMPION
from mlops_assets.serving.predictor import STARTING
from mlops_assets_tests.resources.mlflow.test_rehearsal import killer
from mlops_assets_tests.servers import Line, mlflow_server
from mlops_assets_tests.serving.served import another, promote, serving

ROW = {"zone": 3, "size": 42.5}


@pytest.fixture(scope="module")
def registry(shop, tmp_path_factory):
    """A line to an MLflow server that has the shop's models."""
    folder = tmp_path_factory.mktemp("registry")
    shutil.copy(shop.folder / "mlflow.db", folder)
    with mlflow_server(folder) as address:
        line = Line(address)
        yield line
        line.cut()


@pytest.fixture
def served(copy):
    with serving(copy) as served:
        yield served


def version_of(served):
    return served.client.post("/predict", json=ROW).json()["model"]["version"]


def health(served):
    return served.client.get("/health").json()


def register(served, folder):
    """A new version with this model folder."""
    registry = served.project.registry
    champion = registry.champion()
    made = registry.tracking.client.create_model_version(
        registry.model_name, folder.as_uri(), champion.run_id, tags={"model_type": "Ridge"}
    )
    return int(made.version)


@contextmanager
def changed(served, tmp_path, name):
    """A copy of the champion's logged model in which a test changes one file, whose digest is then set right."""
    registry = served.project.registry
    folder = registry.folder(registry.champion().number)
    whole = tmp_path / "changed"
    shutil.copytree(folder.parents[1], whole)
    model = whole / folder.relative_to(folder.parents[1])
    yield model / name
    about = json.loads((model / "model.json").read_text())
    about["files"][name] = sha256((model / name).read_bytes()).hexdigest()
    (model / "model.json").write_text(json.dumps(about))


def test_while_the_first_champion_is_loaded_nobody_is_told_that_there_is_none(served, monkeypatch):
    predictor, champion, told = served.predictor, served.champion, []

    def load(registry, version):
        told.append(predictor.problem)
        return champion

    monkeypatch.setattr(predictor, "_champion", None)
    monkeypatch.setattr("mlops_assets.serving.predictor.load_champion", load)
    predictor.check_registry()
    assert told == [STARTING] and predictor.loaded is champion


def test_it_follows_the_alias_and_back(served):
    first, second = served.champion.number, another(served)
    before = served.client.post("/predict", json=ROW).json()
    promote(served, second)
    assert version_of(served) == first  # nobody has looked yet
    served.predictor.check_registry()
    after = served.client.post("/predict", json=ROW).json()
    assert after["model"]["version"] == second
    assert after["prediction"] == served.project.registry.load(second).predict([ROW])[0] != before["prediction"]
    promote(served, first)
    served.predictor.check_registry()
    assert served.client.post("/predict", json=ROW).json()["prediction"] == before["prediction"]


def test_a_look_at_an_alias_that_has_not_moved_loads_nothing(served):
    champion = served.champion
    served.predictor.check_registry()
    assert served.champion is champion


def test_a_hint_makes_it_look_at_once(served):
    second = another(served)
    promote(served, second)
    assert served.client.post("/model/refresh").status_code == 202
    for _ in range(600):
        if version_of(served) == second:
            return
        asyncio.run(asyncio.sleep(0.05))
    pytest.fail("it did not look")


def test_a_champion_that_answers_otherwise_than_in_training_is_refused(served, tmp_path):
    first = served.champion.number
    with changed(served, tmp_path, "golden.json") as golden:
        told = json.loads(golden.read_text())
        told["expected"]["prediction"][7] += 1e-6
        golden.write_text(json.dumps(told))
    bad = register(served, tmp_path / "changed")
    promote(served, bad)
    served.predictor.check_registry()
    assert version_of(served) == first
    assert health(served)["last_reload_error"] == f"version {bad} is champion, but failed its check at loading"
    assert health(served)["model"]["version"] == first
    promote(served, first)
    served.predictor.check_registry()
    assert health(served)["last_reload_error"] is None


def test_a_damaged_champion_is_refused_and_not_loaded_again_and_again(served, tmp_path, monkeypatch):
    first = served.champion.number
    with changed(served, tmp_path, "model.json"):
        pass  # its digest is now in itself, which cannot be right
    bad = register(served, tmp_path / "changed")
    promote(served, bad)
    served.predictor.check_registry()
    assert version_of(served) == first

    def load(registry, number):
        raise AssertionError("it is loaded again")

    monkeypatch.setattr(type(served.project.registry), "load", load)
    served.predictor.check_registry()
    assert health(served)["last_reload_error"] == f"version {bad} is champion, but failed its check at loading"


def test_a_version_that_is_gone_leaves_the_last_one_at_work(served, tmp_path):
    first = served.champion.number
    bad = register(served, tmp_path / "nowhere")
    promote(served, bad)
    served.predictor.check_registry()
    assert version_of(served) == first
    assert health(served)["last_reload_error"]
    assert str(tmp_path) not in health(served)["last_reload_error"]


def test_without_the_alias_the_last_champion_goes_on(served):
    first = served.champion.number
    served.project.tracking.client.delete_registered_model_alias("shop", CHAMPION)
    served.predictor.check_registry()
    assert version_of(served) == first
    assert health(served)["last_reload_error"] == "there is no champion: run the pipeline (mlops-assets run)"


def test_a_server_that_starts_without_its_registry_gets_ready_once_it_is_there(copy, registry, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    registry.cut()
    with serving(copy, MLOPS_TRACKING_URI=f"http://{registry.address}") as served:
        error = served.error("POST", "/predict", json=ROW)
        assert (error["status"], error["message"]) == (503, "the model registry does not answer")
        registry.mend()
        served.predictor.check_registry()
        assert version_of(served) == served.champion.number


def test_a_registry_that_is_down_changes_nothing_but_what_health_tells(copy, registry, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with serving(copy, MLOPS_TRACKING_URI=f"http://teller:hush-hush@{registry.address}") as served:
        first = served.champion.number
        registry.cut()
        served.predictor.check_registry()
        told = health(served)
        assert told["last_reload_error"] == "the model registry does not answer"
        assert told["model"]["version"] == version_of(served) == first
        assert served.client.get("/ready").status_code == 200
        registry.mend()
        promote(served, another(served))
        served.predictor.check_registry()
        assert health(served)["last_reload_error"] is None
        assert version_of(served) != first


def test_a_champion_that_ends_the_process_that_loads_it_is_refused_and_the_last_one_answers(served, tmp_path):
    first = served.champion.number
    bad = register(served, killer(tmp_path / "killer"))
    promote(served, bad)
    served.predictor.check_registry()
    assert version_of(served) == first
    assert health(served)["last_reload_error"] == f"version {bad} is champion, but failed its check at loading"


def test_a_server_that_starts_with_such_a_champion_goes_on_without_one(copy, tmp_path):
    with serving(copy) as served:
        bad = register(served, killer(tmp_path / "killer"))
        promote(served, bad)
    with serving(copy) as served:
        assert served.error("POST", "/predict", json=ROW)["status"] == 503
        assert health(served)["last_reload_error"] == f"version {bad} is champion, but failed its check at loading"


def test_with_a_verify_key_no_unsigned_champion_answers(copy):
    with serving(copy, MLOPS_VERIFY_KEY=new_pair()[1]) as served:
        assert served.error("POST", "/predict", json=ROW)["status"] == 503
