"""Retries, and errors that carry nothing behind them."""

import traceback

import pytest

from mlops_assets.errors import BadTable, SourceError, SourceUnreachable
from mlops_assets.sources.retries import LONGEST_WAIT, Retry, Temporary, without_chain


def attempts(*outcomes):
    """A function that raises or returns one outcome a call."""
    script = iter(outcomes)

    def attempt():
        outcome = next(script)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return attempt


def test_a_failure_that_passes_is_tried_again_after_growing_waits(waits):
    attempt = attempts(Temporary("a"), Temporary("b"), Temporary("c"), "rows")
    assert Retry(3, waits.append).call(attempt, "the server", "wait") == "rows"
    assert 0.25 <= waits[0] <= 0.75 and 0.5 <= waits[1] <= 1.5 and 1 <= waits[2] <= 3


def test_a_failure_that_stays_is_unreachable_and_says_what_to_do(waits):
    attempt = attempts(Temporary("answered 502"), Temporary("answered 503"))
    with pytest.raises(
        SourceUnreachable, match=r"^period 2024-01: x.org answered 503 \(tries: 2\): check the address$"
    ):
        Retry(1, waits.append).call(attempt, "period 2024-01: x.org", "check the address")
    assert len(waits) == 1


def test_the_wait_that_a_server_asks_for_is_kept_up_to_a_bound(waits):
    attempt = attempts(Temporary("busy", after=7), Temporary("busy", after=86_400), "rows")
    assert Retry(2, waits.append).call(attempt, "the server", "wait") == "rows"
    assert waits == [7, LONGEST_WAIT]


def test_other_errors_are_not_tried_again(waits):
    with pytest.raises(BadTable):
        Retry(3, waits.append).call(attempts(BadTable("damaged")), "the server", "wait")
    assert waits == []


def test_an_error_leaves_without_the_errors_behind_it():
    @without_chain
    def read():
        try:
            raise KeyError("hidden_name")
        except KeyError:
            raise BadTable("column at is missing") from None

    with pytest.raises(BadTable, match="column at is missing") as caught:
        read()
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_an_unforeseen_error_keeps_its_traceback_and_loses_its_text():
    @without_chain
    def read():
        return {}["hidden_name".upper()]

    with pytest.raises(SourceError, match="unforeseen KeyError") as caught:
        read()
    text = "".join(traceback.format_exception(caught.value))
    assert "in read" in text
    assert "HIDDEN_NAME" not in text
