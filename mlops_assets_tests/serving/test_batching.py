"""Micro-batching: what is queued goes into one call, each request gets its own rows, and its own failure."""

import asyncio
from types import SimpleNamespace

import numpy as np
import pytest

from mlops_assets.core.model.answers import Answers
from mlops_assets.serving.predict import MOST_ROWS, Batcher


def champion(calls, factor=1.0):
    """One whose model multiplies x, and fails where it is negative."""

    def answer(columns):
        calls.append(len(columns["x"]))
        if (columns["x"] < 0).any():
            raise ValueError("negative")
        return Answers(columns["x"] * factor, columns["x"], columns["x"], {}, {})

    return SimpleNamespace(model=SimpleNamespace(answer=answer))


def columns(*values):
    return {"x": np.array(values, float)}


async def asked(batcher, *requests):
    """The predictions of requests that are submitted at the same time."""
    futures = [batcher.submit(champion, columns(*values), len(values)) for champion, values in requests]
    places = await asyncio.gather(*futures, return_exceptions=True)
    return [
        place if isinstance(place, Exception) else place.answers.prediction[place.start : place.stop].tolist()
        for place in places
    ]


def run(*requests):
    sizes = []
    return asyncio.run(asked(Batcher(sizes.append), *requests)), sizes


def test_requests_that_wait_are_answered_by_one_call_each_with_its_own_rows():
    calls = []
    one = champion(calls, 2.0)
    answers, sizes = run((one, [1]), (one, [2, 3]), (one, [4]))
    assert answers == [[2], [4, 6], [8]]
    assert calls == sizes == [4]


def test_a_request_on_its_own_does_not_wait_for_others():
    calls = []
    assert run((champion(calls), [5]))[0] == [[5]]
    assert calls == [1]


def test_no_call_has_more_rows_than_the_event_loop_should_wait_for():
    calls = []
    one = champion(calls)
    answers, _ = run(*((one, [float(number)]) for number in range(600)))
    assert answers == [[number] for number in range(600)]
    assert calls == [MOST_ROWS, MOST_ROWS, 600 - 2 * MOST_ROWS]


def test_a_request_is_answered_by_the_champion_that_it_was_given_to():
    calls, others = [], []
    one, other = champion(calls, 1.0), champion(others, 10.0)
    answers, _ = run((one, [1]), (other, [2]), (other, [3]), (one, [4]))
    assert answers == [[1], [20], [30], [4]]
    assert (calls, others) == ([1, 1], [2])


def test_a_failure_is_that_of_its_own_request():
    calls = []
    one = champion(calls)
    answers, _ = run((one, [1]), (one, [-1]), (one, [3]))
    assert answers[0] == [1] and answers[2] == [3]
    assert isinstance(answers[1], ValueError)


def test_a_caller_that_has_gone_disturbs_nobody():
    calls = []
    one = champion(calls)

    async def two():
        batcher = Batcher(lambda rows: None)
        gone, stays = batcher.submit(one, columns(1), 1), batcher.submit(one, columns(2), 1)
        gone.cancel()
        return (await stays).answers.prediction[1]

    assert asyncio.run(two()) == 2


@pytest.mark.parametrize("first", [1, -1])
def test_it_goes_on_after_every_outcome(first):
    calls = []
    one = champion(calls)

    async def twice():
        batcher = Batcher(lambda rows: None)
        await asked(batcher, (one, [first]))
        return await asked(batcher, (one, [7]))

    assert asyncio.run(twice()) == [[7]]
