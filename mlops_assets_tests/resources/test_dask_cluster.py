"""Trials on two real workers: the search of one machine, whatever happens to the workers."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import mlops_assets
from mlops_assets.core.executors import LOST_WORKERS, make_executor
from mlops_assets.core.model_types import resolve_model_type
from mlops_assets.core.search_spaces import Space
from mlops_assets.core.trial_store import TrialStore
from mlops_assets.core.trials import FitTrial
from mlops_assets.core.tuning import SearchPlan, search
from mlops_assets.errors import ClusterUnreachable, SettingsError, StorageError, TuningError
from mlops_assets.resources import dask_cluster as adapter
from mlops_assets.resources.stored_folder import StoredFolder
from mlops_assets.resources.trial_executors import open_executor
from mlops_assets_tests.core.conftest import objectives, training_set_folder  # noqa: F401  (fixtures)
from mlops_assets_tests.servers import free_port

pytest.importorskip("distributed", reason="the extra dask is not installed")
from mlops_assets_tests.clusters import dask_cluster  # noqa: E402

BOWL = Space.model_validate(
    {"parameters": {"x": {"uniform": [0, 10]}, "depth": {"integer": [1, 9]}}, "start": {"x": 7, "depth": 2}}
)
PLAN = SearchPlan(max_trials=12, seconds=600, patience=99, seed=7, width=3, startup=4)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with dask_cluster(tmp_path_factory.mktemp("dask")) as cluster:
        yield cluster


@pytest.fixture
def own_cluster(tmp_path):
    """A cluster whose workers a test may kill."""
    with dask_cluster(tmp_path) as cluster:
        yield cluster


@pytest.fixture
def run(tmp_path):
    def run(objective, executor, folder, space=BOWL):
        store = TrialStore(tmp_path / folder, "a")
        return search(objective, space, PLAN, executor=executor, store=store, on_trial=lambda trial, *, resumed: None)

    return run


def course(result):
    """What a search found, without how long it took."""
    return [replace(trial, seconds=0) for trial in result.trials]


@pytest.mark.parametrize("name", ["Ridge", "XGBoost"])
def test_the_trials_and_the_estimator_are_those_of_this_process(name, cluster, run, training_set_folder):
    model_type = resolve_model_type(name)
    stored = StoredFolder(training_set_folder, "training_set", "tiny", None)
    objective = FitTrial(stored, model_type, seed=7, threads=1)
    with make_executor("local") as here, open_executor(cluster.setting) as there:
        assert there.workers == 2
        one, other = (run(objective, *at, space=model_type.space) for at in ((here, "here"), (there, "there")))
    assert course(one) == course(other)
    assert one.estimator == other.estimator


def test_a_worker_killed_in_the_middle_costs_only_time(own_cluster, run, objectives, tmp_path):
    with make_executor("local") as here, open_executor(own_cluster.setting) as there:
        undisturbed = run(objectives.Bowl(), here, "here")
        disturbed = run(objectives.KilledBowl(tmp_path / "calls", kill_at=5), there, "there")
    assert course(disturbed) == course(undisturbed)
    ended = [worker.poll() for worker in own_cluster.workers]
    assert sorted(map(str, ended)) == ["-9", "None"]


def test_a_bad_trial_is_an_outcome(cluster, run, objectives):
    with make_executor("local") as here, open_executor(cluster.setting) as there:
        one, other = run(objectives.Picky(), here, "here"), run(objectives.Picky(), there, "there")
    assert course(one) == course(other)
    assert {trial.status for trial in other.trials} == {"ok", "failed"}


def test_a_trial_that_kills_each_worker_is_told(own_cluster, objectives):
    for _ in range(2):
        own_cluster.add_worker()
    own_cluster.wait()
    with open_executor(own_cluster.setting) as executor:
        with pytest.raises(TuningError, match="most likely for want of memory"):
            executor.submit(objectives.die).result()


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


def test_a_worker_with_other_code_is_one_clear_error(own_cluster, stale_code):
    own_cluster.add_worker(PYTHONPATH=str(stale_code))
    own_cluster.wait()
    with pytest.raises(
        TuningError, match=r"the worker tcp\S+ runs other code: mlops_assets \w+ instead of \w+; install"
    ):
        open_executor(own_cluster.setting)


def test_a_worker_with_other_code_that_comes_later_runs_no_trial(own_cluster, stale_code, objectives):
    with open_executor(own_cluster.setting) as executor:
        own_cluster.add_worker(PYTHONPATH=str(stale_code))
        own_cluster.wait()
        for worker in own_cluster.workers[:2]:
            worker.kill()
            worker.wait()
        with pytest.raises(TuningError, match="runs other code"):
            executor.submit(abs, -3).result()


def test_a_worker_without_the_package_is_one_clear_error(tmp_path, monkeypatch):
    (tmp_path / "mlops_assets").mkdir()  # shadows the real one
    with dask_cluster(tmp_path, PYTHONPATH=str(tmp_path)) as cluster:
        with pytest.raises(TuningError, match="cannot run this code .*install the same version"):
            open_executor(cluster.setting)


def test_a_cluster_that_goes_away_is_worth_a_retry(own_cluster, objectives, monkeypatch):
    with open_executor(own_cluster.setting) as executor:
        own_cluster.stop()
        with pytest.raises(ClusterUnreachable, match=own_cluster.address):
            executor.submit(abs, -3).result()


def test_a_cluster_that_loses_all_workers_is_worth_a_retry(own_cluster, monkeypatch):
    monkeypatch.setattr(adapter, "WORKERLESS_SECONDS", 0)
    monkeypatch.setattr(adapter, "_LOOK_SECONDS", 0.2)
    with open_executor(own_cluster.setting) as executor:
        for worker in own_cluster.workers:
            worker.kill()
            worker.wait()
        with pytest.raises(ClusterUnreachable, match="has lost all its workers"):
            executor.submit(abs, -3).result()


def test_a_scheduler_that_is_not_there_is_told(monkeypatch):
    monkeypatch.setattr(adapter, "CONNECT_SECONDS", 1)
    with pytest.raises(ClusterUnreachable, match="does not answer .* does its scheduler run"):
        open_executor(f"dask:tcp://127.0.0.1:{free_port()}")


def test_dask_that_is_not_installed_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(SettingsError, match=r"pip install 'mlops-assets\[dask\]'"):
        open_executor("dask:tcp://127.0.0.1:1")
