"""Each kind of target from the YAML to the answer: what `mlops-assets run` and `predict` make of a shop's sales."""

import json

import numpy as np
import pytest

from mlops_assets_tests.homes import SHOP, write_few_trees, write_period, write_yaml

PERIODS = ("2024-01", "2024-02", "2024-03", "2024-04")
TARGETS = {
    "binary": {"target": {"column": "price", "above": 40, "costs": [[0, 1], [3, 0]]}},
    "category": {
        "target": {"column": "zone", "classes": [1, 2, 3, 4, 5]},
        "features": {"numeric": {"size": {}, "price": {}}},
    },
    "count": {"target": {"column": "zone", "kind": "count"}, "features": {"numeric": {"size": {}, "price": {}}}},
    "log": {"target": {"column": "price", "transform": "log", "metric": "mae", "unit": "euros"}},
    "quantiles": {"target": {"column": "price", "intervals": "quantiles", "keep": [1, 1000]}},
}
TYPES = {
    "category": "LogisticRegression,XGBoost",
    "binary": "LinearSVC,XGBoost",
    "count": "PoissonRegressor,XGBoost",
    "quantiles": "Ridge,XGBoost,Ensemble",
}
QUICK = ("binary", "category", "quantiles")


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[] if kind in QUICK else pytest.mark.slow) for kind in TARGETS]
)
def test_a_kind_is_learnt_judged_served_and_measured(kind, new_home, tmp_path):
    spec = SHOP | TARGETS[kind] | {"source": {"kind": "files", "uri": str(tmp_path / "sales_{period}.csv")}}
    for period in PERIODS:
        write_period(tmp_path, period, rows=400)
    types = {"MLOPS_MODEL_TYPES": TYPES.get(kind, "Ridge,XGBoost"), "MLOPS_MAX_TRIALS": "1", "MLOPS_COVERAGE": "0.8"}
    dataset, spaces = write_yaml(tmp_path / "shop.yaml", spec), write_few_trees(tmp_path)
    home = new_home(MLOPS_DATASET=dataset, MLOPS_SEARCH_SPACES=spaces, **types)
    ran = home.command("run")
    assert ran.code == 0, ran.out + ran.err
    project, champion = home.project(), home.record("champion_model")
    metric = project.target.metric
    assert champion.value("champion_version"), champion.value("verdict")
    assert metric.label in champion.value("verdict")
    model = project.registry.load(champion.value("champion_version"))
    model.self_check()
    answers = model.answer_rows(model.golden.rows)
    if project.target.labels:
        assert np.allclose(answers.classes.probabilities.sum(axis=1), 1)
        assert model.coverage == 0.8
    if kind == "quantiles":
        judged = [row["version"] for row in champion.value("leaderboard_rows") if row["role"] == "candidate"]
        low, *others = [one.intervals.quantiles.low for one in (model, *map(project.registry.load, judged))]
        assert len(others) == 3 and all(np.array_equal(one, others[0]) for one in others)
        assert not np.array_equal(low, others[0])  # it has learnt from the test period too
        assert len(np.unique((answers.high - answers.low).round(6))) > 50
    contributions = model.contributions({name: values[:3] for name, values in _columns(project).items()})
    assert np.isfinite(contributions.values).all()
    table = project.storage.read_table(home.record("predictions", "2024-04").stored_path)
    assert set(project.target.columns) <= set(table.column_names)
    measured = home.record("model_performance", "2024-04")
    assert np.isfinite(measured.value(metric.key("realised")))
    (tmp_path / "rows.json").write_text(json.dumps(model.golden.rows[:2]))
    said = home.command("predict", str(tmp_path / "rows.json"))
    assert said.code == 0, said.err
    for line in map(json.loads, said.out.splitlines()):
        assert ("decision" in line) == bool(project.target.labels)


def _columns(project):
    from mlops_assets.core.columns import from_table

    names = project.spec.inputs()
    path = project.home / "clean_data"
    table = project.storage.read_table(f"clean_data/{sorted(path.iterdir())[0].name}")
    return from_table(table, names)
