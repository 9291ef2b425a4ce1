"""Periods as they are ingested, cleaned and joined into one training set."""

from importlib import resources

import dagster as dg
import pytest

from mlops_assets.assets import backtest_report
from mlops_assets.assets.registry import ENTRIES, asset_graph
from mlops_assets.core.training_set import TrainingSet
from mlops_assets_tests.assets.conftest import failure_of
from mlops_assets_tests.homes import write_period

PERIOD = "2024-02"


@pytest.fixture(scope="module")
def lab(new_workshop):
    """A workshop of which the periods may be spoilt: each test has one of its own."""
    return new_workshop().make_up_to("training_set")


def write(workshop, period, *lines):
    """Replace a period's sales."""
    path = workshop.home.folder / "sales" / f"sales_{period}.csv"
    path.write_text("\n".join(["at,zone,size,price", *lines, ""]))


def checks(result):
    """Outcome and severity by check."""
    return {
        event.asset_check_evaluation_data.check_name: (
            event.asset_check_evaluation_data.passed,
            event.asset_check_evaluation_data.severity,
        )
        for event in result.all_events
        if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION
    }


def test_raw_rows_are_kept_as_they_came_under_their_aliases(workshop):
    record = workshop.record("raw_data", PERIOD)
    table = workshop.project.storage.read_table(record.path)
    assert table.column_names == ["at", "zone", "size", "price"]
    assert table.num_rows == record.value("dagster/row_count") == 300
    assert [column.name for column in record.value("dagster/column_schema").columns] == table.column_names


def test_clean_rows_hold_a_target_and_say_what_was_dropped(workshop):
    raw, record = workshop.record("raw_data", PERIOD), workshop.record("clean_data", PERIOD)
    table = workshop.project.storage.read_table(record.path)
    assert table.column_names == ["row_id", "at", "zone", "size", "target"]
    assert record.value("dagster/row_count") == table.num_rows
    assert record.value("rows_dropped") == 300 - table.num_rows == sum(record.value("dropped_by_rule").values())
    assert record.recipe.parts["upstream"] == {"raw_data": raw.content}
    assert record.value("target_plot").startswith("![target](data:image/svg+xml;base64,")


def test_the_training_set_joins_the_periods_of_the_window(workshop):
    record = workshop.record("training_set")
    cleaned = {period: workshop.record("clean_data", period) for period in ("2024-01", "2024-02", "2024-03")}
    assert record.recipe.parts["data"] == {period: made.content for period, made in cleaned.items()}
    written = TrainingSet.load(workshop.project.storage.local_folder(record.path))
    assert written.periods.all == tuple(cleaned)
    for split, made in zip(("train", "validation", "test"), cleaned.values(), strict=True):
        assert record.value(f"{split}_rows") == written.rows[split] == made.value("dagster/row_count")
    assert record.value("one_hot_columns") == len(written.one_hot_names)
    names = [column.name for column in record.value("dagster/column_schema").columns]
    assert names == [*written.dense_names, "target"]


def test_a_leak_between_splits_leaves_the_last_training_set(lab, monkeypatch):
    before = lab.record("training_set")
    monkeypatch.setattr("mlops_assets.core.prepare.sides.Sides.leaks", lambda sides: ["2 group(s) are on two sides"])
    lab.change(MLOPS_SEED="8")
    result = lab.make("training_set")
    lab.change(MLOPS_SEED="")
    told = "training_set is not used: no_leak (2 group(s) are on two sides)"
    assert failure_of(result) == told and checks(result)["no_leak"] == (False, dg.AssetCheckSeverity.ERROR)
    assert lab.record("training_set") == before and lab.project.storage.exists(before.path)


@pytest.mark.parametrize(("asset", "period"), [("raw_data", PERIOD), ("clean_data", PERIOD), ("training_set", None)])
def test_what_has_not_changed_is_recorded_again_and_neither_computed_nor_drawn(lab, asset, period, no_pictures):
    before = lab.record(asset, period)
    result = lab.make(asset, period)
    after = lab.record(asset, period)
    assert result.success and after.run_id == result.run_id
    assert (after.content, after.path) == (before.content, before.path)
    assert after.value("recomputed") is False
    assert after.value("dagster/row_count") == before.value("dagster/row_count")
    assert {passed for passed, _ in checks(result).values()} == {True}  # checks are told again


