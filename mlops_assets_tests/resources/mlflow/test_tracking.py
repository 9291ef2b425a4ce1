import os
import subprocess
import sys
import traceback

import dagster as dg
import pytest

from mlops_assets.errors import TrackingError
from mlops_assets_tests.resources.conftest import FakeTrial
from mlops_assets_tests.servers import free_port
from mlops_assets_tests.warm import TRUE_PYTHON

SECRET = "pa55word"


def test_nothing_is_imported_or_contacted_before_the_first_use():
    code = (
        "import sys; from pathlib import Path; from mlops_assets.resources.mlflow.tracking import Tracking;"
        "from mlops_assets.resources.mlflow.registry import Registry;"
        "Registry(Tracking('http://127.0.0.1:1', 'taxi', Path('art'), 'http://ui', 'http://dagster'), 'taxi');"
        "sys.exit('mlflow' in sys.modules or 'pandas' in sys.modules)"
    )
    assert subprocess.run([TRUE_PYTHON, "-c", code]).returncode == 0


def test_a_run_that_ends_well_is_finished_and_linked_both_ways(tracking, in_asset, runs_of):
    opened = []

    def body(context):
        with tracking.run(context, "tune Ridge", {"model_type": "Ridge"}) as run:
            opened.append(run)
            run.log(params={"alpha": 0.5, "kind": "l2"}, metrics={"rmse": 4.5, "none": None})
            run.mlflow.log_metric("logged_by_resource", 1)

    dagster_run_id = in_asset(body, partition="Ridge")
    (found,) = runs_of(tracking)
    assert (found.info.status, found.info.run_name) == ("FINISHED", "tune Ridge")
    assert found.data.tags["dagster_run_id"] == dagster_run_id
    assert "http" not in str(found.data.tags)  # addresses are built when they are shown
    assert {found.data.tags[name] for name in ("asset", "partition", "model_type")} == {"trips", "Ridge"}
    assert found.data.params == {"alpha": "0.5", "kind": '"l2"'}
    assert found.data.metrics == {"rmse": 4.5, "logged_by_resource": 1}
    assert opened[0].run_id == found.info.run_id
    path = f"experiments/{found.info.experiment_id}/runs/{found.info.run_id}"
    assert tracking.run_path(found.info.run_id) == path
    classic = "?workflowType=machine_learning"
    assert tracking.run_url(found.info.run_id) == f"http://mlflow.test/#/{path}{classic}"


def test_no_run_is_active_after_any_outcome(tracking, in_asset):
    import mlflow

    def leave_one_open(context):
        with tracking.run(context, "outer", {}):
            mlflow.start_run(nested=True)

    in_asset(leave_one_open)
    assert mlflow.active_run() is None


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("bad rows"), "FAILED"),
        (dg.Failure("bad rows", allow_retries=False), "FAILED"),
        (KeyboardInterrupt("bad rows"), "KILLED"),
        (dg.DagsterExecutionInterruptedError("bad rows"), "KILLED"),
    ],
)
def test_an_error_ends_the_run_and_comes_out_as_it_was(tracking, in_asset, runs_of, error, status):
    def body(context):
        with pytest.raises(type(error), match="bad rows"):
            with tracking.run(context, "fit", {}) as run:
                run.mlflow.start_run(run_name="left open", nested=True)
                raise error

    in_asset(body)
    found = {run.info.run_name: run.info.status for run in runs_of(tracking)}
    assert found["fit"] == status
    assert found["left open"] != "RUNNING"


def test_two_assets_of_one_dagster_run_have_a_run_each(tracking, runs_of):
    @dg.asset
    def good(context: dg.AssetExecutionContext) -> None:
        with tracking.run(context, "good", {}):
            pass

    @dg.asset
    def bad(context: dg.AssetExecutionContext) -> None:
        with tracking.run(context, "bad", {}):
            raise ValueError("bad rows")

    @dg.asset(deps=[good])
    def later(context: dg.AssetExecutionContext) -> None:
        with tracking.run(context, "later", {}):
            pass

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([good, bad, later], instance=instance, raise_on_error=False)
    found = {run.info.run_name: run for run in runs_of(tracking)}
    assert {name: run.info.status for name, run in found.items()} == {
        "good": "FINISHED",
        "bad": "FAILED",
        "later": "FINISHED",
    }
    assert {run.data.tags["dagster_run_id"] for run in found.values()} == {result.run_id}


