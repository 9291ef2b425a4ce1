"""A recipe holds all that a result depends on, nothing else, and no hidden name."""

from datetime import UTC, datetime

import dagster as dg
import pytest

from mlops_assets.assets import (
    champion_model,
    clean_data,
    hyperparameters,
    models,
    predictions,
    raw_data,
    training_set,
)
from mlops_assets.assets.records import Record, Records
from mlops_assets.core.fingerprint import Recipe, changes
from mlops_assets.core.prepare.splitting import Periods
from mlops_assets.errors import DataError
from mlops_assets.project import open_project
from mlops_assets_tests.documents import ROOT, blocks
from mlops_assets_tests.homes import SHOP, write_yaml

FILES = {"kind": "files", "uri": "sales_{period}.csv"}


@pytest.fixture
def project(tmp_path):
    """A function that opens the shop's project with other YAML keys, and settings in capitals."""

    def make(env=None, customer="zq_customer", **changes):
        path = write_yaml(tmp_path / "shop.yaml", SHOP | {"source": FILES} | changes)
        env = {f"MLOPS_{name}": value for name, value in (env or {}).items()}
        return open_project({"MLOPS_DATASET": path, "REAL_NAME": "zq_paid", "CUSTOMER": customer} | env)

    return make


def record(asset, recipe=None, content="c" * 64, partition=None, **metadata):
    values = {name: dg.MetadataValue.int(value) for name, value in ({"dagster/row_count": 1_000} | metadata).items()}
    return Record(asset, partition, recipe or Recipe({}), content, None, values, "run", datetime.now(UTC))


def search_recipe(project, model_type, built, previous=None):
    budget = hyperparameters.Budget(project.settings.max_trials, project.settings.tuning_seconds)
    return hyperparameters.recipe(project, model_type, built, previous, budget)


def test_raw_data_depends_on_its_source_and_its_version_alone(project):
    recipe = raw_data.recipe(project(), "v1")
    assert recipe == raw_data.recipe(project(target={"column": "size"}, features={"categorical": ["zone"]}), "v1")
    assert changes(recipe, raw_data.recipe(project(), "v2")) == ('data: source version "v1" -> "v2"',)
    moved = project(source=FILES | {"uri": "elsewhere/{period}.csv"})
    assert changes(recipe, raw_data.recipe(moved, "v1")) == ("settings: source changed",)


def test_a_real_column_name_is_in_a_recipe_as_a_digest_only(project):
    columns = SHOP["columns"] | {"price": {"from": "${REAL_NAME}"}}
    recipe = raw_data.recipe(project(columns=columns), "v1")
    assert "zq_" not in recipe.to_json()
    assert recipe != raw_data.recipe(project(), "v1")


def test_clean_data_depends_on_the_rules_and_its_raw_rows(project):
    raw = record("raw_data", content="a" * 64)
    recipe = clean_data.recipe(project(), raw)
    assert recipe == clean_data.recipe(project(env={"SEED": "8"}), raw)
    kept = project(target=SHOP["target"] | {"keep": [2, 1000]})
    assert [line for line in changes(recipe, clean_data.recipe(kept, raw)) if "keep" in line]
    assert changes(recipe, clean_data.recipe(project(), record("raw_data", content="b" * 64))) == (
        "upstream: raw_data changed",
    )


def test_a_rules_hidden_value_is_noticed_and_not_told(project):
    def recipe(customer):
        rules = [{"name": "not ${CUSTOMER}", "column": "zone", "none_of": [1]}]
        return clean_data.recipe(project(customer=customer, rows=rules), record("raw_data"))

    one, other = recipe("zq_one"), recipe("zq_other")
    assert "zq_" not in one.to_json() and "${CUSTOMER}" in one.to_json()
    assert changes(one, other) == ("settings: values from the environment changed",)


def test_a_search_is_asked_for_a_larger_budget_and_never_for_a_smaller_one(project):
    built = record("training_set")

    def recipe(trials, previous=None):
        return search_recipe(project(env={"MAX_TRIALS": str(trials)}), "Ridge", built, previous)

    ten = recipe(10)
    assert recipe(5, record("hyperparameters", ten)) == ten
    assert changes(ten, recipe(20, record("hyperparameters", ten))) == ("settings: max_trials 10 -> 20",)


