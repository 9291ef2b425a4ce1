"""`xgboost_model` and the champion's refit with their rows divided over a Dask cluster, from store to registry."""

import pytest

pytest.importorskip("distributed", reason="the extra dask is not installed")
from mlops_assets_tests.clusters import dask_cluster

pytestmark = pytest.mark.slow

ROWS = [{"zone": zone, "size": size} for zone in (1, 3, 5) for size in (10.0, 25.0, 60.0)]


def test_a_champion_that_was_fitted_over_a_cluster_is_that_of_one_process(new_workshop, bucket, tmp_path):
    """Its artefacts are in a bucket, as those of machines that share no disk."""
    settings = {"MLOPS_MODEL_TYPES": "XGBoost"}
    here = new_workshop(**settings).make_up_to("champion_model")
    with dask_cluster(tmp_path, workers=2, MLOPS_HOME=str(tmp_path / "workers")) as cluster:
        there = new_workshop(MLOPS_FINAL_FIT=cluster.setting, MLOPS_STORAGE=bucket, **settings)
        there.make_up_to("champion_model")
        assert f"✓ workers: 2 at {cluster.address}, with this code" in there.home.command("doctor").out
    one, other = (workshop.record("xgboost_model") for workshop in (here, there))
    assert (one.value("fit_shares"), other.value("fit_shares")) == (1, 2)
    assert one.value("rounds") == other.value("rounds")
    assert other.value("validation_rmse") == pytest.approx(one.value("validation_rmse"), rel=0.05)
    champions = [workshop.record("champion_model").value("champion_version") for workshop in (here, there)]
    assert champions == [2, 2]
    answers = [workshop.project.registry.load(2).predict(ROWS) for workshop in (here, there)]
    assert answers[1] == pytest.approx(answers[0], rel=0.1)
    left = there.project.objects.names("training_set")
    assert not any("whole_window" in name for name in left), left
