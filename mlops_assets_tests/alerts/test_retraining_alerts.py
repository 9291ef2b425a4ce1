"""A retraining is one mail, whatever became of its parts."""

import dagster as dg
from dagster._core.storage.tags import AUTO_RETRY_RUN_ID_TAG, WILL_RETRY_TAG

from mlops_assets.automation.retraining import FINISHED, RETRAIN
from mlops_assets.errors import DataError
from mlops_assets.run_tags import RETRAINING, STARTED_BY
from mlops_assets_tests.alerts.mailroom import (
    ANN,
    DAY,
    MINUTE,
    PROMOTED,
    champion,
    champion_model,
    clean_data,
    hyperparameters,
    part,
    subjects,
)
from mlops_assets_tests.assets.test_by_period import Notes


def test_a_retraining_is_one_mail_with_its_failed_parts_and_the_verdict_inside(office, smtp_server):
    run_id = office.retrain(**{STARTED_BY: "sensor"})
    part(office, run_id, clean_data)
    part(office, run_id, hyperparameters, "Ridge")
    failed = part(office, run_id, hyperparameters, "Lasso", {"message": "all trials failed"})
    part(office, run_id, champion_model, config=champion(PROMOTED))
    office.tick()
    (got,) = smtp_server.received
    title = "1 of 4 parts failed; 1 check failed; Ridge is the new champion"
    assert got.message["Subject"] == f"[mlops tiny] retraining done: {title}"
    said = [PROMOTED["verdict"], "hyperparameters[Lasso] failed: all trials failed", "check row_count of clean_data"]
    said += ["mlops-assets run", "sensor", "5.2 min -> 5.1 min"]
    said += [f"http://dagster/runs/{run_id}", f"http://dagster/runs/{failed}"]
    assert all(line in got.text for line in said), got.text


def test_what_a_retraining_could_not_try_is_told(office, instance, smtp_server):
    run_id = office.retrain()
    instance.add_run_tags(run_id, {FINISHED: '{"given_up": [], "blocked": ["xgboost_model"]}'})
    office.tick()
    assert subjects(smtp_server) == ["[mlops tiny] retraining done: 1 not tried"]
    assert "xgboost_model was not tried: what it needs is not there" in smtp_server.received[0].text


def test_a_part_that_succeeded_in_the_end_did_not_fail(make_office, smtp_server):
    office = make_office(MAIL_TO_SUCCESS=ANN)
    run_id = office.retrain()
    part(office, run_id, hyperparameters, "Ridge", {"message": "MLflow went away"})
    part(office, run_id, hyperparameters, "Ridge")
    office.tick()
    assert subjects(smtp_server) == ["[mlops tiny] retraining done: the champion stays as it was"]
    assert "MLflow went away" not in smtp_server.received[0].text


def test_the_parts_of_a_retraining_that_was_started_once_more_are_told_with_it(make_office, instance, smtp_server):
    office = make_office(MAIL_TO_SUCCESS=ANN)
    first = dg.DagsterRun(job_name=RETRAIN, status=dg.DagsterRunStatus.STARTED)
    instance.add_run(first)
    instance.report_run_failed(first, "the worker died")
    instance.add_run_tags(first.run_id, {WILL_RETRY_TAG: "true"})
    office.tick()
    assert not smtp_server.received
    again = dg.DagsterRun(
        job_name=RETRAIN,
        status=dg.DagsterRunStatus.STARTED,
        root_run_id=first.run_id,
        parent_run_id=first.run_id,
        tags={"dagster/root_run_id": first.run_id, "dagster/parent_run_id": first.run_id},
    )
    instance.add_run(again)
    instance.add_run_tags(first.run_id, {AUTO_RETRY_RUN_ID_TAG: again.run_id})
    part(office, first.run_id, champion_model, config=champion(PROMOTED))
    instance.report_dagster_event(
        dg.DagsterEvent(dg.DagsterEventType.RUN_SUCCESS.value, job_name=RETRAIN), run_id=again.run_id
    )
    office.tick()
    office.tick(after=DAY / 2)
    assert subjects(smtp_server) == ["[mlops tiny] retraining done: Ridge is the new champion"]


def test_a_failed_run_that_is_never_started_once_more_is_told_after_all(office, instance, smtp_server):
    run = dg.DagsterRun(job_name="tune", status=dg.DagsterRunStatus.STARTED, tags={WILL_RETRY_TAG: "true"})
    instance.add_run(run)
    instance.report_run_failed(run, "the worker died")
    office.tick()
    office.tick()
    assert not smtp_server.received
    office.tick(after=10 * MINUTE)
    office.tick(after=10 * MINUTE)
    assert subjects(smtp_server) == ["[mlops tiny] tune failed"]
    assert "the worker died" in smtp_server.received[0].text


def test_periods_that_fail_in_one_run_are_told_together(office, instance, smtp_server):
    notes = Notes(instance)
    for period in ("2024-02", "2024-03"):
        notes.does["raw", period] = DataError("no row is good")
    notes.run("2024-01", "2024-04")
    office.tick()
    (got,) = smtp_server.received
    assert got.message["Subject"] == "[mlops tiny] raw[2024-01...2024-04] failed"
    assert "2 of 4 periods failed: 2024-02: no row is good; 2024-03: no row is good" in got.text


def test_what_was_made_in_the_end_is_not_told_of_a_run_of_many_periods(make_office, instance, smtp_server):
    office = make_office(MAIL_TO_SUCCESS=ANN)
    notes, tags = Notes(instance), {RETRAINING: office.retrain()}
    notes.does["raw", "2024-02"] = DataError("no row is good")
    notes.run("2024-01", "2024-04", tags=tags)
    del notes.does["raw", "2024-02"]
    notes.run("2024-02", "2024-02", tags=tags)
    office.tick()
    assert subjects(smtp_server) == ["[mlops tiny] retraining done: the champion stays as it was"]
