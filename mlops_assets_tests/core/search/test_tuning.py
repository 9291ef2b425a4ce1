"""A search is fixed by its seed and width: on any executor, and however often it is killed."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mlops_assets.core.learners.model_types import resolve_model_type
from mlops_assets.core.learners.persistence import parse_estimator
from mlops_assets.core.learners.search_spaces import Space
from mlops_assets.core.search.executors import ThisProcess, make_executor
from mlops_assets.core.search.trials import FitTrial, Outcome, TrialStore
from mlops_assets.core.search.tuning import SearchPlan, search
from mlops_assets.errors import StorageError, TuningError

TESTS = Path(__file__).parents[2]
BOWL = Space.model_validate(
    {
        "parameters": {"x": {"uniform": [0, 10]}, "depth": {"integer": [1, 9]}, "kind": {"fixed": "bowl"}},
        "start": {"x": 7, "depth": 2},
    }
)
PLAN = SearchPlan(max_trials=12, seconds=600, patience=99, seed=7, width=2, startup=4)


@pytest.fixture
def run(tmp_path):
    """A function that searches the bowl; keywords change the plan, the store's folder or the rest."""

    def run(objective, *, space=BOWL, folder="store", executor=None, fingerprint="a", warm_start=(), seen=None, **plan):
        def note(trial, *, resumed):
            if seen is not None:
                seen.append((trial, resumed))

        return search(
            objective,
            space,
            replace(PLAN, **plan),
            executor=executor or ThisProcess(),
            store=TrialStore(tmp_path / folder, fingerprint),
            on_trial=note,
            warm_start=warm_start,
        )

    return run


def course(result):
    """What a search found, without how long it took."""
    return [replace(trial, seconds=0, cpu_seconds=0) for trial in result.trials]


def test_a_search_tries_its_plan_and_gives_the_best_trial_with_its_estimator(run, objectives):
    result = run(objectives.Bowl())
    assert len(result.trials) == 12 and result.stopped_by == "max_trials"
    assert [trial.number for trial in result.trials] == list(range(12))
    assert result.best == min(result.trials, key=lambda trial: trial.loss)
    assert result.best.rounds == result.best.params["depth"]
    assert result.estimator == f"fitted with {result.best.params}".encode()


def test_the_search_is_seeded(run, objectives):
    first, again, other = (run(objectives.Bowl(), folder=f, seed=s) for f, s in (("a", 7), ("b", 7), ("c", 8)))
    assert course(first) == course(again) != course(other)


def test_the_width_is_part_of_what_fixes_a_search(run, objectives):
    narrow, wide = (run(objectives.Bowl(), folder=str(width), width=width) for width in (1, 4))
    assert course(narrow)[:4] == course(wide)[:4]
    assert course(narrow) != course(wide)


@pytest.mark.parametrize(
    "name", ["Ridge", *(pytest.param(name, marks=pytest.mark.slow) for name in ("RandomForestRegressor", "XGBoost"))]
)
def test_this_process_and_two_others_give_the_same_trials_and_estimator(name, run, training_set_folder):
    model_type = resolve_model_type(name)
    parameters = {key: value.model_dump(exclude_unset=True) for key, value in model_type.space.parameters.items()}
    if "n_estimators" in parameters:
        parameters["n_estimators"] = {"fixed": 10}
    space = Space.model_validate({"parameters": parameters, "start": model_type.space.start})
    objective = FitTrial(training_set_folder, model_type, seed=7, threads=1)
    here = run(objective, space=space, folder="here", max_trials=6, startup=3)
    with make_executor("local:2") as executor:
        there = run(
            replace(objective, threads=2), space=space, folder="there", max_trials=6, startup=3, executor=executor
        )
    assert course(here) == course(there)
    assert {trial.status for trial in here.trials} == {"ok"}
    assert type(parse_estimator(there.estimator)) is type(parse_estimator(here.estimator))


