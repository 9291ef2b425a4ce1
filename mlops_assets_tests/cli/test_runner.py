"""The pipeline in this process: one lock a home, dead runs closed, services asked after a failure."""

import dagster as dg
import pytest

from mlops_assets.assets.plan import Part
from mlops_assets.assets.records import Records
from mlops_assets.cli.runner import Runner, close_dead_runs, exclusive
from mlops_assets.errors import SourceError, StorageError, TrackingError
from mlops_assets.resources.dagster_client import LOCATION, REPOSITORY
from mlops_assets.resources.progress import LogProgress
from mlops_assets.run_tags import STARTED_BY, USER
from mlops_assets_tests.servers import free_port


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def make(runner, asset):
    return [outcome for part in runner.plan.parts(runner.plan.tasks(asset)) for outcome in runner.make(part)]


def test_periods_are_made_in_one_run_and_one_that_fails_says_why_and_stops_no_other(instance, new_shop):
    shop = new_shop()
    (shop.folder / "sales" / "sales_2024-02.csv").write_text("at,zone,size,price\n")
    runner = Runner(instance, shop.project(), LogProgress())
    first, bad, last = make(runner, "raw_data")
    assert (first.error, last.error) == (None, None)
    assert bad.error.startswith("2024-02 is not used: rows_present (")
    (run,) = instance.get_runs()
    assert (run.run_id, run.tags[STARTED_BY], run.tags[USER]) == (bad.run_id, "cli", "cli")
    assert run.tags["dagster/max_retries"] == "0"  # the daemon leaves it alone
    assert run.remote_job_origin.repository_origin.get_label() == f"{REPOSITORY}@{LOCATION}"
    assert run.status == dg.DagsterRunStatus.FAILURE
    assert list(Records(instance).all_latest("raw_data")) == ["2024-01", "2024-03"]


def test_a_source_that_goes_away_in_the_middle_ends_the_run(instance, new_shop):
    """Each period alone would try again for minutes."""
    project = new_shop().project()
    runner = Runner(instance, project, LogProgress())
    first, second, _ = (Part((task,)) for task in runner.plan.tasks("raw_data"))
    assert runner.make(first)[0].error is None

    def gone(*_):
        raise SourceError("the server has gone")

    project.source.partitions = project.source.read = gone
    with pytest.raises(SourceError, match="^the server has gone$"):
        runner.make(second)


def test_an_mlflow_that_does_not_answer_ends_the_run_after_two_more_tries(instance, new_shop, no_waits):
    shop = new_shop(MLOPS_TRACKING_URI=f"http://127.0.0.1:{free_port()}")
    runner = Runner(instance, shop.project(), LogProgress())
    for asset in ("raw_data", "clean_data", "training_set"):
        assert all(outcome.error is None for outcome in make(runner, asset))
    with pytest.raises(TrackingError, match="cannot be opened"):
        make(runner, "hyperparameters")
    (run,) = instance.get_runs(dg.RunsFilter(job_name="tune"))
    retries = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_UP_FOR_RETRY)
    assert (run.status, len(retries)) == (dg.DagsterRunStatus.FAILURE, 2)


def test_runs_of_a_killed_process_are_closed_and_those_of_others_are_not(instance, new_shop):
    project = new_shop().project()
    client, experiment = project.tracking.client, project.tracking.experiment_id
    dead, others = (
        dg.DagsterRun(job_name="tune", tags=tags, status=dg.DagsterRunStatus.STARTED)
        for tags in ({STARTED_BY: "cli"}, {})
    )
    for run in (dead, others):
        instance.add_run(run)
        client.create_run(experiment, tags={"dagster_run_id": run.run_id})
    assert close_dead_runs(instance, project) == 1
    assert instance.get_run_by_id(dead.run_id).status == dg.DagsterRunStatus.FAILURE
    assert instance.get_run_by_id(others.run_id).status == dg.DagsterRunStatus.STARTED
    statuses = {run.data.tags["dagster_run_id"]: run.info.status for run in client.search_runs([experiment])}
    assert statuses == {dead.run_id: "KILLED", others.run_id: "RUNNING"}
    assert close_dead_runs(instance, project) == 0


def test_dead_runs_stay_to_be_closed_where_mlflow_does_not_answer(instance, new_shop, no_waits):
    dead = dg.DagsterRun(job_name="tune", tags={STARTED_BY: "cli"}, status=dg.DagsterRunStatus.STARTED)
    instance.add_run(dead)
    project = new_shop().project(MLOPS_TRACKING_URI=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(TrackingError):
        close_dead_runs(instance, project)
    assert instance.get_run_by_id(dead.run_id).status == dg.DagsterRunStatus.STARTED


def test_one_run_works_in_a_home_at_a_time_and_the_next_one_after_it(new_shop):
    project = new_shop().project()
    with exclusive(project):
        with pytest.raises(StorageError, match="another run is at work in home"), exclusive(project):
            pass
    with exclusive(project):
        pass
