"""Real runs of tiny assets, the sensor's ticks, and the mail that a real server receives of them."""

import logging
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
import yaml
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateChange
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.storage.tags import AUTO_RETRY_RUN_ID_TAG, WILL_RETRY_TAG

from mlops_assets.assets.requested import build_predict_job
from mlops_assets.automation.alerts import Collector, build_alert_sensor, first_position, flush
from mlops_assets.automation.guards import RETRAIN, RETRAINING, STARTED_BY
from mlops_assets.automation.outbox import LEASE, Outbox
from mlops_assets.automation.retraining import FINISHED
from mlops_assets.automation.steps import TASK
from mlops_assets.dataset import DatasetSpec, load_dataset
from mlops_assets.project import Project
from mlops_assets.resources.mailer import Mailer
from mlops_assets.settings import read_settings

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
ANN, BOB = "ann@example.com", "bob@example.com"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
TYPES = dg.StaticPartitionsDefinition(["Ridge", "Lasso"])
POLICY = dg.FreshnessPolicy.time_window(fail_window=timedelta(days=35), warn_window=timedelta(days=31))


class Fails(dg.Config):
    message: str = ""


@dg.asset(partitions_def=TYPES)
def hyperparameters(context: dg.AssetExecutionContext, config: Fails):
    if config.message:
        raise dg.Failure(config.message, allow_retries=False)
    rmse = {"Ridge": 5.2, "Lasso": 5.6}[context.partition_key]
    return dg.MaterializeResult(metadata={"validation_rmse": rmse, "recomputed": True, "reason": "never made"})


@dg.asset(check_specs=[dg.AssetCheckSpec("row_count", asset="clean_data")])
def clean_data():
    found = {"passed": False, "description": "12 rows, 90 % fewer than before"}
    yield dg.AssetCheckResult(check_name="row_count", severity=dg.AssetCheckSeverity.WARN, **found)
    yield dg.MaterializeResult()


class Told(dg.Config):
    metadata: dict = {}


@dg.asset(freshness_policy=POLICY)
def champion_model(config: Told):
    return dg.MaterializeResult(metadata=config.metadata)


@dg.asset
def crashes():
    raise ValueError("first line\nthe last line counts")


@dg.op
def wait():
    pass


@dg.job(name=RETRAIN)
def retrain():
    wait()


ASSETS = [hyperparameters, clean_data, champion_model, crashes]
DEFINITIONS = dg.Definitions(ASSETS, jobs=[retrain], executor=dg.in_process_executor)
PROMOTED = {
    "verdict": "Promoted: RMSE 5.1 is 1.92% below the 5.2 of the champion.",
    "decision": "promoted",
    "recomputed": True,
    "champion_type": "Ridge",
    "champion_version": 4,
    "challenger": "Ridge",
    "challenger_rmse": 5.1,
    "champion_rmse": 5.2,
    "gain": 0.0192,
    "gain_low": 0.05,
    "gain_high": 0.15,
    "judged_on": "test",
    "registered_model": dg.MetadataValue.url("http://mlflow/models/4"),
}
REFUSED = PROMOTED | {
    "verdict": "Not promoted: RMSE 5.3 is 1.92% above the 5.2 of the champion.",
    "decision": "refused",
    "champion_type": "Lasso",
    "champion_version": 3,
}


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def open_project(tmp_path, tiny, port, changes=None):
    given = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(port), "SMTP_SECURITY": "plain", "MAIL_TO": ANN}
    given |= {"HOME": str(tmp_path / "home"), "DAGSTER_URL": "http://dagster/", "MLFLOW_URL": "http://mlflow"}
    env = {f"MLOPS_{name}": value for name, value in (given | (changes or {})).items()}
    return Project(read_settings(env), DatasetSpec.model_validate(tiny))


