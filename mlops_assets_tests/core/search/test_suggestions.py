"""Suggestions are fixed by the seed, never come twice, and get better as losses are told."""

import pytest

from mlops_assets.core.learners.search_spaces import Space
from mlops_assets.core.search.suggestions import make_suggester

BOWL = Space.model_validate({"parameters": {"x": {"uniform": [0, 10]}, "depth": {"integer": [1, 9]}}})
GRID = Space.model_validate(
    {"parameters": {"a": {"choice": [True, False]}, "b": {"integer": [1, 3]}, "c": {"fixed": "auto"}}}
)
WIDE = Space.model_validate({"parameters": {"a": {"integer": [1, 10]}, "b": {"integer": [1, 10]}}})


def loss(point):
    return (point["x"] - 3) ** 2 + abs(point["depth"] - 5) / 10


def run(space, n, *, seed=7, startup=5, first=(), loss=loss):
    suggester = make_suggester(space, seed=seed, startup=startup, first=list(first))
    points = []
    for number in range(n):
        point = suggester.next()
        if point is None:
            break
        points.append(point)
        suggester.tell(number, loss(point))
    return points


def test_the_search_is_seeded():
    assert run(BOWL, 12) == run(BOWL, 12)
    assert run(BOWL, 12) != run(BOWL, 12, seed=8)


def test_the_first_points_come_first_and_once():
    first = [{"x": 1.0, "depth": 2}, {"x": 1.0, "depth": 2}, {"x": 4.0, "depth": 5}]
    points = run(BOWL, 6, first=first)
    assert points[:3] == [first[0], first[2], points[2]]
    assert points.count(first[0]) == 1


def test_after_its_start_the_search_learns():
    learnt = sorted(loss(point) for point in run(BOWL, 40))[:10]
    at_random = sorted(loss(point) for point in run(BOWL, 40, startup=40))[:10]
    assert sum(learnt) < sum(at_random)


def test_the_first_point_after_the_start_depends_on_the_losses():
    points = [run(BOWL, 8, loss=by)[-1] for by in (loss, lambda point: -loss(point))]
    assert points[0] != points[1]


def test_points_in_flight_are_not_suggested_again():
    suggester = make_suggester(WIDE, seed=7, startup=2, first=[])
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


def test_a_countable_space_never_repeats_a_point():
    points = run(WIDE, 70, loss=lambda point: point["a"] + point["b"])
    assert len({tuple(point.values()) for point in points}) == 70


@pytest.mark.parametrize("failed", [0, 3, 11])
def test_a_failed_point_does_not_stop_the_search(failed):
    points = iter(range(100))
    assert len(run(BOWL, 14, loss=lambda point: None if next(points) == failed else loss(point))) == 14
