"""CPU minutes as an asset: trials allotted by what types promise, which their searches repeat without a fit."""

import pytest

from mlops_assets.assets.plan import Plan
from mlops_assets.assets.registry import asset_graph
from mlops_assets_tests.assets.conftest import failure_of
from mlops_assets_tests.homes import write_yaml

MINUTES = 0.01


@pytest.fixture(scope="module")
def lab(new_workshop):
    """A workshop in which three types share some CPU; all trials of one fail."""
    lab = new_workshop(MLOPS_MODEL_TYPES="Lasso,LinearRegression,Ridge", MLOPS_CPU_MINUTES=str(MINUTES))
    spaces = {"Lasso": {"parameters": {"alpha": {"fixed": -1}}}}
    lab.change(MLOPS_SEARCH_SPACES=write_yaml(lab.home.folder / "wrong.yaml", spaces), MLOPS_PATIENCE="1000")
    return lab.make_up_to("training_set")


def tasks(workshop, asset):
    return {task.partition: task for task in Plan(workshop.instance, workshop.project).tasks(asset)}


@pytest.fixture(scope="module")
def spread(lab):
    """The same once the minutes are spread; before that, no search is made."""
    assert tasks(lab, "hyperparameters")["Ridge"].waits_for == "search_budget has not been materialised: do that first"
    assert lab.make("search_budget").success
    return lab


def test_searches_repeat_what_was_allotted_and_fit_nothing_again(spread):
    lab, record = spread, spread.record("search_budget")
    allotted = record.value("trials_by_type")
    assert record.value("cpu_time") >= MINUTES * 60
    assert set(allotted) == set(lab.project.model_types) and record.value("trials") == sum(allotted.values())
    for name in ("LinearRegression", "Ridge"):
        assert lab.make("hyperparameters", name).success
        tuned = lab.record("hyperparameters", name)
        assert tuned.value("trials") == tuned.value("resumed_trials") == allotted[name]
    assert failure_of(lab.make("hyperparameters", "Lasso")).startswith("all 1 trials failed; the first: Inv")
    assert not any(tasks(lab, "hyperparameters")[name].stale for name in ("LinearRegression", "Ridge"))


def test_more_minutes_go_on_where_fewer_ended_and_fewer_ask_for_nothing(spread):
    lab, before = spread, spread.record("search_budget")
    lab.change(MLOPS_CPU_MINUTES=str(MINUTES / 2))
    assert not tasks(lab, "search_budget")[None].stale
    more = before.value("cpu_time") / 60 + MINUTES
    lab.change(MLOPS_CPU_MINUTES=str(more))
    assert lab.make("search_budget").success
    after = lab.record("search_budget")
    assert after.value("reason") == f"settings: cpu_minutes {MINUTES} -> {more}"
    assert after.value("trials_by_type")["Ridge"] > before.value("trials_by_type")["Ridge"]
    assert tasks(lab, "hyperparameters")["Ridge"].stale


def test_without_minutes_there_is_no_such_asset(lab):
    graph = asset_graph(lab.home.project(MLOPS_CPU_MINUTES=""))
    assert "search_budget" not in graph.entries
    assert graph.upstream["hyperparameters"] == ("training_set",)
