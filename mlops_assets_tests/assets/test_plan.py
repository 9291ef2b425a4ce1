"""What would be made, and why."""

from datetime import date, timedelta

import pytest
import yaml

from mlops_assets.assets.entry import LOOKED_AT
from mlops_assets.assets.plan import Plan
from mlops_assets.errors import DataError, SpecError
from mlops_assets_tests.homes import SHOP, write_period, write_yaml


def plan_with(workshop, **settings):
    return Plan(workshop.instance, workshop.home.project(**settings))


def names(tasks):
    return [task.name for task in tasks]


def stale(plan):
    """Reasons by task, of all that would be made again."""
    return {task.name: task.reasons for tasks in plan.explain().values() for task in tasks if task.stale}


def test_at_first_all_is_to_be_made_and_waits_for_what_is_above(new_workshop):
    plan = plan_with(new_workshop(MLOPS_MODEL_TYPES="Ridge,XGBoost"))
    assert plan.assets == (
        "raw_data",
        "clean_data",
        "training_set",
        "hyperparameters",
        "sklearn_model",
        "xgboost_model",
        "champion_model",
        "predictions",
        "model_performance",
        "drift_report",
    )
    raw = plan.tasks("raw_data")
    assert names(raw) == ["raw_data[2024-01]", "raw_data[2024-02]", "raw_data[2024-03]"]
    assert {(task.reasons, task.waits_for) for task in raw} == {(("never made",), None)}
    (clean, *_) = plan.tasks("clean_data")
    assert clean.stale and clean.waits_for == "raw_data[2024-01] has not been materialised: do that first"
    (training_set,) = plan.tasks("training_set")
    assert training_set.waits_for.startswith("0 period(s) are not enough")
    assert names(plan.tasks("hyperparameters")) == ["hyperparameters[Ridge]", "hyperparameters[XGBoost]"]
    assert names(plan.tasks("sklearn_model")) == ["sklearn_model[Ridge]"]
    assert names(plan.tasks("xgboost_model")) == ["xgboost_model"]


def test_periods_that_the_source_lacks_do_not_divide_a_run_and_others_do(workshop, monkeypatch):
    plan = Plan(workshop.instance, workshop.home.project(), versions={"2024-01": "new", "2024-03": "new"})
    tasks = plan.tasks("raw_data")
    assert [part.name for part in plan.parts(tasks)] == ["raw_data[2024-01...2024-03]"]
    whole = Plan(workshop.instance, workshop.home.project(), versions={f"2024-0{month}": "new" for month in (1, 2, 3)})
    assert [part.name for part in whole.parts(tasks)] == ["raw_data[2024-01]", "raw_data[2024-03]"]
    monkeypatch.setattr("mlops_assets.assets.plan.LONGEST_GAP", 1)
    again = Plan(workshop.instance, workshop.home.project(), versions={"2024-01": "new", "2024-03": "new"})
    assert [part.name for part in again.parts(tasks)] == ["raw_data[2024-01]", "raw_data[2024-03]"]


def test_afterwards_nothing_is_to_be_made(workshop):
    assert stale(plan_with(workshop)) == {}


def test_an_asset_that_is_not_there_is_named_with_those_that_are(workshop):
    with pytest.raises(SpecError, match=r"'xgboost_model' is not an asset \(assets: raw_data, .*drift_report\)"):
        plan_with(workshop, MLOPS_MODEL_TYPES="Ridge").tasks("xgboost_model")


def test_a_setting_makes_stale_what_it_is_for_and_all_below(workshop):
    found = stale(plan_with(workshop, MLOPS_PATIENCE="3"))
    assert found["hyperparameters[Ridge]"] == ("settings: patience 15 -> 3",)
    assert found["sklearn_model[Ridge]"] == ("hyperparameters[Ridge] will be made again",)
    assert found["xgboost_model"] == ("hyperparameters[XGBoost] will be made again",)
    assert found["predictions[2024-01]"] == ("champion_model will be made again",)
    assert not any(name.startswith(("raw_data", "clean_data", "training_set")) for name in found)


