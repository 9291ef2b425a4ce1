"""XGBoost's final fit over two real workers: the model of one process, within a tolerance, whatever happens to them."""

import importlib
import os
import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from mlops_assets.core.learners.estimators import FitData, fit, predict
from mlops_assets.core.learners.model_types import resolve_model_type
from mlops_assets.core.training_set import TrainingSet
from mlops_assets.errors import ClusterUnreachable, StorageError
from mlops_assets.resources.artefacts.remote import StoredFolder
from mlops_assets.resources.dask import divided_fit as adapter
from mlops_assets.resources.dask.divided_fit import DividedFit, fit_divided
from mlops_assets_tests.core.examples import write_rows
from mlops_assets_tests.homes import ROOT

pytest.importorskip("distributed", reason="the extra dask is not installed")
from mlops_assets_tests.clusters import SEARCH_PATH, dask_cluster

pytestmark = pytest.mark.slow

ROWS, ROUNDS = 40_000, 40
CALM = {"max_depth": 4, "learning_rate": 0.1, "min_child_weight": 50.0}  # little of the noise is learnt
PARAMS = {"all rows": CALM, "rows and columns drawn": CALM | {"subsample": 0.8, "colsample_bytree": 0.7}}
# Of a column with more values than bins, each worker finds the borders of its own rows' bins, and these are merged:
# trees split a little beside where those of one process do. `subsample` draws from each share apart.
MOST_WORSE = 0.005  # of the RMSE
MOST_APART = 0.05  # of the target's standard deviation: the root mean square difference of the predictions
SHORT_LEASE = {"DASK_DISTRIBUTED__SCHEDULER__LOCKS__LEASE_TIMEOUT": "2s"}
SHORT_LEASE |= {"DASK_DISTRIBUTED__SCHEDULER__LOCKS__LEASE_VALIDATION_INTERVAL": "1s"}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with dask_cluster(tmp_path_factory.mktemp("dask"), workers=2) as cluster:
        yield cluster


@pytest.fixture
def folder(tmp_path, make_spec, make_columns):
    """A training set on disk, with a column of which all values differ."""
    return write_rows(tmp_path / "rows", make_spec(window={"test_periods": 0}), make_columns(ROWS))


@pytest.fixture
def divided(folder):
    stored = StoredFolder(folder, "training_set", "tiny", None)
    return DividedFit(stored, resolve_model_type("XGBoost"), PARAMS["all rows"], ROUNDS, seed=7, threads=0)


@pytest.fixture
def killed(divided, monkeypatch):
    """A function that gives the same fit with a murderer in it; nobody waits for the victim to come back."""
    monkeypatch.setattr(adapter, "RETURN_SECONDS", 0.1)
    monkeypatch.syspath_prepend(ROOT / "mlops_assets_tests" / "spawned")
    KilledFit = importlib.import_module("killed_fits").KilledFit
    same = {name: getattr(divided, name) for name in divided.__dataclass_fields__}
    return lambda **options: KilledFit(**same, **options)


def fitted_here(divided):
    """The same fit in this process."""
    rows, kind = TrainingSet.load(divided.training_set.local), divided.model_type
    data = FitData(rows.matrix(kind.matrix, "train"), rows.target("train"), rows.categorical)
    return fit(kind, divided.params, data, seed=divided.seed, threads=1, rounds=divided.rounds)


def predictions(divided, fitted):
    rows = TrainingSet.load(divided.training_set.local)
    return predict(fitted.estimator, rows.matrix(divided.model_type.matrix, "validation"))


@pytest.mark.parametrize("matrix", ["dense", "one_hot"])
@pytest.mark.parametrize("params", PARAMS.values(), ids=PARAMS)
def test_two_workers_learn_what_one_process_does(cluster, folder, divided, params, matrix):
    divided = replace(divided, params=params, model_type=replace(divided.model_type, matrix=matrix))
    there, here = fit_divided(cluster.address, divided), fitted_here(divided)
    assert (there.shares, here.shares) == (2, 1)
    assert there.estimator.num_boosted_rounds() == there.rounds == ROUNDS
    y = TrainingSet.load(folder).target("validation")
    one, other = predictions(divided, here), predictions(divided, there)
    rmse = [np.sqrt(np.mean((y - each) ** 2)) for each in (one, other)]
    assert rmse[1] == pytest.approx(rmse[0], rel=MOST_WORSE)
    assert np.sqrt(np.mean((one - other) ** 2)) < MOST_APART * y.std()
    assert not np.array_equal(one, other)  # or nothing was divided


def test_the_number_of_workers_fixes_the_model(cluster, divided):
    one, other = (fit_divided(cluster.address, divided).estimator for _ in range(2))
    assert one.save_raw() == other.save_raw()


@pytest.mark.parametrize("at", ["the start", "round 5"])
def test_a_worker_killed_in_the_middle_leaves_the_fit_to_the_others(at, divided, killed, tmp_path):
    """All rows are the share of the one that is left, and then nothing differs from the fit of one process."""
    with dask_cluster(tmp_path, workers=2) as cluster:
        fitted = fit_divided(cluster.address, killed(at=at, mark=tmp_path / "mark"))
        assert sorted(str(worker.poll()) for worker in cluster.workers) == ["-9", "None"]
    assert fitted.shares == 1
    assert np.array_equal(predictions(divided, fitted), predictions(divided, fitted_here(divided)))


def test_a_share_that_is_killed_in_each_try_is_one_error_that_names_memory(cluster, killed):
    told = r"3 tries of the final fit .* on tcp\S+: its process ended with code -9 .* want of memory: give them more"
    with pytest.raises(ClusterUnreachable, match=told):
        fit_divided(cluster.address, killed(victim="itself"))
    assert [worker.poll() for worker in cluster.workers] == [None, None]


def test_a_run_that_was_killed_in_the_middle_does_not_bar_the_next(divided, killed, tmp_path):
    """It would with `xgboost.dask`, whose lock stays."""
    script = (
        "import os, pickle, sys; from dataclasses import replace; "
        "from mlops_assets.resources.dask.divided_fit import fit_divided; "
        "fit_divided(sys.argv[1], replace(pickle.load(sys.stdin.buffer), victim=os.getpid()))"
    )
    with dask_cluster(tmp_path, workers=2, **SHORT_LEASE) as cluster:
        command = [sys.executable, "-c", script, cluster.address]
        env = os.environ | SHORT_LEASE | {"PYTHONPATH": SEARCH_PATH}
        run = subprocess.run(command, input=pickle.dumps(killed(at="round 5", mark=tmp_path / "mark")), env=env)
        assert run.returncode == -9
        assert fit_divided(cluster.address, divided).shares == 2


def test_a_training_set_that_is_not_on_the_workers_says_what_to_set(cluster, divided, tmp_path):
    stored = StoredFolder(tmp_path / "absent", "training_set/training_set-0", "tiny", None)
    with pytest.raises(StorageError, match="training_set-0 is not on this machine: set MLOPS_STORAGE"):
        fit_divided(cluster.address, replace(divided, training_set=stored))
