"""The next steps of a retraining, from tasks and runs."""

import json
from datetime import UTC, datetime, timedelta

import dagster as dg

from mlops_assets.assets.plan import Plan, Task
from mlops_assets.assets.registry import asset_graph
from mlops_assets.automation import retraining as automation
from mlops_assets.automation.retraining import ATTEMPTS, FINISHED, RETRAIN, RETRAINING, TASK
from mlops_assets.errors import SourceUnreachable
from mlops_assets.project import open_project

S = dg.DagsterRunStatus
ASKED_AT = datetime.now(UTC)
GRAPH = asset_graph(open_project({"MLOPS_MODEL_TYPES": "Ridge,Lasso,XGBoost"}))


class Tasks:
    """A plan whose tasks are given: names that are stale, the others up to date."""

    graph = GRAPH
    feeds = Plan.feeds

    def __init__(self, *stale, waiting=()):
        self.stale, self.waiting = stale, waiting

    def tasks(self, asset):
        periods, types = ("2024-01", "2024-02"), ("Ridge", "Lasso", "XGBoost")
        parts = {"raw_data": periods, "clean_data": periods, "predictions": periods, "hyperparameters": types}
        parts |= {"model_performance": periods, "drift_report": periods}
        parts["sklearn_model"] = types[:2]
        return [self._task(asset, part) for part in parts.get(asset, (None,))]

    def _task(self, asset, part):
        name = Task(asset, part, ()).name
        waits = "not there" if name in self.waiting else None
        return Task(asset, part, ("changed",) if name in self.stale else (), waits)


def ran(instance, task, status, times=1):
    for _ in range(times):
        instance.add_run(dg.DagsterRun(job_name="part", status=status, tags={RETRAINING: "r", TASK: task}))


def look(instance, plan, retraining):
    return automation.outlook_of(instance, plan, retraining, ASKED_AT)


def steps(outlook):
    return [step.task.name for step in outlook.steps]


def done(instance):
    """What every retraining makes has been made."""
    ran(instance, "training_set", S.SUCCESS)
    ran(instance, "champion_model", S.SUCCESS)


def test_a_new_period_is_ingested_before_anything_that_stands_on_it(instance):
    outlook = look(instance, Tasks("raw_data[2024-02]", "clean_data[2024-02]", "training_set"), "r")
    assert steps(outlook) == ["raw_data[2024-02]"]
    assert not outlook.finished


def test_all_model_types_are_launched_side_by_side(instance):
    done(instance)
    stale = ("hyperparameters[Ridge]", "hyperparameters[Lasso]", "hyperparameters[XGBoost]", "sklearn_model[Ridge]")
    assert steps(look(instance, Tasks(*stale), "r")) == list(stale[:3])


def test_a_model_is_fitted_as_soon_as_its_own_search_is_done(instance):
    done(instance)
    ran(instance, "hyperparameters[Lasso]", S.STARTED)
    plan = Tasks("hyperparameters[Lasso]", "sklearn_model[Ridge]", "sklearn_model[Lasso]", "champion_model")
    outlook = look(instance, plan, "r")
    assert steps(outlook) == ["sklearn_model[Ridge]"]
    assert outlook.running == ("hyperparameters[Lasso]",)


def test_a_task_that_runs_is_not_launched_twice(instance):
    ran(instance, "training_set", S.STARTING)
    assert steps(look(instance, Tasks("training_set"), "r")) == []


def test_a_killed_run_is_tried_again_under_the_next_number(instance):
    ran(instance, "training_set", S.FAILURE)
    (step,) = look(instance, Tasks("training_set"), "r").steps
    assert (step.task.name, step.attempt) == ("training_set", 1)


def test_a_part_that_a_canceled_retraining_left_is_waited_for_and_not_made_beside_it(instance):
    tags = {RETRAINING: "another", TASK: "training_set"}
    run = instance.add_run(dg.DagsterRun(job_name="part", status=S.STARTED, tags=tags))
    assert look(instance, Tasks("training_set"), "r").running == ("training_set",)
    instance.report_run_failed(run)
    assert look(instance, Tasks("training_set"), "r").steps[0].attempt == 0


def test_a_period_that_changes_while_it_is_read_is_left_to_the_next_retraining(instance):
    ran(instance, "raw_data[2024-02]", S.SUCCESS)
    done(instance)
    assert steps(look(instance, Tasks("raw_data[2024-02]", "clean_data[2024-02]"), "r")) == ["clean_data[2024-02]"]


