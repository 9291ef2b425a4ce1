"""A budget of CPU over several searches: kept within a trial, more for what promises more, and repeated from trials."""

import pytest

from mlops_assets.core.learners.search_spaces import Space
from mlops_assets.core.search.allotment import spread
from mlops_assets.core.search.executors import ThisProcess
from mlops_assets.core.search.trials import TrialStore
from mlops_assets.core.search.tuning import Search, SearchPlan
from mlops_assets.errors import ClusterUnreachable, ModelError

BOWL = Space.model_validate({"parameters": {"x": {"uniform": [0, 10]}}, "start": {"x": 7}})
TRIAL = 0.004  # CPU seconds of one
LONG = SearchPlan(max_trials=1000, seconds=600, patience=1000, seed=7, width=1, startup=1000)


@pytest.fixture
def searches(tmp_path, objectives):
    """A function that gives searches by name, the best floor last unless told otherwise."""

    def make(floors=(30, 20, 10, 0), *, folder="", space=BOWL, trial=TRIAL):
        return {
            f"floor {floor}": Search(
                objectives.Laborious(floor, trial),
                space,
                LONG,
                executor=ThisProcess(),
                store=TrialStore(tmp_path / f"{folder}{floor}", "a"),
                on_trial=lambda trial, *, resumed: None,
            )
            for floor in floors
        }

    return make


class Fixed:
    """A contender whose trials cost what they are said to, of one loss; `most` of them, or without an end."""

    def __init__(self, loss=1.0, cost=1.0, most=10**9, error=None):
        self.lowest_loss, self.cost, self.most, self.error = loss, cost, most, error
        self.trials, self.cpu_seconds = 0, 0.0

    @property
    def ended(self):
        return self.trials >= self.most

    def go_on(self, cpu_seconds):
        if self.error:
            raise self.error
        while not self.ended and (not self.trials or self.cpu_seconds < cpu_seconds):
            self.trials += 1
            self.cpu_seconds += self.cost


def trials_of(contenders, budget):
    spread(contenders, budget)
    return [contender.trials for contender in contenders.values()]


def test_a_budget_is_kept_within_one_trial_and_the_better_the_type_the_more_it_gets(searches):
    four, budget = searches(), 60 * TRIAL
    assert spread(four, budget) == {}
    used = sum(search.cpu_seconds for search in four.values())
    longest = max(trial.cpu_seconds for search in four.values() for trial in search.trials)
    assert budget <= used < budget + longest
    counts = [len(search.trials) for search in four.values()]
    assert counts[0] < counts[2] < counts[3] and sum(counts[:2]) < counts[3]


def test_what_was_decided_is_decided_again_from_recorded_trials(searches, objectives):
    first = searches()
    spread(first, 20 * TRIAL)
    again = searches(trial=1000)  # to fit one anew would be noticed
    spread(again, 20 * TRIAL)
    assert [search.trials for search in again.values()] == [search.trials for search in first.values()]
    assert all(len(search.resumed) == len(search.trials) for search in again.values())


def test_trials_are_those_that_a_search_of_as_many_makes(searches, objectives):
    spread(parts := searches((0, 1)), 20 * TRIAL)
    whole = searches((0, 1), folder="whole")
    for name, search in whole.items():
        search.plan = SearchPlan(len(parts[name].trials), 600, 1000, seed=7, width=1, startup=1000)
        search.go_on()
        assert [trial.params for trial in search.trials] == [trial.params for trial in parts[name].trials]


@pytest.mark.parametrize(
    ("budget", "trials"),
    [
        (0.5, [1, 1, 1, 1]),  # each is tried, whatever it costs
        (4, [1, 1, 1, 1]),
        (12, [1, 1, 3, 7]),
        (120, [10, 10, 30, 70]),
    ],
)
def test_each_rung_has_the_same_share(budget, trials):
    assert trials_of({str(loss): Fixed(loss) for loss in (4, 3, 2, 1)}, budget) == trials


def test_one_type_alone_gets_all():
    assert trials_of({"only": Fixed()}, 7) == [7]


def test_what_a_search_that_has_ended_leaves_goes_to_the_others():
    assert trials_of({"second": Fixed(2), "first": Fixed(1, most=3)}, 20) == [17, 3]
    assert trials_of({"second": Fixed(2, most=2), "first": Fixed(1, most=3)}, 20) == [2, 3]


def test_a_costly_trial_is_paid_by_its_own_type_and_by_what_is_left():
    assert trials_of({"dear": Fixed(2, cost=9), "cheap": Fixed(1)}, 20) == [1, 11]


def test_a_type_that_cannot_be_fitted_leaves_its_share_to_the_others():
    contenders = {"broken": Fixed(error=ModelError("no such class")), "whole": Fixed()}
    assert spread(contenders, 8) == {"broken": "no such class"}
    assert contenders["whole"].trials == 8


def test_a_cluster_that_is_gone_is_no_fault_of_a_type():
    with pytest.raises(ClusterUnreachable):
        spread({"one": Fixed(error=ClusterUnreachable("gone")), "other": Fixed()}, 8)