class Office:
    """The sensor under a clock that is set by hand, with its cursor."""

    def __init__(self, instance, project):
        self.instance, self.project = instance, project
        self.now = datetime.now(UTC) + MINUTE
        self.cursor, self.told = None, ""
        self.tick()  # the first one only notes where events stand

    def tick(self, after=MINUTE):
        self.now += after
        context = dg.build_sensor_context(self.instance, cursor=self.cursor, definitions=DEFINITIONS)
        result = build_alert_sensor(self.project, clock=lambda: self.now)(context)
        self.cursor, self.told = result.cursor, result.skip_reason.skip_message

    def materialize(self, asset, partition=None, config=None, tags=None):
        """A run of an asset, as the UI launches it."""
        run_config = QUIET | ({"ops": {asset.key.to_user_string(): {"config": config}}} if config else {})
        return dg.materialize(
            [asset],
            instance=self.instance,
            partition_key=partition,
            run_config=run_config,
            tags=tags,
            raise_on_error=False,
        ).run_id

    def retrain(self, **tags):
        return retrain.execute_in_process(instance=self.instance, run_config=QUIET, tags=tags).run_id

    def counts(self):
        return Outbox(self.project.database).counts()


@pytest.fixture
def make_office(instance, tmp_path, tiny, smtp_server):
    return lambda **changes: Office(instance, open_project(tmp_path, tiny, smtp_server.port, changes))


@pytest.fixture
def office(make_office):
    return make_office()


def subjects(server):
    return [got.message["Subject"] for got in server.received]


def test_a_failed_run_is_mailed_with_its_cause_who_started_it_and_what_to_try(office, smtp_server):
    run_id = office.materialize(hyperparameters, "Ridge", {"message": "all trials failed"}, {STARTED_BY: "schedule"})
    office.tick()
    (got,) = smtp_server.received
    assert got.to == (ANN,)
    assert got.message["Subject"] == "[mlops tiny] hyperparameters[Ridge] failed"
    command = "dagster asset materialize -m mlops_assets.definitions --select hyperparameters --partition Ridge"
    asset_url = "http://dagster/assets/hyperparameters?view=partitions&partition=Ridge"
    said = ["all trials failed", "schedule", "Took:", command, f"http://dagster/runs/{run_id}", asset_url]
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
    assert "validation RMSE 5.2 -> 5.2" in got.text and "never made" in got.text


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
        ("cyd@example.com", "[mlops tiny] Ridge is the new champion"),
    ]
    assert len({got.message["Message-ID"] for got in smtp_server.received}) == 4


def champion(told):
    link = {"registered_model": "http://mlflow/models/4"}
    return {"metadata": told | link}


def test_a_promotion_is_told_with_models_rmse_and_the_interval_of_the_gain(office, smtp_server):
    office.materialize(champion_model, config=champion({"champion_type": "Lasso", "champion_version": 3}))
    office.materialize(champion_model, config=champion(PROMOTED))
    office.tick()
    (got,) = smtp_server.received
    assert got.message["Subject"] == "[mlops tiny] Ridge is the new champion"
    said = [PROMOTED["verdict"], "Lasso (version 3) -> Ridge (version 4)", "5.2 -> 5.1", "0.05 to 0.15", "1.92%"]
    assert all(line in got.text for line in [*said, "mlops-assets history", "http://mlflow/models/4"]), got.text


def test_a_refusal_is_told(office, smtp_server):
    office.materialize(champion_model, config=champion(REFUSED))
    office.tick()
    (got,) = smtp_server.received
    assert got.message["Subject"] == "[mlops tiny] Ridge does not become champion in place of Lasso"
    assert REFUSED["verdict"] in got.text and "Lasso (version 3) stays" in got.text


@pytest.mark.parametrize("changes", [{"recomputed": False}, {"decision": "none"}])
def test_a_champion_that_nothing_was_decided_about_is_not_told(office, smtp_server, changes):
    office.materialize(champion_model, config=champion(PROMOTED | changes))
    office.tick()
    assert not smtp_server.received


