"""How far a retraining is: written to tags by its runs, and put together from them."""

from types import SimpleNamespace

import dagster as dg
import pytest

from mlops_assets.resources.progress import AT, PARTS, TELL_SECONDS, RunNotes, progress_in_words, retraining_at_work
from mlops_assets.run_tags import RETRAIN, RETRAINING, STARTED_BY, TASK


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def started(instance, job, **tags):
    run = dg.DagsterRun(job, tags=tags, status=dg.DagsterRunStatus.STARTED)
    return instance.add_run(run)


@pytest.mark.parametrize(
    ("retraining", "parts", "words"),
    [
        ({}, [], "looking at what is left"),
        ({PARTS: "1 of 9"}, [], "1 of 9 parts"),
        ({PARTS: "1 of 9"}, [{TASK: "champion_model"}], "1 of 9 parts, champion_model"),
        (
            {PARTS: "2 of 9"},
            [{TASK: "raw_data[2024-01...2024-03]", AT: "2 of 3"}],
            "2 of 9 parts, raw_data of 2024-01...2024-03, 2 of 3",
        ),
        (
            {PARTS: "18 of 27"},
            [{TASK: "sklearn_model[Ridge]"}, {TASK: "hyperparameters[XGBoost]", AT: "trial 7 of 10"}, {}],
            "18 of 27 parts, hyperparameters of XGBoost, trial 7 of 10 and sklearn_model of Ridge",
        ),
    ],
)
def test_tags_in_words(retraining, parts, words):
    assert progress_in_words(retraining, parts) == words


def test_a_retraining_is_known_by_its_job_and_told_by_its_parts(instance):
    assert retraining_at_work(instance) is None
    run_id = started(instance, RETRAIN, **{PARTS: "18 of 27", STARTED_BY: "schedule"}).run_id
    started(instance, "tune", **{RETRAINING: run_id, TASK: "hyperparameters[XGBoost]", AT: "trial 7 of 10"})
    started(instance, "tune", **{RETRAINING: "another", TASK: "hyperparameters[Lasso]"})
    at_work = retraining_at_work(instance)
    assert (at_work.run_id, at_work.started_by) == (run_id, "schedule")
    assert at_work.text == "18 of 27 parts, hyperparameters of XGBoost, trial 7 of 10"


def test_a_run_of_the_terminal_is_one_too(instance):
    tags = {PARTS: "3 of 9", STARTED_BY: "cli", TASK: "training_set"}
    run_id = started(instance, "build_training_set", **tags).run_id
    assert (retraining_at_work(instance).run_id, retraining_at_work(instance).text) == (
        run_id,
        "3 of 9 parts, training_set",
    )


def test_a_run_says_what_it_is_at_every_other_second_at_most(instance):
    now = [0.0]
    notes = RunNotes(lambda: now[0])
    first, second = (SimpleNamespace(instance=instance, run=started(instance, "tune")) for _ in range(2))

    def told(context):
        return instance.get_run_by_id(context.run.run_id).tags[AT]

    notes.tell(first, "trial 1 of 9")
    notes.tell(first, "trial 2 of 9")
    assert told(first) == "trial 1 of 9"
    now[0] = TELL_SECONDS
    notes.tell(first, "trial 3 of 9")
    assert told(first) == "trial 3 of 9"
    notes.tell(second, "trial 1 of 5")
    assert told(second) == "trial 1 of 5"