def test_a_search_of_another_kind_has_a_budget_of_its_own(project):
    built, small = record("training_set"), {"MAX_TRIALS": "5"}
    ten = record("hyperparameters", search_recipe(project(), "Ridge", built))
    other_seed = search_recipe(project(env=small | {"SEED": "8"}), "Ridge", built, ten)
    assert other_seed.parts["settings"]["max_trials"] == 5
    assert hyperparameters.search_identity(other_seed) != hyperparameters.search_identity(ten.recipe)


@pytest.mark.parametrize(
    ("env", "told"),
    [
        ({"PATIENCE": "3"}, "patience"),
        ({"TUNING_ROWS": "1000"}, "tuning_rows"),
        ({"TRIALS": "local:2"}, "trial_width"),
        ({"TRIAL_WIDTH": "4"}, "trial_width"),
    ],
)
def test_what_fixes_a_search_is_in_its_recipe(project, env, told):
    built = record("training_set")
    one = search_recipe(project(), "Ridge", built)
    other = search_recipe(project(env=env), "Ridge", built)
    assert [line.split()[1] for line in changes(one, other)] == [told]


def test_a_changed_class_of_the_users_own_makes_all_stale_that_is_fitted_by_it(project, my_models):
    built, kind, env = record("training_set"), "my_models.Mine", {"MODEL_TYPES": "my_models.Mine,Ridge"}

    def recipes(partition, code=None):
        my_models("Mine", code=code)
        now, tuned = project(env=env), record("hyperparameters", partition=partition)
        yield search_recipe(now, partition, built)
        yield models.recipe("sklearn_model", now, built, tuned)
        yield champion_model.recipe(now, built, {})

    before, [code] = [*recipes(kind)], blocks(ROOT / "docs" / "models.md", "python")
    after = [*recipes(kind, code.replace("20", "30"))]
    assert [changes(*pair) for pair in zip(before, after, strict=True)] == [(f"libraries: {kind} changed",)] * 3
    assert [*recipes("Ridge")][:2] == [*recipes("Ridge", code.replace("20", "30"))][:2]


def test_threads_and_time_outs_change_no_recipe(project):
    slow = project(env={"THREADS": "1", "HTTP_TIMEOUT": "5", "MLFLOW_URL": "http://elsewhere"})
    built, tuned = record("training_set"), record("hyperparameters", partition="Ridge")
    assert models.recipe("sklearn_model", slow, built, tuned) == models.recipe("sklearn_model", project(), built, tuned)
    assert search_recipe(slow, "Ridge", built, None) == search_recipe(project(), "Ridge", built)


@pytest.mark.parametrize(("asset", "model_type"), [("sklearn_model", "Ridge"), ("xgboost_model", "XGBoost")])
def test_a_model_depends_on_the_coverage_of_its_intervals(project, asset, model_type):
    built, tuned = record("training_set"), record("hyperparameters", partition=model_type)
    narrow, wide = (models.recipe(asset, project(env={"COVERAGE": each}), built, tuned) for each in ("0.8", "0.9"))
    assert changes(narrow, wide) == ("settings: coverage 0.8 -> 0.9",)


@pytest.mark.parametrize(("asset", "model_type"), [("sklearn_model", "Ridge"), ("xgboost_model", "XGBoost")])
def test_intervals_of_quantiles_make_models_anew_and_no_search(project, asset, model_type):
    built, tuned = record("training_set"), record("hyperparameters", partition=model_type)
    plain, asked = project(), project(target=SHOP["target"] | {"intervals": "quantiles"})
    before, after = (models.recipe(asset, each, built, tuned) for each in (plain, asked))
    assert changes(before, after) == ('settings: intervals is new ("quantiles")',)
    assert search_recipe(plain, model_type, built) == search_recipe(asked, model_type, built)
    assert clean_data.recipe(plain, record("raw_data")) == clean_data.recipe(asked, record("raw_data"))


def test_a_model_in_another_mlflow_is_another_model_and_no_password_is_told(project):
    built, tuned = record("training_set"), record("hyperparameters", partition="Ridge")
    here = models.recipe("sklearn_model", project(), built, tuned)
    there = models.recipe("sklearn_model", project(env={"TRACKING_URI": "http://me:zq_word@host"}), built, tuned)
    assert changes(here, there) == ("settings: tracking changed",)
    assert "zq_word" not in there.to_json()


def test_the_gate_depends_on_its_candidates(project):
    built, one = record("training_set"), {"Ridge": record("sklearn_model", content="a" * 64)}
    recipe = champion_model.recipe(project(), built, one)
    both = one | {"XGBoost": record("xgboost_model", content="b" * 64)}
    assert changes(recipe, champion_model.recipe(project(), built, both)) == ("data: XGBoost is new",)
    strict = project(env={"MINIMUM_GAIN": "0.1"})
    assert changes(recipe, champion_model.recipe(strict, built, one)) == ("settings: minimum_gain 0.002 -> 0.1",)