def test_a_rollback_by_hand_is_told(office, instance, smtp_server):
    told = PROMOTED | {"verdict": "Rolled back by hand from version 4 to version 3.", "champion_version": 3}
    instance.report_runless_asset_event(dg.AssetMaterialization("champion_model", metadata=told))
    for _ in range(2):
        office.tick()
    assert subjects(smtp_server) == ["[mlops tiny] the champion is Ridge again, version 3"]
    assert "Rolled back by hand from version 4 to version 3." in smtp_server.received[0].text


def part(office, umbrella, asset, partition=None, config=None):
    name = f"{asset.key.to_user_string()}[{partition}]" if partition else asset.key.to_user_string()
    return office.materialize(asset, partition, config, {RETRAINING: umbrella, TASK: name})


def test_a_retraining_is_one_mail_with_its_failed_parts_and_the_verdict_inside(office, smtp_server):
    run_id = office.retrain(**{STARTED_BY: "sensor"})
    part(office, run_id, clean_data)
    part(office, run_id, hyperparameters, "Ridge")
    failed = part(office, run_id, hyperparameters, "Lasso", {"message": "all trials failed"})
    part(office, run_id, champion_model, config=champion(PROMOTED))
    office.tick()
    (got,) = smtp_server.received
    title = "Ridge is the new champion; 1 of 4 parts failed; 1 check failed"
    assert got.message["Subject"] == f"[mlops tiny] retraining done: {title}"
    said = [PROMOTED["verdict"], "hyperparameters[Lasso] failed: all trials failed", "check row_count of clean_data"]
    said += ["--select hyperparameters --partition Lasso", "sensor", "5.2 -> 5.1"]
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


def freshness(office, state, at=None):
    change = FreshnessStateChange(
        key=dg.AssetKey("champion_model"),
        previous_state=FreshnessState.PASS,
        new_state=state,
        state_change_timestamp=(at or office.now).timestamp(),
    )
    office.instance._report_runless_asset_event(change)  # as Dagster's freshness daemon does


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


def test_mail_waits_while_the_server_is_down_and_then_goes_out_once(office, smtp_server):
    smtp_server.stop()
    office.materialize(crashes)
    office.tick()
    assert "cannot be reached (Connection refused)" in office.told and "next try" in office.told
    office.materialize(hyperparameters, "Ridge", {"message": "no luck"})
    office.tick()
    assert office.counts() == {"waiting": 2}
    smtp_server.start()
    for _ in range(5):
        office.tick()
    assert sorted(subjects(smtp_server)) == [
        "[mlops tiny] crashes failed",
        "[mlops tiny] hyperparameters[Ridge] failed",
    ]
    assert office.counts() == {"sent": 2}


def test_a_storm_while_the_server_is_down_is_one_digest_when_it_is_up(office, smtp_server):
    smtp_server.stop()
    for _ in range(6):
        office.materialize(crashes)
    office.tick()
    smtp_server.start()
    office.tick()
    office.tick()
    assert subjects(smtp_server) == ["[mlops tiny] 6 messages (failure 6)"]
    assert smtp_server.received[0].text.count("the last line counts") == 6


def test_what_grew_too_old_is_given_up_and_counted_in_the_next_mail(office, smtp_server):
    smtp_server.stop()
    office.materialize(crashes)
    office.tick()
    smtp_server.start()
    office.tick(after=25 * DAY)
    assert (office.told, office.counts()) == ("0 new; 0 sent; 1 too old to be sent", {"expired": 1})
    freshness(office, FreshnessState.WARN)
    office.tick()
    assert subjects(smtp_server) == ["[mlops tiny] champion_model will soon be stale"]
    assert "1 older message was not sent" in smtp_server.received[0].text


def test_what_happened_long_before_the_daemon_came_back_is_not_told(office, smtp_server):
    office.materialize(crashes)
    freshness(office, FreshnessState.FAIL)
    office.tick(after=2 * DAY)
    assert (office.told, office.counts()) == ("0 new; 0 sent", {})


