"""A real MLflow database a test, and the ways to use it from a Dagster run."""

import shutil
from dataclasses import dataclass, field

import dagster as dg
import pytest

from mlops_assets.resources.mlflow.tracking import Tracking
from mlops_assets_tests.core.conftest import objectives, training_set_folder  # noqa: F401  (fixtures)


@dataclass(frozen=True)
class FakeTrial:
    """A trial as a search hands it over."""

    number: int
    params: dict = field(default_factory=dict)
    status: str = "ok"
    loss: float | None = 1.0
    metrics: dict = field(default_factory=dict)
    seconds: float = 0.5
    rounds: int | None = None
    error: str | None = None


@pytest.fixture
def make_tracking(tmp_path):
    def make(uri: str) -> Tracking:
        return Tracking(uri, "taxi", tmp_path / "art files", "http://mlflow.test/", "http://dagster.test")

    return make


@pytest.fixture
def database(empty_database, tmp_path) -> str:
    """URI of an empty MLflow database of this test's own."""
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


@pytest.fixture
def tracking(make_tracking, database) -> Tracking:
    return make_tracking(database)


@pytest.fixture
def in_asset():
    """A function that runs `body(context)` as the asset `trips` of a real Dagster run, and gives that run's id.

    The body's own error comes out as it went in.
    """

    def run(body, partition: str | None = None) -> str:
        partitions = dg.StaticPartitionsDefinition([partition]) if partition else None

        @dg.asset(name="trips", partitions_def=partitions)
        def trips(context: dg.AssetExecutionContext) -> None:
            body(context)

        with dg.DagsterInstance.ephemeral() as instance:
            return dg.materialize([trips], instance=instance, partition_key=partition).run_id

    return run


@pytest.fixture
def runs_of():
    """A function that gives the newest state of all runs of an experiment, oldest first."""

    def find(tracking: Tracking):
        runs = tracking.client.search_runs([tracking.experiment_id], order_by=["attributes.start_time ASC"])
        return list(runs)

    return find
