"""A retraining over two hosts that share a network and an object store, and no disk: that of one machine."""

from contextlib import ExitStack

import pytest

from mlops_assets_tests.homes import ROOT
from mlops_assets_tests.hosts import two_hosts
from mlops_assets_tests.object_stores import CREDENTIALS
from mlops_assets_tests.warm import TRUE_PYTHON

pytest.importorskip("distributed", reason="the extra dask is not installed")
pytest.importorskip("moto", reason="the package moto is not installed")
pytest.importorskip("s3fs", reason="the extra s3 is not installed")

pytestmark = pytest.mark.slow

MODELS = {"MLOPS_MODEL_TYPES": "Ridge,XGBoost", "MLOPS_TRIAL_WIDTH": "2"}
RUN = """
import sys

import boto3
from botocore.config import Config
from distributed import Client

from mlops_assets.cli import main

patient = Config(retries={"mode": "standard", "total_max_attempts": 20})
boto3.client("s3", config=patient).create_bucket(Bucket="bucket")
with Client(sys.argv.pop(), timeout=120) as client:
    client.wait_for_workers(2, timeout=120)
main()
"""


@pytest.fixture(scope="module")
def here(new_shop):
    """The shop after a run on this machine."""
    home = new_shop(**MODELS)
    assert home.command("run").code == 0
    return home


@pytest.fixture(scope="module")
def second_home(tmp_path_factory):
    """The home folder of the second host's worker."""
    return tmp_path_factory.mktemp("second")


@pytest.fixture(scope="module")
def there(new_shop, second_home, tmp_path_factory):
    """The shop after a run on the first of two hosts with a worker each."""
    home, logs = new_shop(**MODELS), tmp_path_factory.mktemp("logs")
    with two_hosts(hidden_from_the_second=home.folder) as (one, two), ExitStack() as running:
        store, scheduler = f"http://{one.address}:5000", f"tcp://{one.address}:8786"
        env = CREDENTIALS | {"AWS_ENDPOINT_URL": store, "PYTHONPATH": str(ROOT)}

        def start(host, *words, **more):
            process = host.start([TRUE_PYTHON, *words], logs / f"{len(list(logs.iterdir()))}.log", **env | more)
            running.callback(process.wait)
            running.callback(process.terminate)
            return process

        start(one, "-m", "moto.server", "-H", one.address, "-p", "5000")
        start(one, "-m", "dask", "scheduler", "--host", one.address, "--port", "8786", "--no-dashboard")
        for host, folder in ((one, logs), (two, second_home)):
            place = ["--host", host.address, "--local-directory", str(folder)]
            worker = ["-m", "dask", "worker", scheduler, "--nthreads", "1", "--no-dashboard", *place]
            start(host, *worker, MLOPS_HOME=str(folder))
        where = {"MLOPS_TRIALS": f"dask:{scheduler}", "MLOPS_FINAL_FIT": f"dask:{scheduler}"}
        where |= {"MLOPS_STORAGE": "s3://bucket/team"}
        run = start(one, "-c", RUN, "run", scheduler, **home.env | where)
        assert run.wait() == 0, {log.name: log.read_text()[-2_000:] for log in logs.glob("*.log")}
    return home


def test_it_finds_the_same_parameters_with_the_same_losses(here, there):
    for name in ("Ridge", "XGBoost"):
        one, other = (home.record("hyperparameters", name) for home in (here, there))
        assert one.content == other.content
        assert one.value("validation_rmse") == other.value("validation_rmse")


def test_a_final_fit_over_both_is_that_of_one_within_a_tolerance(here, there):
    one, other = (home.record("xgboost_model") for home in (here, there))
    assert (one.value("fit_shares"), other.value("fit_shares")) == (1, 2)
    assert one.value("rounds") == other.value("rounds")
    assert other.value("validation_rmse") == pytest.approx(one.value("validation_rmse"), rel=0.05)


def test_the_second_host_has_the_training_set_from_the_store(there, second_home):
    path = there.record("training_set").path
    assert (second_home / "shop" / "copies" / path / "about.json").is_file()
