"""Suggestions are fixed by the seed, never come twice, and get better as losses are told."""

from typing import get_args

import pytest

from mlops_assets.core.learners.search_spaces import Space
from mlops_assets.core.search import suggestions
from mlops_assets.core.search.suggestions import SuggesterName, make_suggester
from mlops_assets.errors import SettingsError

NAMES = get_args(SuggesterName)

BOWL = Space.model_validate({"parameters": {"x": {"uniform": [0, 10]}, "depth": {"integer": [1, 9]}}})
GRID = Space.model_validate(
    {"parameters": {"a": {"choice": [True, False]}, "b": {"integer": [1, 3]}, "c": {"fixed": "auto"}}}
)
WIDE = Space.model_validate({"parameters": {"a": {"integer": [1, 10]}, "b": {"integer": [1, 10]}}})


def loss(point):
    return (point["x"] - 3) ** 2 + abs(point["depth"] - 5) / 10


def run(space, n, *, seed=7, startup=5, first=(), loss=loss, name="hyperopt"):
    suggester = make_suggester(space, seed=seed, startup=startup, first=list(first), name=name)
    points = []
    for number in range(n):
        point = suggester.next()
        if point is None:
            break
        points.append(point)
        suggester.tell(number, loss(point))
    return points


@pytest.mark.parametrize("name", NAMES)
def test_the_search_is_seeded(name):
    assert run(BOWL, 12, name=name) == run(BOWL, 12, name=name)
    assert run(BOWL, 12, name=name) != run(BOWL, 12, seed=8, name=name)


@pytest.mark.parametrize("name", NAMES)
def test_the_first_points_come_first_and_once(name):
    first = [{"x": 1.0, "depth": 2}, {"x": 1.0, "depth": 2}, {"x": 4.0, "depth": 5}]
    points = run(BOWL, 6, first=first, name=name)
    assert points[:3] == [first[0], first[2], points[2]]
    assert points.count(first[0]) == 1


@pytest.mark.parametrize("name", ["hyperopt", "optuna"])
def test_after_its_start_the_search_learns(name):
    learnt = sorted(loss(point) for point in run(BOWL, 40, name=name))[:10]
    at_random = sorted(loss(point) for point in run(BOWL, 40, name="random"))[:10]
    assert sum(learnt) < sum(at_random)


@pytest.mark.parametrize("name", NAMES)
def test_the_first_point_after_the_start_depends_on_the_losses_unless_it_is_random(name):
    points = [run(BOWL, 8, loss=by, name=name)[-1] for by in (loss, lambda point: -loss(point))]
    assert (points[0] == points[1]) == (name == "random")


def test_one_that_is_not_installed_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr(suggestions, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"optuna, which is not installed: pip install 'mlops-assets\[optuna\]'"):
        run(BOWL, 1, name="optuna")


@pytest.mark.parametrize("name", NAMES)
def test_points_in_flight_are_not_suggested_again(name):
    suggester = make_suggester(WIDE, seed=7, startup=2, first=[], name=name)
    points = [tuple(suggester.next().values()) for _ in range(20)]
    assert len(set(points)) == 20


def test_a_small_space_is_tried_whole_once_each_with_its_start_first():
    start = {"a": False, "b": 2, "c": "auto"}
    points = run(GRID, 99, first=[start], loss=lambda point: 0)
    assert points[0] == start
    assert sorted(map(repr, points)) == sorted(map(repr, GRID.points()))


def test_a_space_without_free_parameters_gives_one_point():
    assert run(Space(), 9, loss=lambda point: 0) == [{}]
    fixed = Space.model_validate({"parameters": {"a": {"fixed": 3}}})
    assert run(fixed, 9, loss=lambda point: 0) == [{"a": 3}]


@pytest.mark.parametrize("name", NAMES)
def test_a_countable_space_never_repeats_a_point(name):
    points = run(WIDE, 70, loss=lambda point: point["a"] + point["b"], name=name)
    assert len({tuple(point.values()) for point in points}) == 70


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("failed", [0, 3, 11])
def test_a_failed_point_does_not_stop_the_search(failed, name):
    points = iter(range(100))
    assert len(run(BOWL, 14, loss=lambda point: None if next(points) == failed else loss(point), name=name)) == 14
