"""The whole pipeline with every artefact in an S3 bucket: no machine's disk holds what another needs."""

import json
import shutil

import pytest

from mlops_assets_tests.homes import Home
from mlops_assets_tests.object_stores import new_bucket

pytestmark = pytest.mark.slow

ROW = {"zone": 2, "size": 30.0}


@pytest.fixture(scope="module")
def url(s3):
    return f"{new_bucket()}/team"


@pytest.fixture(scope="module")
def home(new_shop, url):
    """The shop after a run with its artefacts in the bucket."""
    home = new_shop(MLOPS_STORAGE=url)
    answer = home.command("run")
    assert answer.code == 0, answer
    return home


@pytest.fixture(scope="module")
def elsewhere(home, tmp_path_factory):
    """Another machine with what the databases hold, and nothing else of what the first one has."""
    folder = tmp_path_factory.mktemp("elsewhere")
    shutil.copytree(home.folder, folder, dirs_exist_ok=True)
    for name in ("shop/copies", "shop/searches", "mlartifacts"):
        shutil.rmtree(folder / name)
    return Home(folder, **home.env | {"MLOPS_HOME": str(folder)})


def keys(url):
    import s3fs

    found = s3fs.S3FileSystem(use_listings_cache=False).find(url)
    return [key.partition("/team/")[2] for key in found]


def test_every_artefact_is_in_the_bucket(home, url):
    found = keys(url)
    tops = {"/".join(key.split("/")[:2]) for key in found}
    assert {f"shop/{name}" for name in ("raw_data", "clean_data", "training_set", "predictions", "searches")} <= tops
    assert any(key.startswith("mlartifacts/") for key in found)
    assert [path.name for path in (home.folder / "mlartifacts").iterdir()] == ["fetched"]


def test_the_models_are_those_of_a_local_disk(home, new_shop):
    local = new_shop()
    assert local.command("run").code == 0
    for asset, partition in (("training_set", None), ("hyperparameters", "Ridge"), ("predictions", "2024-03")):
        assert home.record(asset, partition).content == local.record(asset, partition).content
    assert predicted(home) == predicted(local)


def test_a_second_run_recomputes_nothing(home):
    before = home.run_ids()
    answer = home.command("run")
    assert "Nothing to do: every asset is up to date." in answer.out, answer.out
    assert home.run_ids() == before


def test_another_machine_recomputes_nothing_and_answers_alike(home, elsewhere):
    answer = elsewhere.command("run")
    assert "Nothing to do: every asset is up to date." in answer.out, answer.out
    assert predicted(elsewhere) == predicted(home)


def test_another_machine_goes_on_where_the_first_ended(elsewhere):
    """A larger budget: the trials of the first machine count, and are read from the bucket."""
    answer = elsewhere.command("run", MLOPS_MAX_TRIALS="5")
    assert answer.code == 0, answer
    tuned = elsewhere.record("hyperparameters", "Ridge")
    assert (tuned.value("trials"), tuned.value("resumed_trials")) == (5, 3)


def predicted(home):
    row = home.folder / "row.json"
    row.write_text(json.dumps(ROW))
    answer = home.command("predict", str(row))
    assert answer.code == 0, answer.err
    told = json.loads(answer.out)
    return [told[name] for name in ("prediction", "low", "high")]
