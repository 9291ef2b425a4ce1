"""Trials on two real workers: the search of one machine, whatever happens to the workers."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import mlops_assets
from mlops_assets.core.learners.estimators import predict
from mlops_assets.core.learners.model_types import resolve_model_type
from mlops_assets.core.learners.persistence import parse_estimator
from mlops_assets.core.learners.search_spaces import Space
from mlops_assets.core.search.executors import LOST_WORKERS, make_executor
from mlops_assets.core.search.trials import FitTrial, TrialStore
from mlops_assets.core.search.tuning import SearchPlan, search
from mlops_assets.core.training_set import TrainingSet
from mlops_assets.errors import ClusterUnreachable, SettingsError, StorageError, TuningError
from mlops_assets.resources.artefacts.remote import StoredFolder
from mlops_assets.resources.dask import cluster as adapter
from mlops_assets.resources.dask.cluster import open_executor
from mlops_assets_tests.servers import free_port

pytest.importorskip("distributed", reason="the extra dask is not installed")
from mlops_assets_tests.clusters import dask_cluster

pytestmark = pytest.mark.slow

BOWL = Space.model_validate(
    {"parameters": {"x": {"uniform": [0, 10]}, "depth": {"integer": [1, 9]}}, "start": {"x": 7, "depth": 2}}
)
PLAN = SearchPlan(max_trials=12, seconds=600, patience=99, seed=7, width=3, startup=4)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with dask_cluster(tmp_path_factory.mktemp("dask"), workers=2) as cluster:
        yield cluster


@pytest.fixture
def run(tmp_path):
    def run(objective, executor, folder, space=BOWL):
        store = TrialStore(tmp_path / folder, "a")
        return search(objective, space, PLAN, executor=executor, store=store, on_trial=lambda trial, *, resumed: None)

    return run


def course(result):
    """What a search found, without how long it took."""
    return [replace(trial, seconds=0, cpu_seconds=0) for trial in result.trials]


@pytest.mark.parametrize("name", ["Ridge", "XGBoost"])
def test_the_trials_and_the_estimator_are_those_of_this_process(name, cluster, run, training_set_folder):
    model_type = resolve_model_type(name)
    stored = StoredFolder(training_set_folder, "training_set", "tiny", None)
    objective = FitTrial(stored, model_type, seed=7, threads=1)
    with make_executor("local") as here, open_executor(cluster.setting) as there:
        assert there.workers == 2
        one, other = (run(objective, *at, space=model_type.space) for at in ((here, "here"), (there, "there")))
    assert course(one) == course(other)
    X = TrainingSet.load(training_set_folder).matrix(model_type.matrix, "validation")
    predictions = [predict(parse_estimator(result.estimator), X) for result in (one, other)]
    assert np.array_equal(*predictions)


def test_a_worker_killed_in_the_middle_costs_only_time(cluster, run, objectives, tmp_path):
    with make_executor("local") as here, open_executor(cluster.setting) as there:
        undisturbed = run(objectives.Bowl(), here, "here")
        disturbed = run(objectives.KilledBowl(tmp_path / "calls", kill_at=5), there, "there")
    assert course(disturbed) == course(undisturbed)
    assert sorted(str(worker.poll()) for worker in cluster.workers) == ["-9", "None"]


def test_a_bad_trial_is_an_outcome(cluster, run, objectives):
    with make_executor("local") as here, open_executor(cluster.setting) as there:
        one, other = run(objectives.Picky(), here, "here"), run(objectives.Picky(), there, "there")
    assert course(one) == course(other)
    assert {trial.status for trial in other.trials} == {"ok", "failed"}


def test_what_a_worker_cannot_reach_is_tried_on_another(cluster, objectives, tmp_path):
    with open_executor(cluster.setting) as executor:
        assert executor.submit(objectives.reached_elsewhere, tmp_path / "mark").result() == "reached"
        with pytest.raises(ClusterUnreachable, match=f"{LOST_WORKERS} tries of the same trial failed, the last on tcp"):
            executor.submit(objectives.never_reached).result()


def test_a_training_set_that_is_not_on_the_worker_says_what_to_set(cluster, run, tmp_path):
    objective = FitTrial(
        StoredFolder(tmp_path / "absent", "training_set/training_set-0", "tiny", None),
        resolve_model_type("Ridge"),
        seed=7,
        threads=1,
    )
    with open_executor(cluster.setting) as executor:
        with pytest.raises(StorageError, match="training_set-0 is not on this machine: set MLOPS_STORAGE"):
            run(objective, executor, "there")


@pytest.fixture
def stale_code(tmp_path) -> Path:
    """A folder with a copy of this package in which one line differs."""
    folder = tmp_path / "stale"
    package = Path(mlops_assets.__file__).parent
    shutil.copytree(package, folder / "mlops_assets", ignore=shutil.ignore_patterns("__pycache__"))
    with (folder / "mlops_assets" / "core" / "evaluation.py").open("a") as file:
        file.write("\nOLD = True\n")
    return folder


def test_a_worker_with_other_code_is_one_clear_error_whenever_it_comes(tmp_path, stale_code):
    told = r"the worker tcp\S+ runs other code: mlops_assets \w+ instead of \w+; install the same version"
    with dask_cluster(tmp_path, workers=1) as cluster, open_executor(cluster.setting) as executor:
        cluster.add_worker(PYTHONPATH=str(stale_code))
        cluster.wait()
        cluster.kill(0)
        with pytest.raises(TuningError, match=told):
            executor.submit(abs, -3).result()
        with pytest.raises(TuningError, match=told):
            open_executor(cluster.setting)


def test_machines_without_the_package_are_one_clear_error(tmp_path):
    (tmp_path / "mlops_assets").mkdir()
    (tmp_path / "mlops_assets" / "__init__.py").touch()  # shadows the real one
    with dask_cluster(tmp_path, workers=1, PYTHONPATH=str(tmp_path)) as cluster:
        with pytest.raises(TuningError, match="(cannot run this|runs other) code.*install the same version"):
            open_executor(cluster.setting)


def test_a_cluster_that_dies_bit_by_bit_is_told_at_each_step(tmp_path, objectives, monkeypatch):
    monkeypatch.setattr(adapter, "WORKERLESS_SECONDS", 0)
    monkeypatch.setattr(adapter, "_LOOK_SECONDS", 0.2)
    once = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}
    with dask_cluster(tmp_path, workers=1, **once) as cluster, open_executor(cluster.setting) as executor:
        with pytest.raises(TuningError, match="most likely for want of memory"):
            executor.submit(objectives.die).result()
        with pytest.raises(ClusterUnreachable, match="has lost all its workers"):
            executor.submit(abs, -3).result()
        cluster.stop()
        with pytest.raises(ClusterUnreachable, match=cluster.address):
            executor.submit(abs, -3).result()


def test_a_scheduler_that_is_not_there_is_told(monkeypatch):
    monkeypatch.setattr(adapter, "CONNECT_SECONDS", 1)
    with pytest.raises(ClusterUnreachable, match="does not answer .* does its scheduler run"):
        open_executor(f"dask:tcp://127.0.0.1:{free_port()}")


def test_dask_that_is_not_installed_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(SettingsError, match=r"pip install 'mlops-assets\[dask\]'"):
        open_executor("dask:tcp://127.0.0.1:1")