def test_a_run_that_other_code_left_active_is_not_written_to(tracking, in_asset, runs_of):
    import mlflow

    tracking.check()
    leaked = mlflow.start_run(experiment_id=tracking.experiment_id, run_name="leaked")

    def body(context):
        with tracking.run(context, "mine", {}) as run:
            assert mlflow.active_run().info.run_id == run.run_id != leaked.info.run_id

    in_asset(body)
    assert {run.info.run_name: run.info.status for run in runs_of(tracking)} == {"leaked": "KILLED", "mine": "FINISHED"}


def test_an_error_of_mlflow_inside_becomes_a_tracking_error(tracking, in_asset, runs_of):
    def body(context):
        with pytest.raises(TrackingError, match='cannot serve the asset: Invalid value "no/../such"'):
            with tracking.run(context, "fit", {}) as run:
                run.mlflow.log_metric("no/../such", 1)

    in_asset(body)
    assert [run.info.status for run in runs_of(tracking)] == ["FAILED"]


def test_an_artefact_root_with_a_space_is_used(tracking, tmp_path, in_asset):
    def body(context):
        with tracking.run(context, "fit", {}) as run:
            run.client.log_text(run.run_id, "hello", "note.txt")

    in_asset(body)
    assert [path.read_text() for path in (tmp_path / "art files").rglob("note.txt")] == ["hello"]


KILLED_IN_TRIALS = """
import os, signal, sys
from pathlib import Path
import dagster as dg
from mlops_assets.resources.mlflow.tracking import Tracking
from mlops_assets_tests.resources.conftest import FakeTrial

tracking = Tracking(sys.argv[1], "taxi", Path(sys.argv[2]), "http://mlflow.test", "http://dagster.test")

@dg.asset
def trips(context):
    with tracking.run(context, "tune", {}) as run, run.start_trials("search-1", "Ridge") as trials:
        trials.log(FakeTrial(0, {"alpha": 1.0}))
        trials.log(FakeTrial(1, {"alpha": 2.0}))
        log_batch = run.client.log_batch
        def die_in_third(run_id, *args, **kwargs):
            if "trial 3" in run.client.get_run(run_id).info.run_name:
                os.kill(os.getpid(), signal.SIGKILL)
            log_batch(run_id, *args, **kwargs)
        run.client.log_batch = die_in_third
        trials.log(FakeTrial(2, {"alpha": 3.0}))

dg.materialize([trips])
"""


def test_after_a_kill_nothing_stays_running_and_the_next_run_takes_the_trials_over(
    tracking, database, tmp_path, in_asset, runs_of
):
    command = [sys.executable, "-c", KILLED_IN_TRIALS, database, str(tmp_path)]
    assert subprocess.run(command, capture_output=True).returncode == -9
    killed = runs_of(tracking)
    assert sorted(run.info.status for run in killed) == ["FINISHED", "FINISHED", "RUNNING", "RUNNING"]
    dead = {run.data.tags["dagster_run_id"] for run in killed}

    assert tracking.close_abandoned(lambda run_id: run_id not in dead) == 2
    assert sorted(run.info.status for run in runs_of(tracking)) == ["FINISHED", "FINISHED", "KILLED", "KILLED"]

    def resume(context):
        with tracking.run(context, "tune again", {}) as run, run.start_trials("search-1", "Ridge") as trials:
            for number in range(4):
                trials.log(FakeTrial(number, {"alpha": number + 1.0}))

    in_asset(resume)
    (parent,) = [run for run in runs_of(tracking) if run.info.run_name == "tune again"]
    trials = [run for run in runs_of(tracking) if "trial" in run.data.tags]
    assert sorted(run.data.tags["trial"] for run in trials) == ["1", "2", "3", "4"]
    assert {run.data.tags["mlflow.parentRunId"] for run in trials} == {parent.info.run_id}
    assert {run.info.status for run in trials} == {"FINISHED"}
    assert sorted(run.data.params["alpha"] for run in trials) == ["1.0", "2.0", "3.0", "4.0"]


def test_runs_of_active_dagster_runs_and_runs_of_others_stay_running(tracking, runs_of):
    create = tracking.client.create_run
    create(tracking.experiment_id, run_name="active", tags={"dagster_run_id": "a"})
    create(tracking.experiment_id, run_name="abandoned", tags={"dagster_run_id": "b"})
    create(tracking.experiment_id, run_name="someone's own")
    asked = []
    assert tracking.close_abandoned(lambda run_id: asked.append(run_id) or run_id == "a") == 1
    assert {run.info.run_name: run.info.status for run in runs_of(tracking)} == {
        "active": "RUNNING",
        "abandoned": "KILLED",
        "someone's own": "RUNNING",
    }
    assert sorted(asked) == ["a", "b"]


