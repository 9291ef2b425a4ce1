import dagster as dg
import pytest

from mlops_assets.assets.records import CONTENT, PATH, RECIPE, Records, report_by_hand
from mlops_assets.core.fingerprint import Recipe
from mlops_assets.errors import DataError
from mlops_assets.resources.mlflow.version import Version

RECIPE_1 = Recipe({"code": "1", "settings": {"seed": 7}})


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def report(instance):
    """A function that records a materialisation, as an asset of this project does."""

    def report(asset, content, partition=None, **metadata):
        told = {RECIPE: RECIPE_1.to_json(), CONTENT: content} | metadata
        instance.report_runless_asset_event(dg.AssetMaterialization(asset, metadata=told, partition=partition))

    return report


def version(number):
    return Version(number, "run", "Ridge", {}, f"models/taxi/versions/{number}", created=None)


def test_what_was_never_made_has_no_record(instance):
    assert Records(instance).latest("training_set") is None
    assert Records(instance).all_latest("raw_data") == {}


def test_the_newest_materialisation_counts(instance, report):
    report("training_set", "first", **{PATH: "training_set/a", "rows": 3})
    report("training_set", "second", **{PATH: "training_set/b", "rows": 4})
    record = Records(instance).latest("training_set")
    assert (record.asset, record.partition, record.content, record.path) == (
        "training_set",
        None,
        "second",
        "training_set/b",
    )
    assert record.recipe == RECIPE_1
    assert record.value("rows") == 4
    assert record.value("columns") is None


def test_each_partition_has_its_own_newest(instance, report):
    for period, content in [("2024-02", "b"), ("2024-01", "a"), ("2024-01", "c")]:
        report("raw_data", content, partition=period)
    assert Records(instance).latest("raw_data", "2024-02").content == "b"
    assert Records(instance).latest("raw_data", "2024-03") is None
    assert [(period, record.content) for period, record in Records(instance).all_latest("raw_data").items()] == [
        ("2024-01", "c"),
        ("2024-02", "b"),
    ]


def test_a_materialisation_reported_by_hand_is_none_of_ours(instance, report):
    report("training_set", "ours")
    instance.report_runless_asset_event(dg.AssetMaterialization("training_set"))
    assert Records(instance).latest("training_set") is None


def test_what_is_missing_is_named(instance):
    with pytest.raises(DataError, match=r"^raw_data\[2024-01\] has not been materialised: do that first$"):
        Records(instance).newest("raw_data", "2024-01")
    with pytest.raises(DataError, match="^training_set has not been materialised"):
        Records(instance).newest("training_set")


def test_a_rollback_is_a_record_like_the_one_before_with_another_version(instance, report):
    report("champion_model", "x", champion_version=5, champion_type="XGBoost", verdict="Promoted", judged_on="test")
    reigned = [{"version": 2, "learnt_until": "2024-02"}, {"version": 5, "learnt_until": "2024-03"}]
    report_by_hand(instance, version(2), "rolled back", "Rolled back by hand from version 5 to version 2.", reigned)
    record = Records(instance).latest("champion_model")
    assert record.recipe == RECIPE_1
    assert record.value("champion_version") == 2
    assert record.value("champion_type") == "Ridge"
    assert record.value("decision") == "rolled back"
    assert record.value("judged_on") == "test"
    assert record.value("verdict") == "Rolled back by hand from version 5 to version 2."
    assert record.value("reigns") == reigned
    assert record.content == Recipe({"champion": 2}).digest


def test_a_rollback_where_no_champion_was_recorded_records_none(instance):
    report_by_hand(instance, version(2), "rolled back", "Rolled back by hand from version 5 to version 2.", [])
    assert Records(instance).latest("champion_model") is None
