"""Real runs of tiny assets, the sensor's ticks, and the mail that a real server receives of them."""

import sysconfig
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
import yaml
from dagster._core.definitions.freshness import FreshnessState
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin

from mlops_assets.alerts.channels import open_channels
from mlops_assets.alerts.outbox import Outbox
from mlops_assets.alerts.sensor import Collector, build_alert_sensor, first_position
from mlops_assets.assets.requested_predictions import build_predict_job
from mlops_assets.automation.retraining import RETRAIN, STARTED_BY
from mlops_assets.dataset import load_dataset
from mlops_assets_tests.alerts.mailroom import (
    ANN,
    BOB,
    DAY,
    PROMOTED,
    QUIET,
    Office,
    champion,
    champion_model,
    clean_data,
    crashes,
    freshness,
    hyperparameters,
    open_project,
    subjects,
)


def test_a_failed_run_is_mailed_with_its_cause_who_started_it_and_what_to_try(office, smtp_server):
    run_id = office.materialize(hyperparameters, "Ridge", {"message": "all trials failed"}, {STARTED_BY: "schedule"})
    office.tick()
    (got,) = smtp_server.received
    assert got.to == (ANN,)
    assert got.message["Subject"] == "[mlops tiny] hyperparameters[Ridge] failed"
    command = f"MLOPS_HOME={office.project.settings.home_path} {sysconfig.get_path('scripts')}/mlops-assets run"
    asset_url = "http://dagster/assets/hyperparameters?view=partitions&partition=Ridge"
    said = [
        "all trials failed",
        "schedule",
        "Took:",
        command,
        "http://127.0.0.1:8000/dashboards/?board=",
        f"http://dagster/runs/{run_id}",
        asset_url,
    ]
    assert all(line in got.text for line in said), got.text
    assert office.told == "1 new; 1 sent"


def test_an_error_that_nobody_expected_is_told_by_its_kind_and_last_line(office, smtp_server):
    office.materialize(crashes)
    office.tick()
    assert "ValueError: the last line counts" in smtp_server.received[0].text


def test_two_ticks_send_one_mail(office, smtp_server):
    office.materialize(crashes)
    for _ in range(3):
        office.tick()
    assert len(smtp_server.received) == 1
    assert office.told == "0 new; 0 sent"


def test_a_tick_whose_cursor_was_lost_sends_nothing_again(office, smtp_server):
    office.materialize(crashes)
    before = office.cursor
    office.tick()
    office.cursor = before
    office.tick()
    assert len(smtp_server.received) == 1


def test_what_happened_before_the_first_tick_is_not_told(instance, tmp_path, tiny, smtp_server):
    dg.materialize([crashes], instance=instance, run_config=QUIET, raise_on_error=False)
    Office(instance, open_project(tmp_path, tiny, smtp_server.port)).tick()
    assert not smtp_server.received


def test_a_prediction_on_request_is_nobodys_but_its_callers(instance, make_office, smtp_server):
    office = make_office(MAIL_TO_SUCCESS=BOB)
    for status in (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE):
        run = instance.create_run_for_job(build_predict_job(office.project), status=dg.DagsterRunStatus.STARTED)
        end = (
            dg.DagsterEventType.RUN_SUCCESS
            if status is dg.DagsterRunStatus.SUCCESS
            else dg.DagsterEventType.RUN_FAILURE
        )
        instance.report_dagster_event(dg.DagsterEvent(end.value, run.job_name), run.run_id)
    office.tick()
    assert (office.told, smtp_server.received) == ("0 new; 0 sent", [])


def test_an_event_of_this_moment_is_left_for_the_next_tick(office, smtp_server):
    office.materialize(crashes)
    office.now = datetime.now(UTC)
    office.tick(after=timedelta())
    assert not smtp_server.received
    office.tick()
    assert len(smtp_server.received) == 1


def test_a_failed_check_in_a_green_run_is_mailed(office, smtp_server):
    office.materialize(clean_data)
    office.tick()
    (got,) = smtp_server.received
    assert got.message["Subject"] == "[mlops tiny] clean_data: 1 check failed"
    assert "check row_count of clean_data failed (WARN): 12 rows, 90 % fewer than before" in got.text
    assert "mlops-assets why clean_data" in got.text


def test_a_canceled_run_is_mailed(office, instance, smtp_server):
    run = dg.DagsterRun(job_name=RETRAIN, status=dg.DagsterRunStatus.STARTED)
    instance.add_run(run)
    instance.report_run_canceled(run, "somebody stopped it")
    office.tick()
    assert subjects(smtp_server) == ["[mlops tiny] retraining was canceled: the champion stays as it was"]
    assert "somebody stopped it" in smtp_server.received[0].text


def test_successes_are_mailed_to_those_who_asked_for_them_only(office, make_office, smtp_server):
    office.materialize(hyperparameters, "Ridge")
    office.tick()
    assert not smtp_server.received
    asked = make_office(MAIL_TO_SUCCESS=BOB)
    asked.materialize(hyperparameters, "Ridge", tags={STARTED_BY: "api"})
    asked.tick()
    (got,) = smtp_server.received
    assert (got.to, got.message["Subject"]) == ((BOB,), "[mlops tiny] hyperparameters[Ridge] succeeded")
    assert "validation RMSE 5.2 min -> 5.2 min" in got.text and "never made" in got.text