@pytest.mark.slow
def test_two_processes_may_create_the_database_at_once(tmp_path, make_tracking):
    code = "import sys; from mlops_assets.resources.mlflow.connection import connect; connect(sys.argv[1])"
    uri = f"sqlite:///{tmp_path / 'new folder' / 'mlflow.db'}"
    command = [sys.executable, "-c", code, uri]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    said = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert said == [(b"", b""), (b"", b"")]
    assert make_tracking(uri).check().endswith("experiment 'taxi' (id 1)")


def test_a_deleted_experiment_is_said_so(make_tracking, tracking, database):
    tracking.client.delete_experiment(tracking.experiment_id)
    with pytest.raises(TrackingError, match="'taxi' is deleted: restore it with `mlflow experiments restore"):
        make_tracking(database).check()


def test_what_the_user_set_for_mlflow_stays(tmp_path):
    code = (
        "import os; from mlops_assets.resources.mlflow.connection import import_mlflow; import_mlflow();"
        "print(os.environ['MLFLOW_HTTP_REQUEST_TIMEOUT'], os.environ['MLFLOW_HTTP_REQUEST_MAX_RETRIES'])"
    )
    env = os.environ | {"MLFLOW_HTTP_REQUEST_TIMEOUT": "77"}
    env.pop("MLFLOW_HTTP_REQUEST_MAX_RETRIES", None)
    said = subprocess.run([TRUE_PYTHON, "-c", code], env=env, capture_output=True, text=True)
    assert said.stdout.split() == ["77", "2"]


def test_a_server_that_does_not_answer_is_an_error_without_its_password(make_tracking, in_asset, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    tracking = make_tracking(f"http://user:{SECRET}@127.0.0.1:{free_port()}")
    with pytest.raises(TrackingError, match=r"MLflow at http://user:.*cannot be opened \(.*refused") as caught:
        tracking.check()
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_database_server_that_does_not_answer_is_an_error_at_once(make_tracking):
    tracking = make_tracking(f"postgresql+psycopg2://user:{SECRET}@127.0.0.1:{free_port()}/mlflow?sslkey={SECRET}2")
    with pytest.raises(TrackingError, match="(?s)cannot be opened .*refused") as caught:
        tracking.check()
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_dagster_s_event_log_holds_no_password_of_a_dead_server(make_tracking, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    tracking = make_tracking(f"http://user:{SECRET}@127.0.0.1:{free_port()}")

    @dg.asset
    def trips(context: dg.AssetExecutionContext) -> None:
        with tracking.run(context, "fit", {}):
            pass

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([trips], instance=instance, raise_on_error=False)
        events = str(instance.all_logs(result.run_id))
    assert "TrackingError" in events
    assert SECRET not in events


def test_a_server_that_goes_away_while_trials_are_logged_gives_one_clear_error(
    line, make_tracking, in_asset, monkeypatch
):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setattr("mlops_assets.resources.mlflow.trial_logger.RETRY_SECONDS", (0.0, 0.0))
    tracking = make_tracking(f"http://user:{SECRET}@{line.address}")

    def search(context):
        with tracking.run(context, "tune", {}) as run, run.start_trials("search-1", "Ridge") as trials:
            trials.log(FakeTrial(0))
            trials.log(FakeTrial(1))
            line.cut()
            for number in range(2, 10_000):
                trials.log(FakeTrial(number))

    def body(context):
        with pytest.raises(TrackingError, match=r"^MLflow at http://user:.* cannot log trial \d+ of Ridge: ") as caught:
            search(context)
        assert SECRET not in "".join(traceback.format_exception(caught.value))

    in_asset(body)


def test_a_server_keeps_artefacts_where_it_is_told_to(server, make_tracking, in_asset, tmp_path):
    tracking = make_tracking(server)

    def body(context):
        with tracking.run(context, "fit", {}) as run, run.start_trials("search-2", "Ridge") as trials:
            trials.log(FakeTrial(0))
            run.client.log_text(run.run_id, "hello", "note.txt")
            assert run.client.get_run(run.run_id).info.artifact_uri.startswith("mlflow-artifacts:")

    in_asset(body)
    assert not (tmp_path / "art files").exists()
