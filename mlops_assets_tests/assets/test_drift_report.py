"""Drift reports in a workshop: what is compared with what, what is named, and what makes a report stale."""

from pathlib import Path

import dagster as dg
import numpy as np
import pytest
import yaml

from mlops_assets.assets.drift_report import Thinned, ask, find_basis
from mlops_assets.assets.jobs import build_jobs
from mlops_assets.assets.plan import Plan
from mlops_assets.assets.records import Records
from mlops_assets.assets.registry import asset_graph
from mlops_assets.automation.retraining import STARTED_BY
from mlops_assets.automation.triggers import build_monitoring_sensor
from mlops_assets_tests.homes import write_period, write_yaml

FIRST, MARCH, APRIL, MAY, NEXT_MARCH = "2024-01", "2024-03", "2024-04", "2024-05", "2025-03"


def told(workshop, period):
    record = workshop.record("drift_report", period)
    return dict(record.facts)


def stale(workshop):
    tasks = Plan(workshop.instance, workshop.project).tasks("drift_report")
    return {task.partition: task.reasons for task in tasks if task.stale}


def make(workshop, period):
    """Report on a period; gives its check."""
    result = workshop.make("drift_report", period)
    assert result.success
    (check,) = result.get_asset_check_evaluations()
    return check


def change(path, **columns):
    """Rewrite a period's file with other values of these columns, each a function of the old value."""
    head, *lines = path.read_text().split("\n")[:-1]
    rows = [dict(zip(head.split(","), line.split(","), strict=True)) for line in lines]
    changed = [row | {name: to(row[name]) for name, to in columns.items()} for row in rows]
    path.write_text("\n".join([head, *(",".join(row.values()) for row in changed), ""]))


@pytest.fixture(scope="module")
def grown(copy_shop, open_workshop):
    """A workshop with a champion of three months, to which April came, and May, in which sizes tripled."""
    workshop = open_workshop(copy_shop())
    sales = workshop.home.folder / "sales"
    workshop.change(MLOPS_SOURCE_URI=f"{sales}/sales_{{period}}.csv")
    write_period(sales, APRIL)
    workshop.make_up_to("drift_report")
    change(write_period(sales, MAY), size=lambda size: str(3 * float(size)))
    return workshop.make_up_to("drift_report")


def test_the_first_period_has_nothing_to_be_compared_with(grown):
    shown = told(grown, FIRST)
    assert (shown["reference_periods"], shown["drifted_count"]) == ("none", 0)
    assert shown["judgement"] == "no period before it to compare with"
    assert make(grown, FIRST).passed


def test_a_period_is_compared_with_what_the_model_of_its_time_had_learnt_from(grown):
    shown = told(grown, APRIL)
    first = grown.record("champion_model").value("reigns")[-1]
    assert (shown["model_version"], shown["held_out"]) == (first["version"], True)
    assert shown["reference_periods"] == "2024-01, 2024-02, 2024-03"


def test_of_a_period_that_the_champion_learnt_from_the_model_that_won_for_it_is_asked(grown):
    first = grown.record("champion_model").value("reigns")[-1]["version"]
    twin = int(grown.project.registry.version(first).tags["candidate"])
    shown = told(grown, MARCH)
    assert (shown["model_version"], shown["held_out"]) == (twin, True)
    assert "strength/target beyond the prediction" in shown


def test_a_period_like_the_others_passes(grown):
    assert told(grown, APRIL)["drifted"] == "none"
    check = make(grown, APRIL)
    assert (check.passed, check.description) == (True, "nothing has drifted")


def test_what_was_scaled_is_named_and_the_check_only_warns(grown):
    shown = told(grown, MAY)
    assert "size" in shown["drifted"].split(", ")
    assert shown["strength/size"] > 1
    check = make(grown, MAY)  # unchanged, and told again
    assert (check.passed, check.severity.value) == (False, "WARN")
    assert "size: median" in check.description
    numbers = {name: value.value for name, value in check.metadata.items()}  # which Dagster plots over time
    assert numbers["drifted"] > 0 and numbers["strongest"] == max(numbers["strength/size"], numbers["strongest"]) > 1
    assert told(grown, MAY)["recomputed"] is False