def test_what_is_sampled_is_stored_and_fitted(run, training_set_folder):
    model_type = resolve_model_type("RandomForestRegressor")
    parameters = {"n_estimators": {"integer": [3, 6]}, "min_samples_split": {"integer_log": [2, 9]}}
    parameters |= {"max_features": {"uniform": [0.2, 0.8]}, "criterion": {"choice": ["squared_error", "poisson"]}}
    space = Space.model_validate({"parameters": parameters | {"bootstrap": {"fixed": False}}})
    result = run(FitTrial(training_set_folder, model_type, seed=7, threads=1), space=space, max_trials=5)
    for trial in result.trials:
        types = [type(trial.params[name]) for name in ("n_estimators", "min_samples_split", "max_features")]
        assert types == [int, int, float]
        assert trial.params["bootstrap"] is False
    used = parse_estimator(result.estimator).get_params()
    assert {name: used[name] for name in result.best.params} == result.best.params
    assert used["random_state"] == 7


SCRIPT = """
import sys
from pathlib import Path
from search_objectives import KilledBowl
from test_tuning import BOWL, PLAN
from mlops_assets.core.search.executors import make_executor
from mlops_assets.core.search.trials import TrialStore
from mlops_assets.core.search.tuning import search

if __name__ == "__main__":
    folder, kill_at = Path(sys.argv[1]), int(sys.argv[2])
    with make_executor("local") as executor:
        search(KilledBowl(folder / "calls", kill_at), BOWL, PLAN, executor=executor,
               store=TrialStore(folder / "store", "a"), on_trial=lambda trial, *, resumed: None)
"""


@pytest.mark.parametrize("kill_at", [1, 6, 12])
def test_a_search_killed_in_the_middle_ends_as_if_it_had_not_been(kill_at, run, objectives, tmp_path):
    path = os.pathsep.join([str(TESTS / "spawned"), str(Path(__file__).parent), str(TESTS.parent)])
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), str(kill_at)]
    killed = subprocess.run(command, env=os.environ | {"PYTHONPATH": path})
    assert killed.returncode == -signal.SIGKILL

    objective, seen = objectives.Bowl(tmp_path / "calls"), []
    resumed = run(objective, seen=seen)
    whole = run(objectives.Bowl(), folder="whole")
    assert course(resumed) == course(whole)
    assert (resumed.best.number, resumed.estimator) == (whole.best.number, whole.estimator)
    kept = max(0, kill_at - PLAN.width)  # those in flight were lost
    assert resumed.resumed == kept
    assert objective.count == kill_at + len(whole.trials) - kept
    assert [replace(trial, seconds=0, cpu_seconds=0) for trial, _ in seen] == course(whole)
    assert [was_resumed for _, was_resumed in seen] == [True] * kept + [False] * (12 - kept)


def test_a_finished_search_is_replayed_without_a_fit(run, objectives, tmp_path):
    objective = objectives.Bowl(tmp_path / "calls")
    first, again = run(objective), run(objective)
    assert objective.count == 12
    assert first.trials == again.trials and again.resumed == 12
    assert first.estimator == again.estimator


def test_a_finished_search_goes_on_where_it_ended_when_it_may_try_more(run, objectives, tmp_path):
    objective = objectives.Bowl(tmp_path / "calls")
    run(objective, max_trials=7)
    longer = run(objective, max_trials=12)
    assert (longer.resumed, objective.count) == (7, 12)
    assert course(longer) == course(run(objectives.Bowl(), folder="whole"))


@pytest.mark.parametrize(
    "change", [{"seed": 8}, {"width": 3}, {"fingerprint": "b"}, {"space": Space(**dict(BOWL) | {"start": {}})}]
)
def test_another_search_begins_anew(change, run, objectives):
    run(objectives.Bowl())
    assert run(objectives.Bowl(), **change).resumed == 0


def test_the_best_estimator_is_fitted_again_where_its_file_is_gone(run, objectives, tmp_path):
    before = run(objectives.Bowl())
    for path in (tmp_path / "store").glob("*.model"):
        path.unlink()
    assert run(objectives.Bowl()).estimator == before.estimator


def test_one_estimator_is_kept_the_best(run, objectives, tmp_path):
    run(objectives.Bowl())
    assert len(list((tmp_path / "store").iterdir())) == 2


def test_warm_points_and_the_spaces_start_are_tried_first(run, objectives):
    last_best = {"x": 2.5, "depth": 5, "kind": "older", "unknown": 1}
    outside = {"x": 99.0, "depth": 5}
    result = run(objectives.Bowl(), warm_start=[last_best, outside])
    assert [trial.params for trial in result.trials[:2]] == [
        {"x": 2.5, "depth": 5, "kind": "bowl"},
        {"x": 7.0, "depth": 2, "kind": "bowl"},
    ]
    assert len(result.trials) == 12


