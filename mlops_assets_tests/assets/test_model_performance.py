"""Realised performance in a workshop: who answered then, what was promised, and what makes it stale."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from mlops_assets.assets.plan import Plan
from mlops_assets.assets.realised import realised_period
from mlops_assets.assets.records import Records, reigns, report_by_hand
from mlops_assets.resources.databases.prediction_log import LoggedRow
from mlops_assets_tests.homes import write_period

MARCH, APRIL, MAY = "2024-03", "2024-04", "2024-05"
ASKED = datetime(2024, 4, 10, 12, tzinfo=UTC)


def performance(workshop, period):
    record = workshop.record("model_performance", period)
    return dict(record.facts)


def stale(workshop):
    tasks = Plan(workshop.instance, workshop.project).tasks("model_performance")
    return {task.partition: task.reasons for task in tasks if task.stale}


def make(workshop, period):
    """Measure a period; gives its check."""
    result = workshop.make("model_performance", period)
    assert result.success
    (check,) = result.get_asset_check_evaluations()
    return check


def clean_rows(workshop, period):
    return workshop.project.storage.read_table(workshop.record("clean_data", period).path).to_pandas()


@pytest.fixture(scope="module")
def grown(copy_shop, open_workshop):
    """A workshop with a champion of three months, to which April came, and May, in which prices tripled."""
    workshop = open_workshop(copy_shop())
    sales = workshop.home.folder / "sales"
    workshop.change(MLOPS_SOURCE_URI=f"{sales}/sales_{{period}}.csv")
    write_period(sales, APRIL)
    workshop.make_up_to("model_performance")
    path = write_period(sales, MAY)
    head, *lines = path.read_text().split()
    dear = [",".join([*line.split(",")[:3], str(3 * float(line.split(",")[3]))]) for line in lines]
    path.write_text("\n".join([head, *dear, ""]))
    return workshop.make_up_to("model_performance")


def test_periods_that_the_champion_learnt_from_are_shown_and_not_judged(workshop):
    shown = performance(workshop, MARCH)
    assert shown["learnt_from_it"] is True
    assert shown["judgement"] == f"batch, version {shown['model_version']}: not judged, for it learnt from these rows"
    assert shown["kept"] is True
    assert shown["dagster/row_count"] == len(clean_rows(workshop, MARCH))


def test_a_new_period_is_measured_with_the_champion_of_the_time_before(grown):
    first = grown.record("champion_model").value("reigns")[-1]
    assert first["learnt_until"] == MARCH
    shown, rows = performance(grown, APRIL), clean_rows(grown, APRIL)
    assert (shown["model_version"], shown["learnt_from_it"]) == (first["version"], False)
    answers = grown.project.registry.load(first["version"]).answer_rows(rows[["zone", "size"]].to_dict("records"))
    error = answers.prediction - rows["target"].to_numpy()
    assert shown["realised_rmse"] == pytest.approx(np.sqrt((error**2).mean()), rel=1e-9)
    assert shown["realised_bias"] == pytest.approx(error.mean(), rel=1e-9)
    inside = (answers.low <= rows["target"]) & (rows["target"] <= answers.high)
    assert shown["realised_coverage"] == pytest.approx(inside.mean(), rel=1e-9)


def test_what_the_gate_measured_stands_beside_what_came_true(grown):
    shown = performance(grown, APRIL)
    tags = grown.project.registry.version(shown["model_version"]).tags
    assert shown["promised_rmse"] == float(tags["promised_rmse"])
    assert shown["promised_low"] < shown["promised_rmse"] < shown["promised_high"]
    for told in ("low third of predictions", "high third of predictions", "zone 3", "promised RMSE (", "batch"):
        assert told.strip(" (") in shown["performance"]
    for plot in ("performance_plot", "coverage_plot", "coverage_by_period_plot"):
        assert "data:image/svg+xml" in shown[plot]
    assert shown["promised_coverage"] == 0.9
    assert "intervals held" in shown["judgement"] and "where 90% was promised" in shown["judgement"]


def test_a_promise_that_is_broken_beyond_doubt_fails_the_check_and_stops_nothing(grown):
    shown = performance(grown, MAY)
    assert (shown["kept"], shown["beyond_doubt"]) == (False, True)
    assert shown["realised_rmse"] > 2 * shown["promised_rmse"]
    check = make(grown, MAY)  # unchanged, and told again
    assert (check.passed, check.severity.value) == (False, "ERROR")
    assert "was promised" in check.description
    assert performance(grown, MAY)["recomputed"] is False


def test_a_later_champion_makes_no_period_stale(grown):
    registry, before = (
        grown.project.registry,
        {period: performance(grown, period)["content"] for period in (MARCH, APRIL)},
    )
    newest = registry.version(grown.record("sklearn_model", "Ridge").value("version"))
    assert newest.tags["periods"].endswith(MAY)
    registry.promote(newest.number, reason="by hand", at=datetime.now(UTC))
    report_by_hand(grown.instance, newest, "rolled back", "Rolled back by hand.", reigns(registry))
    assert grown.record("champion_model").value("champion_version") == newest.number
    assert stale(grown) == {}
    for period, content in before.items():
        make(grown, period)
        assert performance(grown, period)["content"] == content


def test_rows_asked_online_are_joined_with_their_truth(grown):
    rows = clean_rows(grown, APRIL).head(40)
    version = performance(grown, APRIL)["model_version"]
    model = grown.project.registry.load(version)
    inputs = rows[["zone", "size"]].to_dict("records")
    answers = model.answer_rows(inputs)
    logged = [
        LoggedRow("april", number, ASKED, version, row, *numbers)
        for number, (row, *numbers) in enumerate(
            zip(inputs, answers.prediction.tolist(), answers.low.tolist(), answers.high.tolist(), strict=True)
        )
    ]
    strange = replace(logged[0], request_id="strange", inputs={"zone": 1, "colour": "red"})
    elsewhere = replace(logged[0], request_id="elsewhere", inputs={"zone": 1, "size": -1.5})
    forgotten = replace(logged[0], request_id="forgotten", model_version=4711)
    grown.project.prediction_log.add([*logged, strange, elsewhere, forgotten])
    assert list(stale(grown)) == [APRIL]
    make(grown, APRIL)
    shown = performance(grown, APRIL)
    error = answers.prediction - rows["target"].to_numpy()
    assert (shown["online_rows_asked"], shown["online_rows"]) == (43, 40)
    assert shown["online_rmse"] == pytest.approx(np.sqrt((error**2).mean()), rel=1e-9)
    assert f"online, version {version}" in shown["performance"]
    assert "1 row(s) that were asked online do not have the inputs" in shown["judgement"]
    assert "version 4711, which answered 1 row(s) online, is no longer registered" in shown["judgement"]
    assert stale(grown) == {}


def test_what_the_log_has_forgotten_changes_nothing(grown):
    log = grown.project.prediction_log
    log.add([LoggedRow("once", 0, ASKED, 3, {"zone": 1, "size": 2.0}, 9.0, 8.0, 10.0)])
    make(grown, APRIL)
    asked = performance(grown, APRIL)["online_rows_asked"]
    assert asked and log.forget(ASKED + timedelta(days=1)) == asked
    assert stale(grown) == {}


def test_a_prediction_log_that_cannot_be_asked_holds_up_this_asset_alone(grown):
    grown.change(MLOPS_DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    try:
        plan = Plan(grown.instance, grown.project)
        assert "MLOPS_DATABASE_URL cannot be used" in plan.tasks("model_performance")[-1].waits_for
        assert not plan.tasks("predictions")[-1].waits_for
    finally:
        grown.change(MLOPS_DATABASE_URL="")


def test_another_margin_is_judged_anew(grown):
    grown.change(MLOPS_PERFORMANCE_MARGIN="100")
    try:
        assert "settings: margin 0.1 -> 100.0" in stale(grown)[MAY]
        check = make(grown, MAY)
        assert "margin 10000%" in check.description
        assert not check.passed and "intervals held" in check.description  # they are not wider for that
    finally:
        grown.change(MLOPS_PERFORMANCE_MARGIN="")
        make(grown, MAY)


def test_a_version_that_is_gone_or_cannot_answer_is_told_and_stops_nothing(grown):
    cleaned = grown.record("clean_data", APRIL)
    found = realised_period(Records(grown.instance), grown.project, cleaned, 4711)
    assert found.notes[0] == "version 4711, which answered then, is no longer registered"
    assert [line.way for line in found.lines if line.way == "batch"] == []
    number = grown.record("sklearn_model", "Ridge").value("version")
    (grown.project.registry.folder(number) / "model.json").write_text("{}")
    found = realised_period(Records(grown.instance), grown.project, cleaned, number)
    assert found.notes[0].startswith(f"version {number} cannot answer: the saved model is damaged")
