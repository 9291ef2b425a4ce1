"""`hyperparameters` with its trials on a Dask cluster: the same search as on this machine."""

import pytest

pytest.importorskip("distributed", reason="the extra dask is not installed")
from mlops_assets_tests.clusters import dask_cluster

pytestmark = pytest.mark.slow


def test_a_search_on_a_cluster_finds_what_a_local_one_does(new_workshop, tmp_path):
    settings = {"MLOPS_TRIAL_WIDTH": "2", "MLOPS_MAX_TRIALS": "4"}
    here = new_workshop(**settings).make_up_to("hyperparameters")
    with dask_cluster(tmp_path, workers=2) as cluster:
        there = new_workshop(MLOPS_TRIALS=cluster.setting, **settings).make_up_to("hyperparameters")
    one, other = (workshop.record("hyperparameters", "Ridge") for workshop in (here, there))
    assert one.content == other.content
    assert one.recipe == other.recipe
    assert one.value("validation_rmse") == other.value("validation_rmse")
