"""Tiny assets, and the alert sensor under a clock that is set by hand."""

from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateChange

from mlops_assets.alerts.outbox import Outbox
from mlops_assets.alerts.sensor import build_alert_sensor
from mlops_assets.automation.retraining import RETRAIN, RETRAINING, TASK
from mlops_assets.dataset import DatasetSpec
from mlops_assets.project import Project
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
    "registered_model": "models/taxi/versions/4",
}
REFUSED = PROMOTED | {
    "verdict": "Not promoted: RMSE 5.3 is 1.92% above the 5.2 of the champion.",
    "decision": "refused",
    "champion_type": "Lasso",
    "champion_version": 3,
}


def open_project(tmp_path, tiny, port, changes=None):
    given = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(port), "SMTP_SECURITY": "plain", "MAIL_TO": ANN}
    given |= {"HOME": str(tmp_path / "home"), "DAGSTER_URL": "http://dagster/", "MLFLOW_URL": "http://mlflow"}
    env = {f"MLOPS_{name}": value for name, value in (given | (changes or {})).items()}
    return Project(read_settings(env), DatasetSpec.model_validate(tiny | {"target": tiny["target"] | {"unit": "min"}}))


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


def subjects(server):
    return [got.message["Subject"] for got in server.received]


def champion(told):
    link = {"registered_model": "models/taxi/versions/4"}
    return {"metadata": told | link}


def part(office, umbrella, asset, partition=None, config=None):
    name = f"{asset.key.to_user_string()}[{partition}]" if partition else asset.key.to_user_string()
    return office.materialize(asset, partition, config, {RETRAINING: umbrella, TASK: name})


def freshness(office, state, at=None):
    change = FreshnessStateChange(
        key=dg.AssetKey("champion_model"),
        previous_state=FreshnessState.PASS,
        new_state=state,
        state_change_timestamp=(at or office.now).timestamp(),
    )
    office.instance._report_runless_asset_event(change)  # as Dagster's freshness daemon does