def test_predictions_depend_on_the_champion_and_there_must_be_one(project):
    raw = record("raw_data")
    five = predictions.recipe(project(), raw, record("champion_model", champion_version=5))
    six = predictions.recipe(project(), raw, record("champion_model", champion_version=6))
    assert changes(five, six) == ("upstream: champion 5 -> 6",)
    with pytest.raises(DataError, match="there is no champion to predict with"):
        predictions.recipe(project(), raw, record("champion_model", champion_version=0))


def test_the_width_of_a_search_is_as_set_or_one_for_each_process(project):
    assert hyperparameters.trial_width(project()) == 1
    assert hyperparameters.trial_width(project(env={"TRIALS": "local:3"})) == 3
    assert hyperparameters.trial_width(project(env={"TRIALS": "local:3", "TRIAL_WIDTH": "6"})) == 6


def test_candidates_are_the_models_of_this_very_training_set(workshop):
    built = workshop.record("training_set")
    found = champion_model.candidates(Records(workshop.instance), workshop.project, built)
    assert list(found) == ["Ridge", "XGBoost"]
    with pytest.raises(DataError, match="no model is fitted on the present training set"):
        champion_model.candidates(Records(workshop.instance), workshop.project, record("training_set", content="other"))


def test_periods_of_another_source_or_cleaned_by_other_rules_do_not_count(workshop):
    periods, cleaned = training_set.chosen_periods(Records(workshop.instance), workshop.project)
    assert periods.all == tuple(cleaned) == ("2024-01", "2024-02", "2024-03")
    moved = workshop.home.project(MLOPS_SOURCE_URI="elsewhere/sales_{period}.csv")
    with pytest.raises(DataError, match=r"^0 period\(s\) are not enough"):
        training_set.chosen_periods(Records(workshop.instance), moved)


def test_a_fit_over_a_cluster_is_another_model_of_xgboost_wherever_the_cluster_is(project):
    built = record("training_set", **{"dagster/row_count": 900})
    tuned, ridge = (record("hyperparameters", partition=name) for name in ("XGBoost", "Ridge"))
    here, there = project(), [project(env={"FINAL_FIT": f"dask:tcp://{host}:8786"}) for host in ("one", "two")]
    recipe = models.recipe("xgboost_model", here, built, tuned)
    one, other = (models.recipe("xgboost_model", each, built, tuned) for each in there)
    assert one == other
    assert changes(recipe, one) == ('settings: final_fit is new ("divided")',)
    assert models.recipe("sklearn_model", here, built, ridge) == models.recipe("sklearn_model", there[0], built, ridge)


def test_the_rows_in_memory_decide_where_a_window_has_more(project):
    periods = Periods(("2024-01",), ("2024-02",), ())
    cleaned = {period: record("clean_data") for period in periods.all}
    built = record("training_set", **{"dagster/row_count": 2_000})

    def all_recipes(most):
        made = project({"MEMORY_ROWS": most})
        yield training_set.recipe(made, periods, cleaned)
        yield models.recipe("sklearn_model", made, built, record("hyperparameters", partition="Ridge"))
        yield champion_model.recipe(made, built, {})

    for fits, beyond, further in zip(*map(all_recipes, ("2000", "1999", "1998")), strict=True):
        assert changes(fits, beyond) == ("settings: memory_rows is new (1999)",)
        assert changes(beyond, further) == ("settings: memory_rows 1999 -> 1998",)


def test_a_direction_that_predictions_follow_makes_another_search(project):
    built = record("training_set")
    plain, follows = project(), project(monotone={"size": "up"})
    one, up = (search_recipe(of, "XGBoost", built) for of in (plain, follows))
    assert changes(one, up) == ("settings: monotone is new",)


def test_a_snapshot_of_classes_says_that_it_is_split_by_class(project):
    periods, cleaned = Periods(("snapshot",), ("snapshot",), ("snapshot",)), {"snapshot": record("clean_data")}
    snapshot = {"time": None, "source": {"kind": "files", "uri": "sales.csv"}}
    of_numbers, of_classes = (
        training_set.recipe(project(**snapshot, target={"column": "price"} | keys), periods, cleaned)
        for keys in ({}, {"above": 10})
    )
    assert changes(of_numbers, of_classes) == ('settings: split is new ("stratified by class")',)
