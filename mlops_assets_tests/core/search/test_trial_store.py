"""The store keeps what was tried through kills, and forgets what belongs to another search."""

import pytest

from mlops_assets.core.search.trials import Trial, TrialStore

SEARCH = {"space": {"x": [1, 2]}, "seed": 7}


def make(number, **changes):
    values = {"params": {"x": float(number)}, "status": "ok", "loss": 0.5, "metrics": {"rmse": 0.5}}
    values |= {"seconds": 1.0, "rounds": None, "error": None}
    return Trial(number, **(values | changes))


@pytest.fixture
def reopened(tmp_path):
    """A function that opens the store as a new process would."""

    def open_it(search=SEARCH, warm_start=(), fingerprint="a"):
        store = TrialStore(tmp_path / "search", fingerprint)
        store.open(search, warm_start)
        return store

    return open_it


@pytest.fixture
def lines(tmp_path):
    return tmp_path / "search" / "trials.jsonl"


def test_trials_are_found_again_by_their_parameters(reopened):
    trials = [make(0, rounds=12), make(1, status="failed", loss=None, metrics={}, error="too much")]
    for trial in trials:
        reopened().add(trial, elapsed=3.5 * (trial.number + 1), estimator=None)
    store = reopened()
    assert [store.recorded(trial.params) for trial in trials] == trials
    assert (len(store), store.elapsed) == (2, 7.0)
    assert store.recorded({"x": 5.0}) is None


@pytest.mark.parametrize("lost", range(1, 60, 7))
def test_a_torn_last_line_is_dropped_and_the_store_goes_on(lost, reopened, lines):
    for number in range(3):
        reopened().add(make(number), elapsed=1.0, estimator=None)
    lines.write_bytes(lines.read_bytes()[:-lost])
    store = reopened()
    assert len(store) == 2
    store.add(make(2), elapsed=1.0, estimator=None)
    assert len(reopened()) == 3


def test_a_torn_header_begins_a_new_search(reopened, lines):
    reopened()
    lines.write_bytes(lines.read_bytes()[:10])
    assert len(reopened()) == 0
    reopened().add(make(0), elapsed=1.0, estimator=None)
    assert len(reopened()) == 1


@pytest.mark.parametrize("change", [{"search": SEARCH | {"seed": 8}}, {"fingerprint": "b"}])
def test_trials_of_another_search_are_forgotten_with_their_estimator(change, reopened):
    reopened().add(make(0), elapsed=9.0, estimator=b"fitted")
    store = reopened(**change)
    assert (len(store), store.elapsed, store.estimator({"x": 0.0})) == (0, 0.0, None)


def test_a_resumed_search_keeps_the_warm_start_it_began_with(tmp_path):
    store = TrialStore(tmp_path, "a")
    assert store.open(SEARCH, [{"x": 1.0}]) == [{"x": 1.0}]
    assert TrialStore(tmp_path, "a").open(SEARCH, [{"x": 2.0}]) == [{"x": 1.0}]


def test_only_the_estimator_that_is_asked_for_stays(reopened, tmp_path):
    store = reopened()
    for number in range(3):
        store.add(make(number), elapsed=1.0, estimator=f"fitted {number}".encode())
    store.drop_estimators_but({"x": 1.0})
    again = reopened()
    assert [again.estimator({"x": float(number)}) for number in range(3)] == [None, b"fitted 1", None]
    assert len(list((tmp_path / "search").iterdir())) == 2