def test_mail_that_may_have_arrived_is_sent_again_as_the_very_same(office, smtp_server):
    smtp_server.answer = None
    office.materialize(crashes)
    office.tick()
    assert "did not confirm" in office.told
    smtp_server.answer = "250 OK"
    office.tick()
    first, again = smtp_server.received
    assert first.message["Message-ID"] == again.message["Message-ID"]
    assert office.counts() == {"sent": 1}


def test_mail_of_a_tick_that_died_is_sent_by_a_later_one(office, smtp_server):
    office.materialize(crashes)
    smtp_server.stop()
    office.tick()
    outbox = Outbox(office.project.database)
    assert outbox.claim(office.now + MINUTE, digest_from=5, most=9)  # and nothing more
    smtp_server.start()
    office.tick(after=2 * MINUTE)
    assert not smtp_server.received
    office.tick(after=LEASE)
    assert len(smtp_server.received) == 1


def test_a_refused_recipient_does_not_keep_mail_from_the_others(make_office, smtp_server):
    office = make_office(MAIL_TO=f"{ANN}, {BOB}")
    smtp_server.refused[ANN] = "550 no such user"
    office.materialize(crashes)
    office.tick()
    assert [got.to for got in smtp_server.received] == [(BOB,)]
    assert "refuses the recipient ann@example.com: 550 no such user" in office.told
    assert office.counts() == {"sent": 1, "waiting": 1}


@pytest.mark.parametrize("password", ["swordfish-41", "hunter2-wrong"])
def test_the_password_appears_nowhere(make_smtp_server, tmp_path, tiny, caplog, capfd, password):
    caplog.set_level(logging.DEBUG)
    server = make_smtp_server(login=True)
    project = open_project(tmp_path, tiny, server.port, {"SMTP_USER": "ops", "SMTP_PASSWORD": password})
    (tmp_path / "dagster").mkdir()
    with dg.instance_for_test(temp_dir=str(tmp_path / "dagster")) as instance:  # on disk
        office = Office(instance, project)
        office.materialize(crashes)
        office.tick()
    assert len(server.received) == (password == server.password)
    shown = [office.told, office.cursor, repr(office.project), caplog.text, *capfd.readouterr()]
    shown += [got.message.as_string() + got.text + got.html for got in server.received]
    assert not any(password in text for text in shown)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "mlops.db" for path in files)
    assert not any(password.encode() in path.read_bytes() for path in files)


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


def test_a_tick_without_time_left_loses_nothing(office, instance, smtp_server):
    outbox, position = Outbox(office.project.database), first_position(instance)
    office.materialize(crashes)
    collector = Collector(instance, office.project, outbox, office.now)
    assert collector.collect(position, [], until=0) == position
    collector.collect(position, [], until=time.monotonic() + 60)
    assert flush(outbox, Mailer(office.project.settings), office.project, office.now, until=0) == "0 sent"
    assert (collector.added, outbox.counts(), smtp_server.received) == (1, {"waiting": 1}, [])


@pytest.mark.parametrize(("location", "told"), [("ours", 1), ("theirs", 0)])
def test_runs_of_another_code_location_are_not_told(office, instance, location, told):
    position = first_position(instance)
    repository = RemoteRepositoryOrigin(GrpcServerCodeLocationOrigin("localhost", 1, location_name=location), "r")
    run = dg.DagsterRun(job_name="tune", remote_job_origin=RemoteJobOrigin(repository, "tune"))
    instance.add_run(run)
    instance.report_run_failed(run, "no luck")
    outbox = Outbox(office.project.database)
    collector = Collector(instance, office.project, outbox, office.now, location="ours")
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


def test_without_a_mail_server_there_is_no_sensor(tmp_path, tiny):
    assert build_alert_sensor(open_project(tmp_path, tiny, 25, {"SMTP_HOST": ""})) is None
