"""What follows from drift, evaluated as the daemon does."""

import dagster as dg
import pytest

from mlops_assets.assets.jobs import build_jobs
from mlops_assets.assets.registry import asset_graph
from mlops_assets.automation.retrain_job import build_retrain_job
from mlops_assets.automation.retraining import RETRAIN, STARTED_BY
from mlops_assets.automation.triggers import CAUSE, build_drift_sensor, build_monitoring_sensor
from mlops_assets.core.fingerprint import Recipe
from mlops_assets.project import open_project

JOB = build_retrain_job(open_project({}))
PERIOD = "2024-05"


@pytest.fixture
def instance(tmp_path):
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        yield instance


@pytest.fixture(scope="module")
def project(new_shop):
    return new_shop().project()


def report(instance, asset, partition=None, content="c", data=None, **told):
    """Record a materialisation as the project does."""
    told |= {"recipe": Recipe({"data": data or {}}).to_json(), "content": content}
    instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=partition, metadata=told))


def evaluate(project, instance):
    return build_drift_sensor(project, JOB)(dg.build_sensor_context(instance=instance))


@pytest.fixture
def hurt(instance):
    """May has drifted and its predictions were worse than promised; the models learnt from April and before."""
    report(instance, "clean_data", PERIOD, content="may")
    report(instance, "training_set", data={"2024-04": "april"})
    report(instance, "drift_report", PERIOD, drifted="size, zone", drifted_count=2)
    report(instance, "model_performance", PERIOD, kept=False)


def test_a_drift_that_raised_the_error_starts_a_retraining_and_says_which(project, instance, hurt):
    request = evaluate(project, instance)
    assert request.tags[STARTED_BY] == "sensor"
    assert request.tags["mlops/drift"] == "2024-05: size, zone"
    assert request.tags[CAUSE] == "drift/2024-05/c"


def test_a_drift_that_did_not_raise_the_error_is_only_reported(project, instance, hurt):
    report(instance, "model_performance", PERIOD, kept=True)
    assert evaluate(project, instance).skip_message.endswith("errors are as promised, so it is only reported")


def test_a_drift_whose_truth_is_not_known_is_waited_for(project, instance):
    report(instance, "drift_report", PERIOD, drifted="size", drifted_count=1)
    assert "not known yet" in evaluate(project, instance).skip_message


def test_a_large_error_without_drift_is_not_a_matter_of_this_sensor(project, instance, hurt):
    report(instance, "drift_report", PERIOD, drifted="none", drifted_count=0)
    assert evaluate(project, instance).skip_message == "nothing has drifted in 2024-05"


def test_an_older_drift_is_no_cause_any_more(project, instance, hurt):
    report(instance, "drift_report", "2024-06", drifted="none", drifted_count=0)
    assert evaluate(project, instance).skip_message == "nothing has drifted in 2024-06"


def test_a_period_that_the_models_have_learnt_from_starts_nothing(project, instance, hurt):
    report(instance, "training_set", data={PERIOD: "may"})
    assert "have learnt from that period already" in evaluate(project, instance).skip_message
    report(instance, "training_set", data={PERIOD: "as it was before"})
    assert evaluate(project, instance).tags[CAUSE] == "drift/2024-05/c"


def test_before_any_report_there_is_nothing_to_do(project, instance):
    assert evaluate(project, instance).skip_message == "no period is compared yet"


def test_a_retraining_under_way_is_waited_for(project, instance, hurt):
    instance.add_run(dg.DagsterRun(job_name=RETRAIN, status=dg.DagsterRunStatus.STARTED, tags={STARTED_BY: "api"}))
    assert "a retraining started by api is started" in evaluate(project, instance).skip_message


def test_a_retraining_that_did_not_help_is_repeated_later_and_not_at_once(project, instance, hurt):
    request = evaluate(project, instance)
    instance.add_run(dg.DagsterRun(job_name=RETRAIN, status=dg.DagsterRunStatus.FAILURE, tags=request.tags))
    assert "did not help; the next try is at" in evaluate(project, instance).skip_message


def test_without_scored_periods_nothing_is_measured(project, instance):
    sensor = build_monitoring_sensor(project, build_jobs(asset_graph(project)))
    assert sensor(dg.build_sensor_context(instance=instance)).skip_message == "no period is scored yet"
