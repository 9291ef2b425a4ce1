"""The ensemble is made of the fitted candidates, and joins the contest as one of them."""

import numpy as np
import pytest

from mlops_assets.assets.models import held_out_output
from mlops_assets.core.learners.ensemble import weights_of
from mlops_assets.errors import SettingsError
from mlops_assets.project import open_project
from mlops_assets_tests.assets.conftest import failure_of
from mlops_assets_tests.homes import write_yaml


@pytest.fixture
def blending(new_workshop):
    """A shop with an ensemble, up to its candidates."""
    workshop = new_workshop(MLOPS_MODEL_TYPES="Ridge,XGBoost,Ensemble")
    workshop.make_up_to("training_set")
    for name in ("Ridge", "XGBoost"):
        assert workshop.make("hyperparameters", name).success
    assert workshop.make("sklearn_model", "Ridge").success
    return workshop


def test_it_joins_the_contest_and_answers_for_its_members(blending):
    assert "takes 2 fitted models or more, and there are 1" in failure_of(blending.make("ensemble_model"))
    assert blending.make("xgboost_model").success and blending.make("ensemble_model").success
    record, registry = blending.record("ensemble_model"), blending.project.registry
    version = registry.version(record.value("version"))
    assert (version.model_type, version.tags["learnt_periods"]) == ("Ensemble", "2024-01,2024-02")
    model = registry.load(version.number)
    model.self_check()
    weights = weights_of(model.estimator)
    assert weights and set(weights) <= {"Ridge", "XGBoost"} and min(weights.values()) > 0
    assert record.value("weights") == {name: round(weight, 4) for name, weight in weights.items()}
    assert blending.make("ensemble_model").success
    assert blending.record("ensemble_model").value("version") == version.number
    assert blending.make("champion_model").success
    rows = blending.record("champion_model").value("leaderboard_rows")
    entered = {row["model"]: row["loss"] for row in rows if row["role"] == "candidate"}
    assert set(entered) == {"Ridge", "XGBoost", "Ensemble"} and np.isfinite(list(entered.values())).all()


def test_it_takes_two_others_or_more():
    with pytest.raises(SettingsError, match="Ensemble blends the others: list 2 or more beside it"):
        _ = open_project({"MLOPS_MODEL_TYPES": "Ridge,Ensemble"}).model_types


def test_a_table_of_few_rows_is_judged_by_its_folds(new_workshop, tmp_path):
    rng = np.random.default_rng(7)
    size = rng.uniform(1, 9, 200)
    lines = [
        f"{n},{x:.3f},{3 * x + noise:.3f}" for n, (x, noise) in enumerate(zip(size, rng.normal(size=200), strict=True))
    ]
    (tmp_path / "sizes.csv").write_text("\n".join(["id,size,price", *lines]))
    document = {
        "name": "sizes",
        "source": {"kind": "files", "uri": str(tmp_path / "sizes.csv")},
        "columns": {"id": {"type": "integer"}, "size": {}, "price": {}},
        "key": ["id"],
        "target": {"column": "price", "intervals": "quantiles"},
        "features": {"numeric": {"size": {}}},
    }
    yaml_file = write_yaml(tmp_path / "sizes.yaml", document)
    workshop = new_workshop(
        MLOPS_DATASET=str(yaml_file), MLOPS_MODEL_TYPES="Ridge,XGBoost,Ensemble", MLOPS_MAX_TRIALS="2"
    )
    workshop.make_up_to("ensemble_model")
    built = workshop.record("training_set")
    held_out = built.value("train_rows") + built.value("validation_rows")
    assert built.value("folds") == 5
    candidates = {
        "Ridge": ("sklearn_model", "Ridge"),
        "XGBoost": ("xgboost_model", None),
        "Ensemble": ("ensemble_model", None),
    }
    for name, asset in candidates.items():
        record = workshop.record(*asset)
        assert len(held_out_output(workshop.project, record.value("version"))) == held_out
        if name != "Ensemble":
            tuned = workshop.record("hyperparameters", name)
            assert record.value("validation_rmse") == pytest.approx(tuned.value("validation_rmse"), rel=1e-9)
        model = workshop.project.registry.load(record.value("version"))
        model.self_check()
        said = model.answer_rows([{"size": 5.0}]).rows()[0]
        assert said.low < 15 < said.high
