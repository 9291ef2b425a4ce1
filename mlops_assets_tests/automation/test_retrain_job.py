"""The run of a retraining: it waits for its parts, or makes them itself."""

import json

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteInstigatorOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus
from dagster._daemon.types import DaemonHeartbeat

from mlops_assets.automation import retrain_job
from mlops_assets.automation.retrain_job import SILENT_SECONDS, STOPPED_SECONDS, TELL_SECONDS, Wait
from mlops_assets.automation.retraining import FINISHED, RETRAIN, RETRAINING, SENSOR, TASK
from mlops_assets.project import open_project
from mlops_assets.run_tags import PROCESS
from mlops_assets_tests.homes import write_period

S = dg.DagsterRunStatus


class Waiting:
    """The run of a retraining that waits, by a clock that the test sets; what it told meanwhile."""

    def __init__(self, instance):
        self.instance, self.now, self.lines = instance, 0.0, []
        self.run = instance.add_run(dg.DagsterRun(job_name=RETRAIN, status=S.STARTED, run_id="r" * 32))
        self.wait = Wait(instance, self.run.run_id, self.lines.append, lambda: self.now)

    def look(self, after=TELL_SECONDS, daemon=True):
        """Look again so many seconds later; where the daemon lives, it was heard of just before."""
        self.now += after
        if daemon:
            self.instance.add_daemon_heartbeat(DaemonHeartbeat(self.now, "SENSOR", "d"))
        return self.wait.look()

    def finish(self, **left):
        self.instance.add_run_tags(self.run.run_id, {FINISHED: json.dumps(left)})

    def turn(self, status):
        """Turn the sensor `retraining` on or off, as the UI does."""
        location = RegisteredCodeLocationOrigin("mlops")
        origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(location, "__repository__"), SENSOR)
        state = InstigatorState(origin, InstigatorType.SENSOR, status)
        known = self.instance.get_instigator_state(state.instigator_origin_id, state.selector_id)
        (self.instance.update_instigator_state if known else self.instance.add_instigator_state)(state)


@pytest.fixture
def stored(tmp_path):
    """An instance in files: the one in memory keeps no state of sensors."""
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield instance


@pytest.fixture
def waiting(stored):
    return Waiting(stored)


def test_the_job_waits_until_the_sensor_says_that_nothing_is_left(waiting):
    assert waiting.look() is None
    waiting.finish(given_up=["sklearn_model[Lasso]"], blocked=[])
    assert waiting.look() == {"given_up": ["sklearn_model[Lasso]"], "blocked": []}


def test_what_is_waited_for_is_told_once_a_minute(waiting):
    for task, status in {"training_set": S.SUCCESS, "hyperparameters[Ridge]": S.STARTED}.items():
        tags = {RETRAINING: waiting.run.run_id, TASK: task}
        waiting.instance.add_run(dg.DagsterRun(job_name="part", status=status, tags=tags))
    for _ in range(4):
        waiting.look(after=TELL_SECONDS / 2)
    assert waiting.lines == ["waiting for hyperparameters[Ridge]"] * 2


def test_between_two_parts_the_sensor_is_waited_for(waiting):
    waiting.look()
    assert waiting.lines == ["waiting for the sensor 'retraining' to look at what is left"]


def test_a_retraining_whose_sensor_was_stopped_ends_with_one_clear_failure(waiting):
    waiting.turn(InstigatorStatus.STOPPED)
    waiting.look()
    assert waiting.lines[0].endswith("; the sensor 'retraining' is stopped")
    with pytest.raises(dg.Failure) as failure:
        waiting.look(after=STOPPED_SECONDS)
    expected = "the sensor 'retraining' is stopped, so that no part is launched: turn it on, and retrain again"
    assert failure.value.description == expected
    assert not failure.value.allow_retries


def test_a_sensor_that_is_on_again_in_time_does_no_harm(waiting):
    waiting.turn(InstigatorStatus.STOPPED)
    waiting.look()
    waiting.turn(InstigatorStatus.RUNNING)
    waiting.look()
    waiting.turn(InstigatorStatus.STOPPED)
    assert waiting.look(after=STOPPED_SECONDS - 1) is None
    waiting.turn(InstigatorStatus.RUNNING)
    assert waiting.look(after=STOPPED_SECONDS) is None


@pytest.mark.parametrize("was_heard", [True, False])
def test_a_retraining_without_a_daemon_ends_with_one_clear_failure(waiting, was_heard):
    waiting.look(daemon=was_heard)
    assert waiting.look(after=SILENT_SECONDS - TELL_SECONDS - 1, daemon=False) is None
    assert "; nothing was heard of Dagster's daemon for " in waiting.lines[-1]
    with pytest.raises(dg.Failure, match=r"nothing was heard of Dagster's daemon .*: start it, and retrain again"):
        waiting.look(after=2 * TELL_SECONDS, daemon=False)


def test_the_job_fails_with_that_reason_and_is_not_tried_again(stored, monkeypatch):
    for name, seconds in {"POLL": 0.01, "TELL": 0.02, "SILENT": 0.05}.items():
        monkeypatch.setattr(retrain_job, f"{name}_SECONDS", seconds)
    job = retrain_job.build_retrain_job(open_project({}))
    result = job.execute_in_process(instance=stored, raise_on_error=False)
    assert not result.success
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    assert "nothing was heard of Dagster's daemon" in failed.step_failure_data.user_failure_data.description


def test_a_retraining_that_was_deleted_waits_no_longer(waiting):
    waiting.instance.delete_run(waiting.run.run_id)
    with pytest.raises(dg.Failure, match="was deleted"):
        waiting.look()


RETRAIN_AT_ONCE = """
from dagster._cli import main
from mlops_assets.automation import retrain_job

retrain_job.PAUSE_SECONDS = 0
main()
"""


def test_a_retraining_makes_its_parts_in_its_own_process_and_goes_on_without_one_that_fails(new_shop):
    shop = new_shop(MLOPS_MAX_TRIALS="1")
    write_period(shop.folder / "sales", "2024-04")
    (shop.folder / "sales" / "sales_2024-01.csv").write_text("")
    command = ["job", "execute", "-m", "mlops_assets.definitions", "-a", "defs", "-j", RETRAIN]
    done = shop.process(*command, script=RETRAIN_AT_ONCE)
    assert done.returncode == 0, done.stderr
    with shop.instance() as instance:
        (retraining,) = instance.get_runs(dg.RunsFilter(job_name=RETRAIN))
        parts = instance.get_runs(dg.RunsFilter(tags={RETRAINING: retraining.run_id}))
    assert json.loads(retraining.tags[FINISHED])["given_up"] == ["raw_data[2024-01]"]
    assert len({part.tags[PROCESS] for part in parts}) == 1
    failed = [part.tags[TASK] for part in parts if part.status is not S.SUCCESS]
    assert failed == ["raw_data[2024-01]"] * 2 + ["raw_data[2024-01...2024-04]"]
    assert shop.record("champion_model").value("champion_type") == "Ridge"