def test_a_resumed_search_keeps_its_warm_start(run, objectives):
    first = run(objectives.Bowl(), warm_start=[{"x": 2.5, "depth": 5}], max_trials=5)
    again = run(objectives.Bowl(), warm_start=[{"x": 3.5, "depth": 5}], max_trials=5)
    assert again.trials == first.trials and again.resumed == 5


def test_patience_stops_a_search_that_gets_no_better(run):
    losses = iter([5, 4, 6, 6, 6, 6, 1, 1, 1])
    result = run(lambda params, beat: Outcome(next(losses)), patience=3, width=1)
    assert result.stopped_by == "patience"
    assert [trial.loss for trial in result.trials] == [5, 4, 6, 6, 6]


def test_time_stops_new_trials_but_one_is_always_tried_and_replays_are_free(run, objectives):
    result = run(objectives.Bowl(), seconds=0)
    assert (len(result.trials), result.stopped_by) == (1, "time")
    run(objectives.Bowl(), seconds=600, max_trials=6)
    again = run(objectives.Bowl(), seconds=0)
    assert (len(again.trials), again.resumed, again.stopped_by) == (6, 6, "time")


def test_the_time_of_a_killed_search_counts(run, objectives, tmp_path):
    trials = run(objectives.Bowl(), max_trials=2).trials
    store = TrialStore(tmp_path / "store", "a")
    store.add(trials[-1], elapsed=599.0, estimator=None)
    assert run(objectives.Bowl(), seconds=598).stopped_by == "time"
    assert run(objectives.Bowl(), seconds=1e6).stopped_by == "max_trials"


def test_a_space_without_free_parameters_is_one_trial(run, training_set_folder):
    model_type = resolve_model_type("neighbors.KNeighborsRegressor")
    result = run(FitTrial(training_set_folder, model_type, seed=7, threads=1), space=model_type.space)
    assert (len(result.trials), result.trials[0].params, result.stopped_by) == (1, {}, "space")


def test_a_small_space_is_tried_once_each(run, training_set_folder):
    model_type = resolve_model_type("LinearRegression")
    result = run(FitTrial(training_set_folder, model_type, seed=7, threads=1), space=model_type.space)
    assert [trial.params for trial in result.trials] == [{"fit_intercept": True}, {"fit_intercept": False}]
    assert result.stopped_by == "space"


@pytest.mark.parametrize("setting", ["local", "local:1"])
def test_a_failed_trial_is_recorded_and_the_search_goes_on(setting, run, objectives):
    with make_executor(setting) as executor:
        result = run(objectives.Picky(), executor=executor)
    failed = [trial for trial in result.trials if trial.status == "failed"]
    assert 0 < len(failed) < 12
    assert {trial.loss for trial in failed} == {None} and all(trial.error for trial in failed)
    assert result.best.status == "ok" and result.best.loss >= 1
    assert course(run(objectives.Picky())) == course(result)


def test_a_model_type_whose_trials_all_fail_says_why_and_can_be_tried_again(run, objectives):
    with pytest.raises(TuningError, match=r"^all 12 trials failed; the first: ValueError: cannot fit x = 7\.0$"):
        run(objectives.always_fail)
    assert run(objectives.Bowl()).resumed == 0


def test_what_breaks_every_trial_is_raised_and_not_recorded_as_a_failed_one(run, objectives):
    run(objectives.Bowl(), max_trials=3)
    with pytest.raises(StorageError, match="the training set is damaged"):
        run(objectives.broken_training_set)
    assert run(objectives.Bowl()).resumed == 3


def test_a_worker_killed_in_the_middle_changes_nothing(run, objectives, tmp_path):
    with make_executor("local:2") as executor:
        result = run(objectives.KilledBowl(tmp_path / "calls", 5), executor=executor)
    assert course(result) == course(run(objectives.Bowl(), folder="whole"))


def test_an_error_of_the_caller_stops_the_search_and_the_next_one_goes_on(run, objectives):
    class Full(Exception):
        pass

    def full(trial):
        raise Full

    seen = type("Notes", (), {"append": staticmethod(full)})()
    with pytest.raises(Full):
        run(objectives.Bowl(), seen=seen)
    assert run(objectives.Bowl()).resumed == 1
