"""A window of more rows than may be in memory goes all the way to a champion."""

import numpy as np
import pytest

from mlops_assets.core.training_set import TrainingSet

pytestmark = pytest.mark.slow  # `core/test_external_memory.py` and `core/test_training_set.py` are its quick parts
LARGE = {"MLOPS_MODEL_TYPES": "Ridge,Lasso,XGBoost", "MLOPS_MEMORY_ROWS": "200"}
ROWS = [{"zone": zone, "size": size} for zone in (1, 3) for size in (5.0, 30.0, 50.0)]


@pytest.fixture(scope="module")
def crowded(new_workshop):
    """The workshop's project, of whose window less than half may be in memory."""
    return new_workshop(**LARGE).make_up_to("champion_model")


def test_every_row_is_in_the_training_set_of_a_large_window(workshop, crowded):
    sets = [
        TrainingSet.load(w.project.storage.local_folder(w.record("training_set").path)) for w in (workshop, crowded)
    ]
    assert sets[0].rows == sets[1].rows
    assert sum(sets[1].rows.values()) > 2 * 200
    np.testing.assert_array_equal(sets[0].target("train"), sets[1].target("train"))


@pytest.mark.parametrize(("asset", "partition"), [("sklearn_model", "Ridge"), ("xgboost_model", None)])
def test_models_of_a_large_window_are_about_as_good(workshop, crowded, asset, partition):
    whole, thinned = (w.record(asset, partition).value("validation_rmse") for w in (workshop, crowded))
    assert thinned == pytest.approx(whole, rel=0.15)


def test_a_record_says_how_many_rows_were_learnt_from(crowded):
    built = crowded.record("training_set")
    assert built.value("rows_in_memory") == 200
    assert crowded.record("sklearn_model", "Lasso").value("fit_rows") == 200
    rows = built.value("train_rows") + built.value("validation_rows")
    assert crowded.record("sklearn_model", "Ridge").value("fit_rows") == rows > 200
    assert crowded.record("xgboost_model").value("fit_rows") == rows


def test_the_champion_of_a_large_window_answers_about_the_same(workshop, crowded):
    answers = []
    for each in (workshop, crowded):
        model = each.project.registry.load(each.record("champion_model").value("champion_version"))
        assert model.golden is not None
        answers.append(model.predict(ROWS))
    np.testing.assert_allclose(answers[1], answers[0], atol=8)  # of prices up to 100


def test_nothing_is_left_of_what_was_on_disk_for_a_fit(crowded):
    left = {path.name for path in (crowded.project.home / "training_set").iterdir()}
    assert left == {crowded.record("training_set").path.rpartition("/")[2]}


def test_the_limit_is_part_of_a_recipe_only_where_it_is_reached(workshop, crowded):
    for asset, partition in [("training_set", None), ("sklearn_model", "Ridge"), ("champion_model", None)]:
        assert "memory_rows" not in workshop.record(asset, partition).recipe.parts["settings"]
        assert crowded.record(asset, partition).recipe.parts["settings"]["memory_rows"] == 200
