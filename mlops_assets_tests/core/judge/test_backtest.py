"""Backtest policies on a lab that follows a script: when each fits anew, on what, and at whose cost."""

import json

import pytest

from mlops_assets.core.judge.backtest import (
    POLICIES,
    Score,
    by_month,
    check_months,
    choose_policies,
    rows,
    steps_of,
    summarise,
    table,
    walk,
)
from mlops_assets.errors import DataError, InputError

MONTHS = tuple(f"2024-{number:02}" for number in range(1, 9))
START = 3


class ScriptedLab:
    """Errors fall with the months learnt from and rise with their age; a fit costs 10 seconds a month."""

    def __init__(self, drifts=(), better=()):
        self.drifts, self.better = set(drifts), set(better)
        self.asked = []

    def score(self, learnt, month):
        self.asked.append((learnt, month))
        age = MONTHS.index(month) - MONTHS.index(learnt[-1])
        worse = 3 if month in self.drifts and learnt[-1] < month else 0
        return Score(rmse=10 - len(learnt) + age + worse, mae=1.0, rows=100)

    def cpu_seconds(self, learnt):
        return 10.0 * len(learnt)

    def has_drifted(self, learnt, month):
        assert month not in learnt
        return month in self.drifts

    def is_better(self, challenger, champion, month):
        assert month not in challenger and month not in champion
        return month in self.better


def steps(name, lab=None):
    return list(walk(POLICIES[name], MONTHS, START, lab or ScriptedLab(), margin=0.1))


@pytest.mark.parametrize("name", POLICIES)
def test_no_model_has_learnt_from_the_month_it_is_judged_by(name):
    lab = ScriptedLab(drifts=MONTHS[3:], better=MONTHS[3:])
    made = steps(name, lab)
    assert [step.month for step in made] == list(MONTHS[START:])
    assert all(step.learnt[-1] < step.month for step in made)
    assert all(learnt[-1] < month for learnt, month in lab.asked)


def test_never_fits_once_on_the_first_months():
    made = steps("never")
    assert {step.learnt for step in made} == {MONTHS[:START]}
    assert [step.fits for step in made] == [1, 0, 0, 0, 0]


@pytest.mark.parametrize(("name", "window"), [("window-1", 1), ("window-3", 3), ("window-6", 6), ("window-12", 12)])
def test_a_window_is_fitted_every_month_on_as_many_as_there_are(name, window):
    for place, step in enumerate(steps(name), start=START):
        assert step.learnt == MONTHS[max(0, place - window) : place]
        assert (step.fits, step.cpu_seconds) == (1, 10.0 * len(step.learnt))


def test_the_gate_fits_a_challenger_each_month_and_promotes_only_the_better_one():
    made = steps("gate", ScriptedLab(better=["2024-06"]))
    assert [step.retrained for step in made] == [True, False, False, True, False]
    assert made[3].learnt == MONTHS[:6]  # refitted with the month that judged
    assert [step.fits for step in made] == [1, 0, 1, 2, 0]  # no challenger twice, and none where it is the champion
    assert made[3].cpu_seconds == 10.0 * 5 + 10.0 * 6


def test_drift_fits_anew_where_a_drift_raised_the_error():
    made = steps("drift", ScriptedLab(drifts=["2024-05"]))
    assert [step.retrained for step in made] == [True, False, True, False, False]
    assert made[2].learnt == MONTHS[:5]
    assert made[2].fits == 2  # with the one that tells what was promised


def test_a_drift_that_costs_nothing_changes_nothing():
    lab = ScriptedLab(drifts=["2024-05"])
    lab.score = lambda learnt, month: Score(5.0, 1.0, 100)
    assert [step.retrained for step in steps("drift", lab)] == [True, False, False, False, False]


def test_a_summary_adds_up_what_a_policy_did():
    made = [step for name in POLICIES for step in steps(name, ScriptedLab(better=MONTHS, drifts=["2024-05"]))]
    summaries = {summary.policy.name: summary for summary in summarise(made)}
    assert list(summaries)[-1] == "never" or summaries["never"].rmse >= summaries["window-12"].rmse
    assert (summaries["never"].retrained, summaries["never"].fits, summaries["never"].cpu_seconds) == (0, 1, 30.0)
    assert summaries["window-12"].cpu_seconds == 10.0 * sum(range(3, 8))
    assert summaries["window-12"].retrained == 4
    worst = max(steps("window-1"), key=lambda step: step.score.rmse)
    assert summaries["window-1"].worst == max(worst.score.rmse, summaries["window-1"].worst)
    assert [summary.rmse for summary in summarise(made)] == sorted(summary.rmse for summary in summaries.values())


def test_steps_go_through_json_and_look_like_something():
    made = [*steps("never"), *steps("window-3")]
    again = steps_of(json.loads(json.dumps(rows(made))))
    assert [summary.rmse for summary in summarise(again)] == [summary.rmse for summary in summarise(made)]
    assert table(again) == table(made)
    assert "| window-3 | every month, on the last 3 |" in table(made)
    assert by_month(made, "minutes").startswith(b"<svg")


def test_policies_are_chosen_by_name_in_one_order():
    assert [policy.name for policy in choose_policies(["gate", "never"])] == ["never", "gate"]
    assert choose_policies([]) == tuple(POLICIES.values())
    with pytest.raises(InputError, match="weekly is no policy .policies: never, window-1"):
        choose_policies(["weekly"])


def test_too_few_months_are_told():
    check_months(MONTHS[:4], 3)
    with pytest.raises(DataError, match="3 month.s. are not enough for a backtest that begins with 3"):
        check_months(MONTHS[:3], 3)
