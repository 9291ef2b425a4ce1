"""The registry: the graph is that of the assets' own `deps`, and one more asset is one more entry."""

from dataclasses import replace

import dagster as dg
import pytest
from dagster._core.execution.asset_backfill import AssetBackfillData

from mlops_assets.assets.entry import AssetEntry
from mlops_assets.assets.jobs import build_jobs
from mlops_assets.assets.plan import Plan
from mlops_assets.assets.registry import ENTRIES, asset_graph
from mlops_assets.core.fingerprint import Recipe
from mlops_assets.definitions import build_definitions
from mlops_assets.project import open_project

TYPES = {"MLOPS_MODEL_TYPES": "Ridge,XGBoost"}


def census(state, period):
    """How many rows a period has, made from clean data."""
    return Recipe({"code": "1", "upstream": {"clean_data": state.records.newest("clean_data", period).content}})


def build_census(project):
    @dg.asset(name="census", deps=["clean_data"], partitions_def=CENSUS.partitions(project))
    def census():
        return None

    return census


CENSUS = AssetEntry(
    name="census",
    code_version="1",
    job="count",
    about="Count the rows of one period.",
    build=build_census,
    recipe=census,
    partitioned_by="period",
)


@pytest.fixture
def project():
    return open_project(TYPES)


def test_every_asset_comes_after_what_it_is_made_from(project):
    graph = asset_graph(project)
    order = list(graph.entries)
    assert set(order) == {entry.name for entry in ENTRIES} - {
        "ensemble_model",
        "search_budget",
    }
    assert all(order.index(parent) < order.index(name) for name in order for parent in graph.upstream[name])


def test_the_edges_are_those_of_the_assets_own_deps(project):
    graph = asset_graph(project)
    assert graph.upstream["champion_model"] == ("training_set", "sklearn_model", "xgboost_model")
    assert graph.upstream["predictions"] == ("raw_data", "champion_model")
    assert graph.chosen_partitions == {("hyperparameters", "xgboost_model"): {"XGBoost"}}


@pytest.mark.filterwarnings("ignore:Function `AssetSelection.sources`:DeprecationWarning")  # Dagster's own
def test_a_backfill_that_begins_with_periods_reaches_the_model_types_and_no_plan_waits_for_that_edge(project):
    graph = asset_graph(project)
    everything = build_definitions(project).resolve_asset_graph()
    keys = [dg.AssetKey(name) for name in graph.entries]
    with dg.DagsterInstance.ephemeral() as instance:  # as the UI asks for it: "Materialize all"
        backfill = AssetBackfillData.from_asset_partitions(
            asset_graph=everything,
            partition_names=["2013-01"],
            asset_selection=keys,
            dynamic_partitions_store=instance,
            all_partitions=False,
            backfill_start_timestamp=1.7e9,
        )
    for name in ("hyperparameters", "sklearn_model"):
        reached = backfill.target_subset.get_partitions_subset(dg.AssetKey(name))
        assert set(reached.get_partition_keys()) == set(graph.entries[name].static_partitions(project))
    assert graph.upstream["hyperparameters"] == ("training_set",)


def test_the_order_does_not_depend_on_that_of_the_list(project):
    turned = asset_graph(project, ENTRIES[::-1])
    order = list(turned.entries)
    assert order[:4] == ["raw_data", "clean_data", "training_set", "hyperparameters"]
    assert all(order.index(parent) < order.index(name) for name in order for parent in turned.upstream[name])


def test_an_asset_that_is_added_is_planned_ordered_and_has_a_job(project):
    graph = asset_graph(project, [*ENTRIES, CENSUS])
    with dg.DagsterInstance.ephemeral() as instance:
        plan = Plan(instance, project, {"2013-01": "v1"}, graph)
        assert plan.assets.index("census") > plan.assets.index("clean_data")
        (task,) = plan.explain()["census"]
    assert task.name == "census[2013-01]"
    assert task.reasons == ("never made", "clean_data[2013-01] will be made again")
    assert "clean_data[2013-01] has not been materialised" in task.waits_for
    assert "count" in {job.name for job in build_jobs(graph)}


def test_a_parent_that_is_no_reason_makes_nothing_stale(project):
    indifferent = replace(CENSUS, unmoved_by=frozenset({"clean_data"}))
    with dg.DagsterInstance.ephemeral() as instance:
        plan = Plan(instance, project, {"2013-01": "v1"}, asset_graph(project, [*ENTRIES, indifferent]))
        (task,) = plan.explain()["census"]
    assert task.reasons == ("never made",)