def test_one_model_types_space_makes_stale_that_type_alone(workshop, tmp_path):
    spaces = write_yaml(tmp_path / "spaces.yaml", {"Ridge": {"parameters": {"alpha": {"uniform": [1, 2]}}}})
    found = stale(plan_with(workshop, MLOPS_SEARCH_SPACES=spaces))
    assert set(found) == {
        "hyperparameters[Ridge]",
        "sklearn_model[Ridge]",
        "champion_model",
        *(f"predictions[2024-0{period}]" for period in (1, 2, 3)),
    }


def test_an_artefact_that_is_gone_is_made_again(workshop):
    path = workshop.project.home / workshop.record("clean_data", "2024-02").path
    aside = path.rename(path.with_suffix(".aside"))
    try:
        (reason,) = stale(plan_with(workshop))["clean_data[2024-02]"]
    finally:
        aside.rename(path)
    assert reason.startswith("clean_data/2024-02-") and reason.endswith(" is gone")


def test_rows_that_change_at_the_source_are_ingested_again(own_workshop):
    sales = own_workshop.home.folder / "sales"
    own_workshop.change(MLOPS_SOURCE_URI=f"{sales}/sales_{{period}}.csv")
    own_workshop.make_up_to("raw_data")
    with (sales / "sales_2024-02.csv").open("a") as file:
        file.write("2024-02-28T10:00,1,20,30\n")
    found = stale(plan_with(own_workshop))
    assert found["raw_data[2024-02]"][0].startswith("data: source version ")
    assert found["clean_data[2024-02]"] == ("raw_data[2024-02] will be made again",)
    assert found["training_set"] == ("clean_data[2024-02] will be made again",)
    assert found["model_performance[2024-02]"] == ("clean_data[2024-02] will be made again",)
    assert found["drift_report[2024-02]"] == ("clean_data[2024-02] will be made again",)
    assert "raw_data[2024-01]" not in found and "clean_data[2024-01]" not in found


def test_the_newest_periods_that_fit_the_window_are_asked_for(new_workshop):
    workshop = new_workshop()
    document = yaml.safe_load((workshop.home.folder / "shop.yaml").read_text())
    small = write_yaml(
        workshop.home.folder / "small.yaml", document | {"window": {"train_periods": 1, "test_periods": 0}}
    )
    assert plan_with(workshop, MLOPS_DATASET=small).periods() == ("2024-02", "2024-03")


def test_a_period_that_is_not_over_is_left_for_later(new_workshop):
    workshop, today = new_workshop(), date.today()
    endless = SHOP["time"] | {"last": None}
    document = yaml.safe_load((workshop.home.folder / "shop.yaml").read_text()) | {"time": endless}
    write_period(workshop.home.folder / "sales", f"{today:%Y-%m}")
    plan = plan_with(workshop, MLOPS_DATASET=write_yaml(workshop.home.folder / "endless.yaml", document))
    assert plan.periods() == ("2024-01", "2024-02", "2024-03")


def test_of_many_periods_all_are_prepared_and_the_newest_are_scored_and_measured(new_workshop):
    workshop = new_workshop()
    document = yaml.safe_load((workshop.home.folder / "shop.yaml").read_text())
    document |= {"time": {"column": "at", "every": "day", "first": "2024-01-01"}, "window": {"train_periods": 60}}
    days = [f"{date(2024, 1, 1) + timedelta(number)}" for number in range(50)]
    for day in days:
        write_period(workshop.home.folder / "sales", day, rows=1)
    plan = plan_with(workshop, MLOPS_DATASET=write_yaml(workshop.home.folder / "days.yaml", document))
    assert names(plan.tasks("raw_data")) == [f"raw_data[{day}]" for day in days]
    assert names(plan.tasks("drift_report")) == [f"drift_report[{day}]" for day in days[-LOOKED_AT:]]


def test_a_source_without_any_period_is_told(new_workshop, tmp_path):
    workshop = new_workshop(MLOPS_SOURCE_URI=f"{tmp_path}/sales_{{period}}.csv")
    with pytest.raises(DataError, match="the source of shop does not have a period yet"):
        plan_with(workshop).tasks("raw_data")
