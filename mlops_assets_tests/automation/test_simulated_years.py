"""Retraining as a state machine: whatever happens, in whatever order, what the docs promise holds."""

from datetime import timedelta

import pytest
from hypothesis import settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from hypothesis.strategies import booleans, integers, sampled_from

from mlops_assets_tests.automation.planted_bugs import BUGS
from mlops_assets_tests.automation.simulated_events import CLOCK, MOODS, PLACES, history
from mlops_assets_tests.automation.simulated_world import Broken, World, quick
from mlops_assets_tests.properties import DRAWN

SMALL = integers(0, 8)


class Years(RuleBasedStateMachine):
    """People, periods and misfortune are the rules; after each the invariants hold, and in the end nothing is lost."""

    @initialize(periods=integers(0, 4), lazy=booleans())
    def begins(self, periods, lazy):
        self.world = World()
        self.world.lazy = lazy
        for _ in range(periods):
            self.world.period_arrives()

    @rule(rounds=integers(1, 12))
    def time_goes_by(self, rounds):
        self.world.go_on(rounds)

    @rule(hours=integers(1, 30))
    def hours_go_by(self, hours):
        for _ in range(3):
            self.world.go_on(seconds=hours * 1_200)

    @rule()
    def a_period_arrives(self):
        self.world.period_arrives()

    @rule(period=SMALL, bad=booleans())
    def a_period_changes(self, period, bad):
        self.world.period_changes(period, bad)

    @rule(who=sampled_from(["worker", "worker", "daemon", "umbrella", "workers"]), effects=SMALL)
    def somebody_dies(self, who, effects):
        self.world.die(who, effects)

    @precondition(lambda self: not self.world.daemon_lives)
    @rule()
    def the_daemon_is_started(self):
        self.world.daemon(lives=True)

    @rule(place=sampled_from(PLACES), away=booleans())
    def a_place_goes_or_comes(self, place, away):
        self.world.place(place, away)

    @rule(on=booleans())
    def somebody_turns_the_sensor(self, on):
        self.world.sensor(on)

    @rule()
    def two_ticks_come_at_once(self):
        self.world.ticks = 2
        self.world.go_on()

    @rule(rounds=integers(1, 4))
    def a_worker_is_slow(self, rounds):
        self.world.next_dawdles = rounds
        self.world.go_on(2)

    @rule()
    def somebody_retrains(self):
        self.world.somebody_retrains()

    @rule(number=SMALL)
    def somebody_cancels(self, number):
        self.world.somebody_cancels(number)

    @rule()
    def somebody_rolls_back(self):
        self.world.somebody_rolls_back()

    @rule(number=SMALL)
    def somebody_moves_the_alias(self, number):
        self.world.somebody_moves_the_alias(number)

    @rule(number=integers(0, 99))
    def somebody_removes_a_file(self, number):
        self.world.somebody_removes_a_file(number)

    @rule(minutes=sampled_from(CLOCK))
    def somebody_sets_the_clock(self, minutes):
        self.world.clock_moves(timedelta(minutes=minutes))

    @rule(mood=sampled_from(MOODS), second=booleans())
    def mail_is_sent(self, mood, second):
        self.world.post.mood = mood
        (self.world.two_mail if second else self.world.mail)()

    @rule()
    def rows_are_predicted_online(self):
        self.world.rows_are_predicted_online()

    @invariant()
    def what_must_hold_at_any_time_does(self):
        if hasattr(self, "world"):
            self.world.check()

    def teardown(self):
        if hasattr(self, "world"):
            self.world.calm()


def test_no_period_is_lost_and_nothing_is_made_or_told_twice_whatever_happens():
    with quick():
        steps = settings(DRAWN, max_examples=150, stateful_step_count=25)
        run_state_machine_as_test(Years, settings=steps)


def test_what_is_remembered_changes_no_history():
    with quick():
        remembered = [history(f"remembered/{number}").story for number in range(3)]
    with quick(remember=False):
        assert [history(f"remembered/{number}").story for number in range(3)] == remembered


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.what)
def test_every_planted_bug_still_fits_the_code(bug):
    with bug.planted():
        pass


def test_a_planted_bug_is_found_with_its_story():
    (bug,) = [bug for bug in BUGS if bug.what == "a retry has the run key of the first try"]
    with bug.planted(), quick(), pytest.raises(Broken) as broken:
        for number in range(20):
            history(f"planted/{number}")
    assert "retraining launches" in broken.value.__notes__[1]
