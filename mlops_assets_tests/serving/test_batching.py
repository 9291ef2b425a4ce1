"""Micro-batching: what is queued goes into one call, each request gets its own rows, and its own failure."""

import asyncio
from types import SimpleNamespace

import pytest

from mlops_assets.core.model.answers import Answer
from mlops_assets.serving.predict import MOST_ROWS, Batcher


def champion(calls, factor=1.0):
    """One whose model multiplies x, and fails where it is negative."""

    def answer_each(rows):
        calls.append(len(rows))
        if any(row["x"] < 0 for row in rows):
            raise ValueError("negative")
        return [Answer(row["x"] * factor, row["x"], row["x"], [], [], []) for row in rows]

    return SimpleNamespace(model=SimpleNamespace(answer_each=answer_each))


def rows(*values):
    return [{"x": value} for value in values]


async def asked(batcher, *requests):
    """The predictions of requests that are submitted at the same time."""
    futures = [batcher.submit(champion, rows(*values)) for champion, values in requests]
    outcomes = await asyncio.gather(*futures, return_exceptions=True)
    return [
        outcome if isinstance(outcome, Exception) else [answer.prediction for answer in outcome] for outcome in outcomes
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
        gone, stays = batcher.submit(one, rows(1)), batcher.submit(one, rows(2))
        gone.cancel()
        return (await stays)[0].prediction

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
