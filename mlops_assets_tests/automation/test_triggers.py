"""What starts a retraining, evaluated as the daemon does."""

import json
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from mlops_assets.assets.jobs import build_jobs
from mlops_assets.assets.plan import Plan
from mlops_assets.assets.registry import asset_graph
from mlops_assets.automation.housekeeping import build_clean_job, build_clean_schedule
from mlops_assets.automation.retrain_job import build_retrain_job
from mlops_assets.automation.retraining import FINISHED, RETRAIN, STARTED_BY, TASK
from mlops_assets.automation.triggers import (
    NOTHING_YET,
    build_first_run_sensor,
    build_repeat_sensor,
    build_schedule,
    build_scoring_schedule,
    build_source_sensor,
    score_newest,
    with_new_data,
)
from mlops_assets.core.fingerprint import Recipe
from mlops_assets.dataset import DatasetSpec
from mlops_assets.errors import SettingsError, SourceUnreachable
from mlops_assets.project import Project, open_project
from mlops_assets.settings import read_settings

JOB = build_retrain_job(open_project({}))


@pytest.fixture
def project(tmp_path):
    """A project on two monthly CSV files."""
    for period in ("2024-01", "2024-02"):
        (tmp_path / f"{period}.csv").write_text(f"at,x,y\n{period}-03 10:00:00,1,2\n")
    document = {
        "name": "two_periods",
        "source": {"kind": "files", "uri": str(tmp_path / "{period}.csv")},
        "columns": {"at": {"type": "time"}, "x": {}, "y": {}},
        "time": {"column": "at", "first": "2024-01", "last": "2024-03"},
        "target": {"column": "y"},
        "features": {"numeric": {"x": {}}},
    }
    home = {"MLOPS_HOME": str(tmp_path / "home")}
    settings = read_settings(home | {"MLOPS_SCHEDULE": "daily", "MLOPS_RUN_AT_START": "1"})
    return Project(settings, DatasetSpec.model_validate(document))


@pytest.fixture
def instance(tmp_path):
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        yield instance


def evaluate(sensor, instance):
    return sensor(dg.build_sensor_context(instance=instance))


def start(instance, status=dg.DagsterRunStatus.STARTED, **tags):
    run = dg.DagsterRun(job_name=RETRAIN, status=status, tags={STARTED_BY: "api"} | tags)
    instance.add_run(run)
    return run


def test_new_periods_start_a_retraining_and_say_which(project, instance):
    request = evaluate(build_source_sensor(project, JOB), instance)
    assert request.tags["mlops/periods"] == "2024-01, 2024-02"
    assert request.tags[STARTED_BY] == "sensor"


def test_two_looks_at_the_same_periods_ask_for_one_and_the_same_run(project, instance):
    sensor = build_source_sensor(project, JOB)
    assert evaluate(sensor, instance).run_key == evaluate(sensor, instance).run_key


def test_a_changed_period_is_another_cause(project, instance, tmp_path):
    sensor = build_source_sensor(project, JOB)
    before = evaluate(sensor, instance).run_key
    (tmp_path / "2024-03.csv").write_text("at,x,y\n2024-03-03 10:00:00,1,2\n")
    assert evaluate(sensor, instance).run_key != before


def test_a_retraining_under_way_is_named_with_a_link_whoever_started_it(project, instance):
    run = start(instance)
    skip = evaluate(build_source_sensor(project, JOB), instance)
    assert skip.skip_message == (f"a retraining started by api is started: http://127.0.0.1:3000/runs/{run.run_id}")


def test_a_retraining_that_is_about_to_start_counts_as_under_way(project, instance):
    start(instance, dg.DagsterRunStatus.NOT_STARTED)
    assert "is not_started" in evaluate(build_first_run_sensor(project, JOB), instance).skip_message


def test_a_retraining_that_did_not_help_is_repeated_later_and_not_at_once(project, instance):
    sensor = build_source_sensor(project, JOB)
    request = evaluate(sensor, instance)
    start(instance, dg.DagsterRunStatus.FAILURE, **request.tags)
    assert "did not help; the next try is at" in evaluate(sensor, instance).skip_message


def test_a_source_that_is_wrongly_configured_is_a_failed_tick_and_no_quiet_skip(project, instance, tmp_path):
    for file in tmp_path.glob("*.csv"):
        file.unlink()
    with pytest.raises(dg.Failure, match="the source of two_periods does not have a period yet: check where it points"):
        evaluate(build_source_sensor(project, JOB), instance)


def test_a_source_that_does_not_answer_is_a_skip_with_its_reason(project, instance):
    def away():
        raise SourceUnreachable("no answer")

    project.source.partitions = away
    assert "cannot be asked: no answer" in evaluate(build_source_sensor(project, JOB), instance).skip_message


def test_the_first_retraining_is_asked_for(project, instance):
    unasked = Project(project.settings.model_copy(update={"run_at_start": False}), project.spec)
    sensor = build_source_sensor(unasked, JOB)
    assert evaluate(sensor, instance).skip_message == NOTHING_YET
    metadata = {"recipe": Recipe({}).to_json(), "content": "c"}
    instance.report_runless_asset_event(dg.AssetMaterialization("raw_data", metadata=metadata, partition="2024-01"))
    assert evaluate(sensor, instance).tags[STARTED_BY] == "sensor"