def test_each_kind_goes_to_its_own_people_and_nobody_gets_a_mail_twice(make_office, smtp_server):
    office = make_office(MAIL_TO_FAILURE=f"{ANN}, {BOB}", MAIL_TO_CHAMPION=BOB, MAIL_TO_SUCCESS="cyd@example.com")
    office.materialize(champion_model, config={"metadata": PROMOTED | {"registered_model": "x"}})
    office.materialize(crashes)
    office.tick()
    told = sorted((got.to[0], got.message["Subject"]) for got in smtp_server.received)
    assert told == [
        (ANN, "[mlops tiny] crashes failed"),
        (BOB, "[mlops tiny] Ridge is the new champion"),
        (BOB, "[mlops tiny] crashes failed"),
    ]
    assert len({got.message["Message-ID"] for got in smtp_server.received}) == 3


def test_an_asset_that_grows_stale_is_told_at_each_change_for_the_worse(make_office, smtp_server):
    office = make_office(MAIL_TO_FRESHNESS=BOB)
    office.materialize(champion_model)
    for state in (FreshnessState.PASS, FreshnessState.WARN, FreshnessState.FAIL, FreshnessState.PASS):
        freshness(office, state)
        office.tick()
        office.tick()
    assert [got.to for got in smtp_server.received] == [(BOB,), (BOB,)]
    assert subjects(smtp_server) == [
        "[mlops tiny] champion_model will soon be stale",
        "[mlops tiny] champion_model is stale",
    ]
    assert "mlops-assets why champion_model" in smtp_server.received[0].text
    assert "it was last made 0.0 days before" in smtp_server.received[0].text


def test_what_happened_long_before_the_daemon_came_back_is_not_told(office, smtp_server):
    office.materialize(crashes)
    freshness(office, FreshnessState.FAIL)
    office.tick(after=2 * DAY)
    assert (office.told, office.counts()) == ("0 new; 0 sent", {})


def test_secrets_and_hidden_names_in_an_error_are_masked(instance, tmp_path, tiny, smtp_server):
    tiny["columns"]["price"] = {"from": "${PRICE_COLUMN}"}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(tiny))
    changes = {"SMTP_PASSWORD": "hunter2", "TRACKING_URI": "postgresql://me:s3same@db/mlflow"}
    project = open_project(tmp_path, tiny, smtp_server.port, changes)
    project = replace(project, spec=load_dataset(str(tmp_path / "tiny.yaml"), {"PRICE_COLUMN": "fare_in_cents"}))
    office = Office(instance, project)
    message = "hunter2,\n postgresql://me:s3same@db/mlflow: no fare_in_cents"
    office.materialize(hyperparameters, "Ridge", {"message": message})
    office.tick()
    got = smtp_server.received[0]
    assert "***, postgresql://me:***@db/mlflow: no ${PRICE_COLUMN}" in got.text
    stored = (office.project.home / "mlops.db").read_bytes().decode(errors="replace")
    for secret in ("hunter2", "s3same", "fare_in_cents"):
        assert secret not in got.text + got.html + stored


def test_metadata_that_nobody_foresaw_does_not_hold_back_the_mail(office, smtp_server):
    office.materialize(champion_model, config=champion(PROMOTED | {"challenger_rmse": "five"}))
    office.materialize(crashes)
    office.tick()
    assert "[mlops tiny] crashes failed" in subjects(smtp_server)
    assert any("its events cannot be read (ValueError)" in got.text for got in smtp_server.received)


@pytest.mark.parametrize(("location", "told"), [("ours", 1), ("theirs", 0)])
def test_runs_of_another_code_location_are_not_told(office, instance, location, told):
    position = first_position(instance)
    repository = RemoteRepositoryOrigin(GrpcServerCodeLocationOrigin("localhost", 1, location_name=location), "r")
    run = dg.DagsterRun(job_name="tune", remote_job_origin=RemoteJobOrigin(repository, "tune"))
    instance.add_run(run)
    instance.report_run_failed(run, "no luck")
    outbox = Outbox(office.project.database)
    channels = open_channels(office.project.settings, "tiny")
    collector = Collector(instance, office.project, channels, outbox, office.now, location="ours")
    collector.collect(position, [], until=time.monotonic() + 60)
    assert collector.added == told


@pytest.mark.parametrize(
    ("changes", "status"),
    [({}, dg.DefaultSensorStatus.RUNNING), ({"MAIL_TO": ""}, dg.DefaultSensorStatus.STOPPED)],
)
def test_the_sensor_is_on_where_somebody_is_to_be_told(tmp_path, tiny, changes, status):
    sensor = build_alert_sensor(open_project(tmp_path, tiny, 25, changes))
    assert sensor.default_status == status
    assert sensor.minimum_interval_seconds == 30 and sensor.description


def test_without_a_mail_server_or_a_webhook_there_is_no_sensor(tmp_path, tiny):
    assert build_alert_sensor(open_project(tmp_path, tiny, 25, {"SMTP_HOST": ""})) is None
