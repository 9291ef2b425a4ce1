import json
import math
from threading import Event

import numpy as np
import pytest

from mlops_assets.errors import TrackingError
from mlops_assets.resources.mlflow import trial_logger
from mlops_assets_tests.resources.conftest import FakeTrial


@pytest.fixture
def log_trials(tracking, in_asset):
    """A function that logs trials in a run of its own, and gives (id of the parent, the logger)."""

    def log(*trials: FakeTrial, search: str = "search-1"):
        parents = []

        def body(context):
            with tracking.run(context, "tune", {}) as run, run.start_trials(search, "Ridge") as logger:
                parents.extend([run.run_id, logger])
                for trial in trials:
                    logger.log(trial)

        in_asset(body)
        return parents

    return log


def children_of(tracking, parent: str):
    found = tracking.client.search_runs([tracking.experiment_id], f"tags.`mlflow.parentRunId` = '{parent}'")
    return sorted(found, key=lambda run: int(run.data.tags["trial"]))


def test_each_trial_is_a_child_run_with_its_outcome(tracking, log_trials):
    good = FakeTrial(0, {"alpha": 0.5}, metrics={"rmse": 4.5, "mae": 3.0}, loss=4.5, seconds=2.0, rounds=30)
    bad = FakeTrial(1, {"alpha": -1}, status="failed", loss=None, seconds=0.25, error="alpha must be positive")
    parent, logger = log_trials(good, bad)
    first, second = children_of(tracking, parent)
    assert (first.info.status, first.info.run_name) == ("FINISHED", "Ridge trial 1")
    assert first.data.metrics == {"validation_rmse": 4.5, "validation_mae": 3.0, "seconds": 2.0, "rounds": 30}
    assert first.info.end_time - first.info.start_time == 2_000
    assert (first.data.tags["model_type"], first.data.tags["search"]) == ("Ridge", "search-1")
    assert first.data.tags["dagster_run_id"] == tracking.client.get_run(parent).data.tags["dagster_run_id"]
    assert (second.info.status, second.data.tags["error"]) == ("FAILED", "alpha must be positive")
    assert second.data.metrics == {"seconds": 0.25}
    assert [logger.run_id(0), logger.run_id(1)] == [first.info.run_id, second.info.run_id]


def test_parameters_keep_their_types(tracking, log_trials):
    params = {"depth": 8, "rate": 0.1, "kind": "l2", "flag": True, "nothing": None, "many": [1, 2]}
    parent, _ = log_trials(FakeTrial(0, params | {"numpy": np.int64(3)}))
    (child,) = children_of(tracking, parent)
    assert {name: json.loads(value) for name, value in child.data.params.items()} == params | {"numpy": 3}


def test_more_parameters_than_mlflow_takes_at_once_are_logged(tracking, log_trials):
    parent, _ = log_trials(FakeTrial(0, {f"p{number}": number for number in range(230)}))
    (child,) = children_of(tracking, parent)
    assert len(child.data.params) == 230


def test_a_metric_that_is_not_finite_is_logged_as_it_is(tracking, log_trials):
    parent, _ = log_trials(FakeTrial(0, metrics={"rmse": math.nan}))
    (child,) = children_of(tracking, parent)
    assert math.isnan(child.data.metrics["validation_rmse"])


def test_trials_of_an_earlier_run_move_and_are_not_logged_twice(tracking, log_trials):
    earlier, _ = log_trials(FakeTrial(0, {"alpha": 1}), FakeTrial(1, {"alpha": 2}, status="failed", loss=None))
    before = {run.info.run_id for run in children_of(tracking, earlier)}
    later, logger = log_trials(*[FakeTrial(number, {"alpha": number + 1}) for number in range(3)])
    assert children_of(tracking, earlier) == []
    after = children_of(tracking, later)
    assert [run.info.status for run in after] == ["FINISHED", "FAILED", "FINISHED"]
    assert before < {run.info.run_id for run in after}
    assert logger.run_id(0) in before


def test_another_search_has_trials_of_its_own(tracking, log_trials):
    one, _ = log_trials(FakeTrial(0))
    other, _ = log_trials(FakeTrial(0), search="search-2")
    assert (len(children_of(tracking, one)), len(children_of(tracking, other))) == (1, 1)


def test_a_trial_that_is_handed_over_twice_is_logged_once(tracking, log_trials):
    parent, _ = log_trials(FakeTrial(0), FakeTrial(0))
    assert len(children_of(tracking, parent)) == 1


def test_a_run_that_was_made_although_its_answer_was_lost_is_not_made_twice(tracking, log_trials, monkeypatch):
    monkeypatch.setattr(trial_logger, "RETRY_SECONDS", (0.0, 0.0))
    create, lost = tracking.client.create_run, []

    def lose_the_first_answer(*args, **kwargs):
        made = create(*args, **kwargs)
        if not lost and "trial" in kwargs["tags"]:
            lost.append(made)
            raise ConnectionResetError("the answer was lost")
        return made

    monkeypatch.setattr(tracking.client, "create_run", lose_the_first_answer)
    parent, _ = log_trials(FakeTrial(0), FakeTrial(1))
    assert len(lost) == 1
    assert [run.info.status for run in children_of(tracking, parent)] == ["FINISHED", "FINISHED"]


def test_a_search_does_not_wait_for_mlflow(tracking, in_asset, monkeypatch):
    may_write = Event()
    log_batch = tracking.client.log_batch
    monkeypatch.setattr(tracking.client, "log_batch", lambda *a, **k: may_write.wait() and log_batch(*a, **k))
    parents = []

    def body(context):
        with tracking.run(context, "tune", {}) as run, run.start_trials("search-1", "Ridge") as logger:
            parents.append(run.run_id)
            for number in range(20):
                logger.log(FakeTrial(number))
            may_write.set()

    in_asset(body)
    assert len(children_of(tracking, parents[0])) == 20


@pytest.fixture
def broken_logging(tracking, monkeypatch):
    """MLflow refuses every batch, with or without retries."""
    monkeypatch.setattr(trial_logger, "RETRY_SECONDS", (0.0, 0.0))

    def refuse(*args, **kwargs):
        raise OSError("database or disk is full")

    tracking.check()
    monkeypatch.setattr(tracking.client, "log_batch", refuse)


MESSAGE = "cannot log trial 1 of Ridge: database or disk is full"


def test_what_cannot_be_logged_is_an_error_at_the_end(log_trials, broken_logging):
    with pytest.raises(TrackingError, match=MESSAGE):
        log_trials(FakeTrial(0))


def test_what_cannot_be_logged_stops_a_long_search(log_trials, broken_logging):
    with pytest.raises(TrackingError, match=MESSAGE):
        log_trials(*map(FakeTrial, range(1_000)))


def test_the_error_of_a_search_is_not_hidden_by_one_of_its_logger(tracking, in_asset, broken_logging):
    def body(context):
        with pytest.raises(ValueError, match="bad rows") as caught:
            with tracking.run(context, "tune", {}) as run, run.start_trials("search-1", "Ridge") as logger:
                logger.log(FakeTrial(0))
                raise ValueError("bad rows")
        assert any(MESSAGE in note for note in caught.value.__notes__)

    in_asset(body)


def test_an_unexpected_error_of_the_logger_is_not_lost(tracking, in_asset):
    def body(context):
        with pytest.raises(AttributeError, match="item"):
            with tracking.run(context, "tune", {}) as run, run.start_trials("search-1", "Ridge") as logger:
                logger.log(FakeTrial(0, {"alpha": object()}))

    in_asset(body)
