"""A project with an instance of its own, in which a test makes one asset at a time."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import dagster as dg
import pytest

from mlops_assets.assets.plan import Plan
from mlops_assets.assets.records import Record, Records
from mlops_assets.assets.registry import asset_graph
from mlops_assets.definitions import build_definitions
from mlops_assets_tests.homes import Home, copy_home
from mlops_assets_tests.shared import Shared, state_of_home

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class Workshop:
    """A home, and a Dagster instance; settings may change from one asset to the next."""

    def __init__(self, home: Home, instance: dg.DagsterInstance) -> None:
        self.home, self.instance = home, instance
        self.project = home.project()

    def change(self, **settings: str) -> None:
        self.home.env |= settings
        self.project = self.home.project()

    def make(self, asset: str, partition: str | None = None, config: dict | None = None) -> dg.ExecuteInProcessResult:
        """Materialise one asset, as the UI does; a failure is in the result."""
        job = build_definitions(self.project).resolve_job_def(asset_graph(self.project).entries[asset].job)
        run_config = QUIET | ({"ops": {asset: {"config": config}}} if config else {})
        options = {"instance": self.instance, "run_config": run_config, "raise_on_error": False}
        return job.execute_in_process(partition_key=partition, **options)

    def make_up_to(self, last: str) -> "Workshop":
        """Materialise what is stale, up to and with an asset."""
        plan = Plan(self.instance, self.project)
        for asset in plan.assets[: plan.assets.index(last) + 1]:
            for task in plan.tasks(asset):
                if task.stale:
                    result = self.make(asset, task.partition)
                    assert result.success, (task, failure_of(result))
        return self

    def record(self, asset: str, partition: str | None = None) -> Record | None:
        return Records(self.instance).latest(asset, partition)

    def mlflow_runs(self) -> list:
        tracking = self.project.tracking
        return list(tracking.client.search_runs([tracking.experiment_id]))


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    """What the failed step of a run told."""
    (data,) = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    return data.user_failure_data.description


@pytest.fixture
def no_pictures(monkeypatch):
    """Whatever draws a picture fails."""

    def die(*args):
        raise AssertionError("a picture was drawn")

    monkeypatch.setattr("mlops_assets.core.report.drawing._panel", die)


@pytest.fixture(scope="module")
def new_workshop(new_shop) -> Iterator[Callable[..., Workshop]]:
    """A function that gives a workshop in which nothing was made yet, its instance in memory."""
    instances = []

    def make(**settings: str) -> Workshop:
        instances.append(dg.DagsterInstance.ephemeral())
        return Workshop(new_shop(**settings), instances[-1])

    yield make
    for instance in instances:
        instance.dispose()


@pytest.fixture(scope="session")
def home_up_to(new_shop, made_once) -> Callable[..., Home]:
    """A function that gives a shop in which all is made up to an asset: once for all tests, to be copied."""

    def get(last: str, **settings: str) -> Home:
        def make() -> list:
            home = new_shop(**settings)
            with home.instance() as instance:
                Workshop(home, instance).make_up_to(last)
            return [str(home.folder), home.env]

        folder, env = made_once("-".join(["shop", last, *settings.values()]), make)
        return Home(Path(folder), **env)

    return get


@pytest.fixture(scope="module")
def open_workshop() -> Iterator[Callable[[Home], Workshop]]:
    """A function that gives a home as a workshop, with the Dagster instance that is kept in it."""
    with ExitStack() as stack:
        yield lambda home: Workshop(home, stack.enter_context(home.instance()))


@pytest.fixture(scope="module")
def workshop_up_to(home_up_to, open_workshop, tmp_path_factory) -> Callable[..., Workshop]:
    """A function that gives a workshop of one's own in which all is made up to an asset; its sales are not its own."""

    def get(last: str, **settings: str) -> Workshop:
        return open_workshop(copy_home(home_up_to(last, **settings), tmp_path_factory.mktemp("copy") / "home"))

    return get


@pytest.fixture(scope="session")
def workshop(home_up_to, shared, tmp_path_factory) -> Iterator[Workshop]:
    """A workshop in which all was made, with two model types. A test that shares it and changes it fails."""
    made = home_up_to("drift_report", MLOPS_MODEL_TYPES="Ridge,XGBoost")
    home = copy_home(made, tmp_path_factory.mktemp("workshop") / "home")
    with home.instance() as instance:
        shared["workshop"] = Shared("workshop", lambda: state_of_home(home.folder))
        yield Workshop(home, instance)


@pytest.fixture
def own_workshop(own_shop, open_workshop) -> Workshop:
    """A copy of the shop after a run as a workshop of this test's own, with one model type."""
    return open_workshop(own_shop)