def test_a_period_that_is_not_published_is_not_there_and_no_failure(lab):
    result = lab.make("raw_data", "2024-12")
    assert result.success
    assert {passed for passed, _ in checks(result).values()} == {True}
    assert lab.record("raw_data", "2024-12") is None
    assert lab.make("clean_data", "2024-12").success and lab.record("clean_data", "2024-12") is None
    assert failure_of(lab.make("clean_data", "2024-11")) == (
        "raw_data[2024-11] has not been materialised: do that first"
    )


def test_a_period_of_few_rows_is_a_warning_and_goes_on(lab):
    write_period(lab.home.folder / "sales", "2024-04", rows=40)
    result = lab.make("raw_data", "2024-04")
    assert result.success
    assert checks(result)["row_count"] == (False, dg.AssetCheckSeverity.WARN)
    assert lab.record("raw_data", "2024-04").value("dagster/row_count") == 40


def test_a_period_that_goes_bad_keeps_its_last_good_state(lab):
    write_period(lab.home.folder / "sales", "2024-05")
    assert lab.make("raw_data", "2024-05").success
    before = lab.record("raw_data", "2024-05")
    write(lab, "2024-05", "2024-05-01 10:00,1,2,", "2024-05-02 10:00,1,2,")
    result = lab.make("raw_data", "2024-05")
    assert not result.success
    assert checks(result)["empty_values"] == (False, dg.AssetCheckSeverity.ERROR)
    assert failure_of(result).startswith("2024-05 is not used: empty_values (")
    after = lab.record("raw_data", "2024-05")
    assert after.run_id == before.run_id
    assert lab.project.storage.read_table(after.path).num_rows == 300


def test_a_period_of_which_no_row_keeps_the_rules_is_not_cleaned(lab):
    write(lab, "2024-06", "2024-06-01 10:00,1,2,0", "2024-06-02 10:00,1,2,3000")
    assert lab.make("raw_data", "2024-06").success
    told = failure_of(lab.make("clean_data", "2024-06"))
    assert told == "2024-06 has no row that passes the rules (dropped: target is in 1..1000 2)"
    assert lab.record("clean_data", "2024-06") is None


def test_a_training_set_needs_periods_to_judge_by(new_workshop):
    told = failure_of(new_workshop().make("training_set"))
    assert told.startswith("0 period(s) are not enough: 1 for validation, 1 for test")


def test_equal_periods_and_settings_give_an_equal_training_set(lab, workshop):
    """The two were made in homes of their own."""
    first = workshop.record("training_set")
    assert lab.record("training_set").content == first.content


def origins(record):
    """For each column, the asset and the columns that it is made from."""
    lineage = record.value("dagster/column_lineage").deps_by_column
    return {name: {(dep.asset_key.to_user_string(), dep.column_name) for dep in deps} for name, deps in lineage.items()}


def test_columns_lead_back_to_those_they_are_made_from(workshop):
    cleaned, built = workshop.record("clean_data", PERIOD), workshop.record("training_set")
    assert origins(cleaned)["target"] == {("raw_data", "price")}
    assert set(origins(built)) == {column.name for column in built.value("dagster/column_schema").columns}
    clean_columns = {column.name for column in cleaned.value("dagster/column_schema").columns}
    assert {name for deps in origins(built).values() for _, name in deps} <= clean_columns


def test_values_that_are_missing_are_counted(new_workshop):
    workshop = new_workshop()
    write(workshop, PERIOD, *(f"2024-02-{day:02}T10:00,{day % 5},{'' if day == 3 else day},30" for day in range(1, 28)))
    assert workshop.make("raw_data", PERIOD).success
    assert workshop.record("raw_data", PERIOD).value("missing_values") == 1


def test_every_asset_of_the_pipeline_shows_a_picture_and_keeps_no_address(workshop):
    partitions = {"period": PERIOD, "model type": "Ridge", "scikit-learn type": "Ridge"}
    for asset, entry in asset_graph(workshop.project).entries.items():
        metadata = workshop.record(asset, partitions.get(entry.partitioned_by)).metadata
        assert not any("://" in str(value.value) for value in metadata.values() if len(str(value.value)) < 200), asset
        assert any("data:image/svg+xml" in str(value.value) for value in metadata.values()), asset


def test_the_dashboards_that_assets_lead_to_ship_with_the_project():
    boards = resources.files("mlops_assets.dashboards") / "boards"
    boards_named = {entry.dashboard for entry in ENTRIES} | {backtest_report.DASHBOARD}
    assert all((boards / f"{name}.yaml").is_file() for name in boards_named)
