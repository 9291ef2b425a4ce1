"""What people remove or cut short in a home: named, and made again by the next run, never a traceback."""

import shutil

import pytest

from mlops_assets.assets.plan import Plan


def client(home):
    return home.project().tracking.client


def number(home, asset, partition=None, name="version"):
    return home.record(asset, partition).value(name)


def candidate(home):
    client(home).delete_model_version("shop", str(number(home, "sklearn_model", "Ridge")))


def champion(home):
    client(home).delete_registered_model_alias("shop", "champion")
    client(home).delete_model_version("shop", str(number(home, "champion_model", name="champion_version")))


def alias(home):
    client(home).delete_registered_model_alias("shop", "champion")


def model(home):
    client(home).delete_registered_model("shop")


def artefacts(home):
    shutil.rmtree(home.folder / "mlartifacts")


def files_of_champion(home):
    shutil.rmtree(home.project().registry.folder(number(home, "champion_model", name="champion_version")))


def database(home):
    (home.folder / "mlflow.db").unlink()


def cut(asset):
    def remove(home):
        record = next(iter(home.records(asset).values()), None) or home.record(asset)
        path = home.folder / "shop" / record.path
        path = path if path.is_file() else max(path.rglob("*"), key=lambda file: file.stat().st_size * file.is_file())
        path.write_bytes(path.read_bytes()[:-20])

    return remove


def gone(asset):
    def remove(home):
        record = next(iter(home.records(asset).values()), None) or home.record(asset)
        path = home.folder / "shop" / record.path
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return remove


REMOVED = {
    "the candidate's version": (candidate, {"sklearn_model": "is gone from MLflow"}),
    "the champion's version": (champion, {"champion_model": "is gone from MLflow"}),
    "the alias": (alias, {"champion_model": "holds the alias 'champion' any more"}),
    "the registered model": (model, {"sklearn_model": "is gone from MLflow", "champion_model": "is gone from MLflow"}),
    "all artefacts of MLflow": (artefacts, {"sklearn_model": "the files of version", "champion_model": "the files of"}),
    "the champion's files": (files_of_champion, {"champion_model": "the files of version"}),
    "MLflow's database": (database, {"sklearn_model": "is gone from MLflow", "champion_model": "is gone from MLflow"}),
    "a prediction file": (gone("predictions"), {"predictions": "is gone"}),
    "a clean period": (gone("clean_data"), {"clean_data": "is gone"}),
    "the training set": (gone("training_set"), {"training_set": "is gone"}),
    "the end of a raw period": (cut("raw_data"), {"raw_data": "is not of the size that was written"}),
    "the end of a clean period": (cut("clean_data"), {"clean_data": "is not of the size that was written"}),
    "the end of a prediction file": (cut("predictions"), {"predictions": "is not of the size that was written"}),
    "the end of a matrix": (cut("training_set"), {"training_set": "is not of the size that was written"}),
}


def reasons(home):
    """Of each asset that would be made, by its own recipe alone."""
    with home.instance() as instance:
        plan = Plan(instance, home.project())
        tasks = {asset: [task for task in plan.tasks(asset) if task.stale] for asset in plan.assets}
    return {
        asset: "; ".join(reason for task in found for reason in task.reasons) for asset, found in tasks.items() if found
    }


@pytest.mark.parametrize("what", REMOVED)
def test_it_is_named(own_shop, what):
    remove, expected = REMOVED[what]
    remove(own_shop)
    found = reasons(own_shop)
    assert set(found) == set(expected)
    assert all(text in found[asset] for asset, text in expected.items()), found


@pytest.mark.slow
@pytest.mark.parametrize("what", REMOVED)
def test_it_is_made_again_by_the_next_run(own_shop, what):
    content = {name: record.content for name, record in own_shop.records("clean_data").items()}
    REMOVED[what][0](own_shop)
    answer = own_shop.process("run")
    assert answer.returncode == 0 and "Traceback" not in answer.stdout + answer.stderr, answer
    assert {name: record.content for name, record in own_shop.records("clean_data").items()} == content
    project = own_shop.project()
    version = project.registry.champion()
    assert version.number == number(own_shop, "champion_model", name="champion_version")
    assert project.registry.load(version.number)
    assert reasons(own_shop) == {}


def test_a_file_that_is_damaged_within_is_set_aside_where_it_is_read(own_shop):
    record = own_shop.records("clean_data")["2024-02"]
    path = own_shop.folder / "shop" / record.path
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    assert reasons(own_shop) == {}  # no run reads files that it does not need
    storage = own_shop.project().storage
    with pytest.raises(Exception, match=r"is damaged, and counts as missing now: materialise the asset"):
        storage.read_table(record.path)
    assert list(reasons(own_shop)) == ["clean_data"]


def test_an_experiment_that_was_deleted_is_told_with_how_to_get_it_back(own_shop):
    tracking = own_shop.project().tracking
    tracking.client.delete_experiment(tracking.experiment_id)
    gone("training_set")(own_shop)
    candidate(own_shop)
    answer = own_shop.process("run")
    text = answer.stdout + answer.stderr
    assert answer.returncode in (1, 2) and "Traceback" not in text
    assert "the MLflow experiment 'shop' is deleted: restore it with `mlflow experiments restore" in text


def test_without_any_model_predict_says_what_to_do(own_shop):
    model(own_shop)
    answer = own_shop.command("predict", "--sql", "SELECT 1")
    assert answer.code == 2 and "Traceback" not in answer.err and answer.err.count("\n") == 1
