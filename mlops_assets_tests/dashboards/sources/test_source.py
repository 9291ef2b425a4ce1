"""The sources, on the stores of a shop that has run: what is there is told, in the declared columns."""

import json

import pandas as pd
import pytest

from mlops_assets.dashboards.sources.source import DTYPES


@pytest.fixture(scope="module")
def rows(shop_dashboards):
    """A function that gives a source's rows once all are read."""

    def read(name):
        while not (reading := shop_dashboards.sources[name].read()).complete:
            pass
        return reading.frame

    return read


def test_every_source_has_its_declared_columns_and_types(shop_dashboards, rows):
    for name, source in shop_dashboards.sources.items():
        frame = rows(name)
        for column in source.columns:
            assert str(frame[column.name].dtype) == DTYPES[column.kind], (name, column.name)
        assert source.time is None or source.column(source.time).kind == "time", name


def test_runs_tell_who_started_what(rows):
    runs = rows("runs")
    runs = runs[(runs["started_by"] == "cli") & (runs["status"] == "succeeded")]  # others may try what fails
    ingests = runs[runs["job"] == "ingest"]
    assert list(ingests["partition"]) == ["2024-01...2024-03"]
    assert set(ingests["asset"]) == {"raw_data"}
    assert set(runs[runs["job"] == "tune"]["model_type"]) == {"Ridge"}
    assert runs["seconds"].gt(0).all()


def test_materialisations_and_their_numbers_are_there(rows):
    made = rows("materialisations")
    assert made.groupby("asset")["latest"].sum()["clean_data"] == 3
    numbers = rows("numbers")
    counts = numbers[(numbers["asset"] == "raw_data") & (numbers["name"] == "row_count")]
    assert list(counts["value"]) == [300, 300, 300]


def test_no_plot_is_kept_in_memory(rows):
    assert "data:image" not in rows("materialisations")["details"].map(json.dumps).str.cat()


def test_checks_have_their_partition(rows):
    checks = rows("checks")
    assert set(checks[checks["asset"] == "raw_data"]["partition"]) >= {"2024-01", "2024-02", "2024-03"}
    assert checks["latest"].all()
    assert {"schema", "row_count"} <= set(checks["check"])


def test_trials_are_in_order_with_the_best_so_far(rows):
    trials = rows("trials")
    assert list(trials["trial"]) == [1, 2, 3]
    assert list(trials["best"]) == list(trials["loss"].cummin())
    assert trials["newest_search"].all()
    assert "alpha" in json.loads(trials["parameters"].iloc[0])


def test_metrics_are_those_of_the_final_models(rows):
    metrics = rows("metrics")
    candidates = metrics[(metrics["name"] == "validation_rmse") & (metrics["role"] == "candidate")]
    assert list(candidates["model_type"]) == ["Ridge"]


def test_the_gate_is_told_in_leaderboard_and_decisions(rows):
    board = rows("leaderboard")
    assert set(board["role"]) == {"candidate", "baseline"}
    assert board["latest"].all()
    (decision,) = rows("decisions").itertuples()
    assert decision.challenger == "Ridge"


def test_the_champion_reigns(rows):
    (reign,) = rows("promotions").itertuples()
    assert (reign.model_type, reign.current) == ("Ridge", True)


def test_periods_tell_what_was_dropped(rows):
    periods = rows("periods")
    assert list(periods["period"]) == ["2024-01", "2024-02", "2024-03"]
    assert (periods["raw_rows"] - periods["dropped"] == periods["rows"]).all()
    assert rows("dropped")["rows"].sum() == periods["dropped"].sum()


def test_columns_are_profiled_by_period(rows):
    profiles = rows("profiles").set_index(["table", "period", "column"])
    size = profiles.loc[("clean_data", "2024-01", "size")]
    assert size["low"] < size["median"] < size["high"]
    assert size["missing"] == 0
    assert "row_id" not in profiles.index.get_level_values("column")


def test_freshness_follows_from_the_policy(rows):
    fresh = rows("freshness").set_index("asset")
    assert set(fresh["state"]) == {"fresh"}
    assert fresh.loc["champion_model", "stale_days"] == 35


def test_sensors_are_there_before_they_have_ticked(rows):
    automation = rows("automation").set_index("name")
    assert automation.loc["new_data", "status"] == "never started"
    assert automation.loc["new_data", "every"] == "5 min"


def test_a_new_run_is_read_and_nothing_twice(new_shop, monkeypatch):
    from mlops_assets.cli.serve import read_catalogue
    from mlops_assets.dashboards.sources import feeds
    from mlops_assets.dashboards.sources.runs import runs_source

    monkeypatch.setattr(feeds, "REST_SECONDS", 0)
    shop = new_shop()
    with shop.instance() as instance:
        source = runs_source(instance, shop.project(), read_catalogue(shop.project()))
        assert source.read().frame.empty
        run = instance.create_run_for_job(_a_job(), tags={"mlops/started_by": "sensor"})
        assert list(source.read().frame["status"]) == ["queued"]
        instance.report_run_failed(run)
        (row,) = source.read().frame.itertuples()
    assert (row.status, row.started_by) == ("failed", "sensor")


def _a_job():
    import dagster as dg

    @dg.op
    def nothing(): ...

    @dg.job
    def idle():
        nothing()

    return idle


def test_times_are_in_utc(rows):
    assert isinstance(rows("runs")["time"].dtype, pd.DatetimeTZDtype)