def test_a_source_that_is_away_for_minutes_ends_the_retraining_and_is_its_reason(instance):
    run = instance.add_run(dg.DagsterRun(job_name=RETRAIN, status=S.STARTED))
    source, now = automation.AskedSource(), datetime.now(UTC)

    def away(versions):
        raise SourceUnreachable("the source does not answer")

    def move(after):
        automation.next_move(instance, away, source, now + timedelta(seconds=after))
        return instance.get_run_by_id(run.run_id).tags.get(FINISHED)

    assert [move(0), move(automation.SOURCE_SECONDS - 1)] == [None, None]
    reason = automation.why_undecided(json.loads(move(automation.SOURCE_SECONDS)))
    assert reason == "the source cannot be asked: the source does not answer"


def test_runs_of_another_retraining_do_not_count(instance):
    ran(instance, "training_set", S.FAILURE, times=ATTEMPTS)
    assert look(instance, Tasks("training_set"), "another").steps[0].attempt == 0


def test_a_model_type_that_keeps_failing_stops_neither_the_others_nor_the_champion(instance):
    ran(instance, "training_set", S.SUCCESS)
    ran(instance, "hyperparameters[Lasso]", S.FAILURE, times=ATTEMPTS)
    outlook = look(instance, Tasks("hyperparameters[Lasso]", "sklearn_model[Lasso]", "champion_model"), "r")
    assert steps(outlook) == ["champion_model"]
    assert outlook.given_up == ("hyperparameters[Lasso]",)
    assert outlook.blocked == ("sklearn_model[Lasso]",)


def test_a_period_that_cannot_be_ingested_leaves_the_training_set_to_the_others(instance):
    ran(instance, "raw_data[2024-02]", S.FAILURE, times=ATTEMPTS)
    plan = Tasks("raw_data[2024-02]", "clean_data[2024-02]", "training_set", waiting=("clean_data[2024-02]",))
    assert steps(look(instance, plan, "r")) == ["training_set"]


def test_nothing_is_tuned_on_a_training_set_that_could_not_be_built(instance):
    ran(instance, "training_set", S.FAILURE, times=ATTEMPTS)
    ran(instance, "champion_model", S.SUCCESS)
    outlook = look(instance, Tasks("training_set", "hyperparameters[Ridge]", "sklearn_model[Ridge]"), "r")
    assert outlook.finished
    assert outlook.blocked == ("hyperparameters[Ridge]", "sklearn_model[Ridge]")


def test_training_set_and_champion_are_materialised_in_every_retraining_to_renew_their_freshness(instance):
    first = look(instance, Tasks(), "r")
    assert steps(first) == ["training_set"]
    ran(instance, "training_set", S.SUCCESS)
    assert steps(look(instance, Tasks(), "r")) == ["champion_model"]
    ran(instance, "champion_model", S.SUCCESS)
    assert look(instance, Tasks(), "r").finished


def test_a_retraining_that_waited_while_another_did_all_has_nothing_to_do(instance):
    for asset in ("training_set", "champion_model"):
        instance.report_runless_asset_event(dg.AssetMaterialization(asset))
    assert look(instance, Tasks(), "r").finished
    assert steps(look(instance, Tasks("champion_model"), "r")) == ["champion_model"]


def test_xgboost_waits_for_its_own_search_only(instance):
    done(instance)
    assert steps(look(instance, Tasks("hyperparameters[Ridge]", "xgboost_model"), "r")) == [
        "hyperparameters[Ridge]",
        "xgboost_model",
    ]


def test_performance_is_measured_once_however_many_rows_are_logged_meanwhile(instance):
    done(instance)
    task = "model_performance[2024-02]"
    assert steps(look(instance, Tasks(task), "r")) == [task]
    ran(instance, task, S.FAILURE)
    assert steps(look(instance, Tasks(task), "r")) == [task]
    ran(instance, task, S.SUCCESS)
    assert look(instance, Tasks(task), "r").finished


def test_performance_waits_for_the_predictions_of_its_period(instance):
    done(instance)
    plan = Tasks("predictions[2024-02]", "model_performance[2024-01]", "model_performance[2024-02]")
    assert steps(look(instance, plan, "r")) == ["predictions[2024-02]", "model_performance[2024-01]"]
