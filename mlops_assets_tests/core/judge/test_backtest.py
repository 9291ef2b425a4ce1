"""Backtest policies on a lab that follows a script: when each fits anew, on what, and at whose cost."""

import json

import pytest

from mlops_assets.core.judge.backtest import (
    POLICIES,
    Score,
    by_period,
    check_periods,
    choose_policies,
    rows,
    steps_of,
    summarise,
    table,
    walk,
)
from mlops_assets.errors import DataError, InputError

PERIODS = tuple(f"2024-{number:02}" for number in range(1, 9))
START = 3


class ScriptedLab:
    """Errors fall with the periods learnt from and rise with their age; a fit costs 10 seconds a period."""

    def __init__(self, drifts=(), better=()):
        self.drifts, self.better = set(drifts), set(better)
        self.asked = []

    def score(self, learnt, period):
        self.asked.append((learnt, period))
        age = PERIODS.index(period) - PERIODS.index(learnt[-1])
        worse = 3 if period in self.drifts and learnt[-1] < period else 0
        return Score(loss=10 - len(learnt) + age + worse, mae=1.0, rows=100)

    def cpu_seconds(self, learnt):
        return 10.0 * len(learnt)

    def has_drifted(self, learnt, period):
        assert period not in learnt
        return period in self.drifts

    def is_better(self, challenger, champion, period):
        assert period not in challenger and period not in champion
        return period in self.better


def steps(name, lab=None):
    return list(walk(POLICIES[name], PERIODS, START, lab or ScriptedLab(), margin=0.1))


@pytest.mark.parametrize("name", POLICIES)
def test_no_model_has_learnt_from_the_period_it_is_judged_by(name):
    lab = ScriptedLab(drifts=PERIODS[3:], better=PERIODS[3:])
    made = steps(name, lab)
    assert [step.period for step in made] == list(PERIODS[START:])
    assert all(step.learnt[-1] < step.period for step in made)
    assert all(learnt[-1] < period for learnt, period in lab.asked)


def test_never_fits_once_on_the_first_periods():
    made = steps("never")
    assert {step.learnt for step in made} == {PERIODS[:START]}
    assert [step.fits for step in made] == [1, 0, 0, 0, 0]


@pytest.mark.parametrize(("name", "window"), [("window-1", 1), ("window-3", 3), ("window-6", 6), ("window-12", 12)])
def test_a_window_is_fitted_every_period_on_as_many_as_there_are(name, window):
    for place, step in enumerate(steps(name), start=START):
        assert step.learnt == PERIODS[max(0, place - window) : place]
        assert (step.fits, step.cpu_seconds) == (1, 10.0 * len(step.learnt))


def test_the_gate_fits_a_challenger_each_period_and_promotes_only_the_better_one():
    made = steps("gate", ScriptedLab(better=["2024-06"]))
    assert [step.retrained for step in made] == [True, False, False, True, False]
    assert made[3].learnt == PERIODS[:6]  # refitted with the period that judged
    assert [step.fits for step in made] == [1, 0, 1, 2, 0]  # no challenger twice, and none where it is the champion
    assert made[3].cpu_seconds == 10.0 * 5 + 10.0 * 6


def test_drift_fits_anew_where_a_drift_raised_the_error():
    made = steps("drift", ScriptedLab(drifts=["2024-05"]))
    assert [step.retrained for step in made] == [True, False, True, False, False]
    assert made[2].learnt == PERIODS[:5]
    assert made[2].fits == 2  # with the one that tells what was promised


def test_a_drift_that_costs_nothing_changes_nothing():
    lab = ScriptedLab(drifts=["2024-05"])
    lab.score = lambda learnt, period: Score(5.0, 1.0, 100)
    assert [step.retrained for step in steps("drift", lab)] == [True, False, False, False, False]


def test_a_summary_adds_up_what_a_policy_did():
    made = [step for name in POLICIES for step in steps(name, ScriptedLab(better=PERIODS, drifts=["2024-05"]))]
    summaries = {summary.policy.name: summary for summary in summarise(made)}
    assert list(summaries)[-1] == "never" or summaries["never"].loss >= summaries["window-12"].loss
    assert (summaries["never"].retrained, summaries["never"].fits, summaries["never"].cpu_seconds) == (0, 1, 30.0)
    assert summaries["window-12"].cpu_seconds == 10.0 * sum(range(3, 8))
    assert summaries["window-12"].retrained == 4
    worst = max(steps("window-1"), key=lambda step: step.score.loss)
    assert summaries["window-1"].worst == max(worst.score.loss, summaries["window-1"].worst)
    assert [summary.loss for summary in summarise(made)] == sorted(summary.loss for summary in summaries.values())


def test_steps_go_through_json_and_look_like_something():
    made = [*steps("never"), *steps("window-3")]
    again = steps_of(json.loads(json.dumps(rows(made))))
    assert [summary.loss for summary in summarise(again)] == [summary.loss for summary in summarise(made)]
    assert table(again) == table(made)
    assert "| window-3 | every period, on the last 3 |" in table(made)
    assert by_period(made, "minutes").startswith(b"<svg")


def test_steps_of_an_earlier_release_are_read():
    now = rows(steps("never"))
    then = [row | {"month": row["period"]} for row in now]  # until 0.1
    for row in then:
        del row["period"]
    assert steps_of(then) == steps_of(now)


def test_policies_are_chosen_by_name_in_one_order():
    assert [policy.name for policy in choose_policies(["gate", "never"])] == ["never", "gate"]
    assert choose_policies([]) == tuple(POLICIES.values())
    with pytest.raises(InputError, match="weekly is no policy .policies: never, window-1"):
        choose_policies(["weekly"])


def test_too_few_periods_are_told():
    check_periods(PERIODS[:4], 3)
    with pytest.raises(DataError, match="3 period.s. are not enough for a backtest that begins with 3"):
        check_periods(PERIODS[:3], 3)