def test_a_thinner_sample_has_the_predictions_of_the_same_rows(grown):
    asked = ask(grown.project, find_basis(Records(grown.instance), grown.project, APRIL))
    path = grown.record("clean_data", APRIL).stored_path
    both, alone = Thinned(grown.project), Thinned(grown.project)
    both.predict(asked, path, 1)
    both.next_report()
    assert np.array_equal(both.predict(asked, path, 3), alone.predict(asked, path, 3))
    assert np.array_equal(alone.predict(asked, path, 2), both.predict(asked, path, 1)[::2])


def test_a_report_shows_a_table_numbers_and_plots(grown):
    shown = told(grown, MAY)
    assert "| **size** | feature | drifted |" in shown["drift"]
    measures = {row["measure"] for row in shown["drift_rows"] if row["variable"] == "zone"}
    assert measures == {"V", "new", "gone", "missing"}
    assert {row["role"] for row in shown["drift_rows"]} == {"feature", "prediction", "target", "rows"}
    for name in ("drift_plot", "distribution_plot"):
        assert "data:image/svg+xml" in shown[name]


def test_what_the_same_period_a_year_before_had_too_is_the_seasons(new_workshop):
    workshop = new_workshop()
    document = yaml.safe_load(Path(workshop.home.env["MLOPS_DATASET"]).read_text())
    document["time"]["last"] = "2025-12"
    write_yaml(workshop.home.folder / "shop.yaml", document)
    workshop.change()
    periods = MARCH, "2025-01", "2025-02", NEXT_MARCH
    for period in periods:
        path = write_period(workshop.home.folder / "sales", period)
        if period.endswith("-03"):
            change(path, size=lambda size: str(3 * float(size)))
        assert workshop.make("raw_data", period).success and workshop.make("clean_data", period).success
    assert make(workshop, NEXT_MARCH).passed
    shown = told(workshop, NEXT_MARCH)
    assert shown["last_year"] == MARCH
    assert shown["judgement"].startswith("nothing has drifted; as each year: size")
    assert make(workshop, "2025-02").passed is False  # its reference holds the odd March, and there is no season


def test_a_later_champion_makes_no_report_stale(grown):
    assert stale(grown) == {}
    before = {period: told(grown, period)["content"] for period in (MARCH, APRIL, MAY)}
    grown.make_up_to("drift_report")
    assert {period: told(grown, period)["content"] for period in before} == before


@pytest.mark.slow
def test_a_period_that_changed_makes_its_own_report_and_later_ones_stale(new_workshop):
    workshop = new_workshop().make_up_to("drift_report")
    write_period(workshop.home.folder / "sales", "2024-02", rows=280)
    workshop.make_up_to("clean_data")
    assert set(stale(workshop)) == {"2024-02", MARCH}


def test_a_project_without_a_champion_still_compares_features_and_target(workshop_up_to):
    workshop = workshop_up_to("clean_data")
    make(workshop, MARCH)
    shown = told(workshop, MARCH)
    assert (shown["model_version"], shown["held_out"]) == (0, False)
    assert {row["role"] for row in shown["drift_rows"]} == {"feature", "target", "rows"}


@pytest.mark.slow
def test_a_period_that_was_scored_outside_a_retraining_is_measured_once(new_workshop):
    workshop = new_workshop().make_up_to("drift_report")
    sensor = build_monitoring_sensor(workshop.project, build_jobs(asset_graph(workshop.project)))

    def ask():
        return sensor(dg.build_sensor_context(instance=workshop.instance))

    assert ask().skip_message == "2024-03 is measured"
    write_period(workshop.home.folder / "sales", "2024-04")
    assert workshop.make("raw_data", "2024-04").success and workshop.make("predictions", "2024-04").success
    request = ask()
    assert (request.partition_key, request.tags[STARTED_BY]) == ("2024-04", "sensor")
    assert ask().run_key == request.run_key
    for asset in ("clean_data", "model_performance", "drift_report"):
        assert workshop.make(asset, "2024-04").success
    assert ask().skip_message == "2024-04 is measured"
