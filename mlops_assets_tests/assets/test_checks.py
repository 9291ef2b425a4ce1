"""Checks as Dagster sees them."""

import dagster as dg
import pytest

from mlops_assets.assets import clean_data, raw_data
from mlops_assets.assets.checks import check_results, check_specs, column_schema, stop_if_harmful
from mlops_assets.core.prepare.quality import CLEAN_CHECKS, RAW_CHECKS, CheckOutcome
from mlops_assets.core.prepare.schemas import clean_schema, raw_schema
from mlops_assets.errors import DataError
from mlops_assets.project import open_project

GOOD = CheckOutcome("rows_present", True, False, "300 rows", {"rows": 300})
WARNS = CheckOutcome("row_count", False, False, "half as many rows", {"share": 0.5})
STOPS = CheckOutcome("schema", False, True, "price: the column is missing", {"problems": 1})


@pytest.mark.parametrize(("entry", "rules"), [(raw_data.ENTRY, RAW_CHECKS), (clean_data.ENTRY, CLEAN_CHECKS)])
def test_every_rule_is_declared_for_each_period_before_there_is_a_table(entry, rules):
    project = open_project({})
    specs = check_specs(entry, project, rules)
    assert [(spec.name, spec.description, spec.blocking) for spec in specs] == [
        (rule.name, rule.description, rule.blocking) for rule in rules
    ]
    assert {spec.asset_key for spec in specs} == {dg.AssetKey(entry.name)}
    assert {spec.partitions_def for spec in specs} == {entry.partitions(project)}


def test_an_outcome_that_harms_is_an_error_and_another_failure_a_warning():
    results = list(check_results("raw_data", [GOOD, WARNS, STOPS]))
    assert [(result.check_name, result.passed, result.severity) for result in results] == [
        ("rows_present", True, dg.AssetCheckSeverity.WARN),
        ("row_count", False, dg.AssetCheckSeverity.WARN),
        ("schema", False, dg.AssetCheckSeverity.ERROR),
    ]
    assert results[1].description == "half as many rows"
    assert results[1].metadata["share"].value == 0.5


def test_only_what_harms_stops_and_all_of_it_is_told():
    stop_if_harmful("2024-01", [GOOD, WARNS])
    with pytest.raises(DataError) as caught:
        stop_if_harmful("2024-01", [STOPS, WARNS, CheckOutcome("period", False, True, "all lie elsewhere", {})])
    assert str(caught.value) == (
        "2024-01 is not used: schema (price: the column is missing); period (all lie elsewhere)"
    )


def test_a_schema_is_shown_with_what_it_asks_of_each_column(make_spec):
    spec = make_spec()
    raw = column_schema(raw_schema(spec))["dagster/column_schema"].value
    assert [column.name for column in raw.columns] == list(spec.columns)
    clean = {column.name: column for column in column_schema(clean_schema(spec))["dagster/column_schema"].value.columns}
    assert set(clean) == {"row_id", "at", "town", "zone", "size", "target"}
    assert clean["target"].constraints.other == ["in 1..1000"]
    assert clean["row_id"].constraints.unique
