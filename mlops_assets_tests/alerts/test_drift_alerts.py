"""Drift is mailed as such, to those who want to hear of it, and is no failure."""

import dagster as dg
import pytest

from mlops_assets.alerts.alert import Change
from mlops_assets.alerts.channels import open_channels, recipients
from mlops_assets.alerts.run_alerts import run_alert
from mlops_assets.dataset import DatasetSpec
from mlops_assets.project import Project
from mlops_assets.settings import read_settings

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
PERIODS = dg.StaticPartitionsDefinition(["2024-05"])
WARN = dg.AssetCheckSeverity.WARN


@dg.asset(partitions_def=PERIODS, check_specs=[dg.AssetCheckSpec("no_drift", asset="drift_report")])
def drift_report():
    yield dg.AssetCheckResult(check_name="no_drift", passed=False, severity=WARN, description="size: median 30 → 90")
    row = {"variable": "size", "verdict": "drifted", "told": "median 30 → 90"}
    rows = [row | {"value": 0.3, "limit": 0.1}, row | {"value": 0.1, "limit": 0.1}]
    yield dg.MaterializeResult(metadata={"drift_rows": dg.MetadataValue.json(rows)})


@dg.asset(partitions_def=PERIODS, check_specs=[dg.AssetCheckSpec("row_count", asset="raw_data")])
def raw_data():
    yield dg.AssetCheckResult(check_name="row_count", passed=False, severity=WARN, description="12 rows")
    yield dg.MaterializeResult()


@dg.asset(partitions_def=PERIODS, check_specs=[dg.AssetCheckSpec("performance_as_promised", asset="model_performance")])
def model_performance():
    told = "batch, version 2: RMSE 5.1 where 4 was promised"
    yield dg.AssetCheckResult(check_name="performance_as_promised", passed=False, severity=WARN, description=told)
    known = {"promised_rmse": 4.0, "realised_rmse": 5.1, "promised_coverage": 0.9, "realised_coverage": 0.78}
    yield dg.MaterializeResult(metadata=known)


@pytest.fixture
def project(tmp_path, tiny):
    env = {
        "MLOPS_HOME": str(tmp_path),
        "MLOPS_SMTP_HOST": "127.0.0.1",
        "MLOPS_MAIL_TO": "team@example.com",
        "MLOPS_MAIL_TO_DRIFT": "data@example.com",
    }
    return Project(read_settings(env), DatasetSpec.model_validate(tiny | {"target": tiny["target"] | {"unit": "min"}}))


@pytest.fixture
def alert_of(project):
    """A function that makes assets in one run, and gives the alert of that run."""

    def alert(*assets):
        with dg.DagsterInstance.ephemeral() as instance:
            run = dg.materialize(list(assets), instance=instance, partition_key="2024-05", run_config=QUIET)
            return run_alert(instance, project, instance.get_run_record_by_id(run.run_id))

    return alert


def test_drift_is_told_as_drift_and_not_as_a_failure(alert_of, project):
    alert = alert_of(drift_report)
    assert alert.kinds == ("drift",)
    assert alert.title == "drift in 2024-05"
    assert [(bar.name, round(bar.value), bar.text) for bar in alert.chart.bars] == [("size", 3, "median 30 → 90")]
    assert alert.cause == "check no_drift of drift_report[2024-05] failed (WARN): size: median 30 → 90"
    assert recipients(open_channels(project.settings, "tiny"), alert.kinds) == ("data@example.com",)


def test_another_check_that_failed_beside_it_is_still_a_failure(alert_of, project):
    alert = alert_of(raw_data, drift_report)
    assert alert.kinds == ("failure", "drift")
    assert "1 check failed; drift in 2024-05" in alert.title
    assert len(alert.details) == 1 and "row_count" in alert.cause
    assert recipients(open_channels(project.settings, "tiny"), alert.kinds) == ("team@example.com", "data@example.com")


def test_errors_beyond_the_promise_are_told_to_those_who_hear_of_drift(alert_of, project):
    alert = alert_of(model_performance)
    assert (alert.kinds, alert.title) == (("drift",), "errors beyond the promise in 2024-05")
    assert alert.cause.endswith("failed (WARN): batch, version 2: RMSE 5.1 where 4 was promised")
    assert alert.comparison.rows == (Change("RMSE", "4 min", "5.1 min"), Change("Held by intervals", "90%", "78%"))
    assert recipients(open_channels(project.settings, "tiny"), alert.kinds) == ("data@example.com",)