def test_the_schedule_is_skipped_while_a_retraining_is_under_way(project, instance):
    schedule = build_schedule(project, JOB)
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 3 * * *", "UTC")
    context = dg.build_schedule_context(instance=instance, scheduled_execution_time=None)
    start(instance)
    assert "a retraining started by api" in schedule(context).skip_message


def test_a_schedule_that_is_off_is_there_to_be_turned_on(project):
    off = Project(project.settings.model_copy(update={"schedule": "off"}), project.spec)
    schedules = [build_schedule(off, JOB), build_scoring_schedule(off, build_jobs(asset_graph(off)))]
    schedules.append(build_clean_schedule(off, build_clean_job()))
    assert {schedule.default_status for schedule in schedules} == {dg.DefaultScheduleStatus.STOPPED}
    assert [schedule.cron_schedule for schedule in schedules] == ["0 3 2 * *", "0 3 * * *", "0 3 * * 1"]
    assert build_schedule(project, JOB).default_status == dg.DefaultScheduleStatus.RUNNING


def test_a_schedule_that_is_no_cron_is_named(project):
    wrong = Project(project.settings.model_copy(update={"schedule": "now and then"}), project.spec)
    with pytest.raises(SettingsError, match="MLOPS_SCHEDULE: 'now and then' is neither a cron"):
        build_schedule(wrong, JOB)


@pytest.fixture
def scoring(project):
    often = Project(project.settings.model_copy(update={"scoring_schedule": "hourly"}), project.spec)
    return build_scoring_schedule(often, build_jobs(asset_graph(often)))


def evaluate_schedule(schedule, instance):
    at = datetime(2024, 4, 1, 3, tzinfo=UTC)
    return schedule(dg.build_schedule_context(instance=instance, scheduled_execution_time=at))


def test_scoring_by_schedule_takes_the_newest_period_of_the_source(scoring, instance):
    report_champion(instance, version=1)
    request = evaluate_schedule(scoring, instance)
    assert scoring.cron_schedule == "0 * * * *"
    assert (request.partition_key, request.tags[STARTED_BY]) == ("2024-02", "schedule")


def test_scoring_by_schedule_waits_for_a_champion_and_for_a_retraining(scoring, instance):
    assert evaluate_schedule(scoring, instance).skip_message == "there is no champion yet"
    report_champion(instance, version=0)
    assert evaluate_schedule(scoring, instance).skip_message == "there is no champion yet"
    start(instance)
    assert "a retraining started by api" in evaluate_schedule(scoring, instance).skip_message


def report_champion(instance, version):
    metadata = {"recipe": Recipe({}).to_json(), "content": "c", "champion_version": version}
    instance.report_runless_asset_event(dg.AssetMaterialization("champion_model", metadata=metadata))


def finished(given_up):
    return {FINISHED: json.dumps({"given_up": given_up, "blocked": []})}


def test_a_period_that_a_retraining_went_on_without_is_tried_again_though_it_did_not_fail(project, instance):
    start(instance, dg.DagsterRunStatus.SUCCESS, **finished(["clean_data[2024-02]"]))
    assert evaluate(build_repeat_sensor(project, JOB), instance).tags[STARTED_BY] == "retry"


def test_a_model_type_that_was_given_up_stays_red(project, instance):
    start(instance, dg.DagsterRunStatus.SUCCESS, **finished(["hyperparameters[Ridge]"]))
    assert evaluate(build_repeat_sensor(project, JOB), instance).skip_message == "the newest retraining did not fail"


def test_a_clock_that_was_set_back_holds_up_no_start(project, instance):
    sensor = build_source_sensor(project, JOB)
    start(instance, dg.DagsterRunStatus.FAILURE, **evaluate(sensor, instance).tags)
    period_before = datetime.now(UTC) - timedelta(days=30)
    request = with_new_data(instance, project, lambda: Plan(instance, project), period_before)
    assert request.tags[STARTED_BY] == "sensor"


def test_a_period_whose_scoring_failed_is_scored_again_later(project, instance):
    for asset, partition in (("raw_data", "2024-02"), ("champion_model", None)):
        metadata = {"recipe": Recipe({}).to_json(), "content": "c", "champion_version": 1}
        instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=partition, metadata=metadata))

    def score(after=timedelta()):
        now = datetime.now(UTC) + after
        return score_newest(instance, project, lambda versions: Plan(instance, project, versions), now)

    request = score()
    assert request.tags[TASK] == "predictions[2024-02]"
    run = instance.add_run(
        dg.DagsterRun(job_name="predict_batch", status=dg.DagsterRunStatus.STARTED, tags=request.tags)
    )
    assert score().skip_message == "2024-02 is being scored"
    instance.report_run_failed(run)
    assert "the next try is at" in score().skip_message
    assert score(after=timedelta(hours=1)).run_key != request.run_key
