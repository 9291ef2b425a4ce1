"""Zero-wait micro-batching: whatever has come in by the time the event loop gets round to it is answered at once.

A call of the model costs about the same for one row and for fifty. Waiting for more rows would only add the wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlops_assets.backend.champion import Champion
from mlops_assets.core.columns import Columns, concatenate

if TYPE_CHECKING:
    from mlops_assets.core.answers import Answers

MOST_ROWS = 256  # a call, so that no call holds the event loop for long


@dataclass(frozen=True, eq=False)
class Place:
    """A request's rows among those that were answered together: `answers` from `start` to `stop`."""

    answers: Answers
    start: int
    stop: int


@dataclass(frozen=True, eq=False)
class _Waiting:
    champion: Champion
    columns: Columns
    rows: int
    answered: asyncio.Future[Place]


class Batcher:
    """Answers small requests together, on the event loop; handing them to a thread costs more than it gains.

    `observe` hears how many rows each call of a model had.
    """

    def __init__(self, observe: Callable[[int], None]) -> None:
        self._observe = observe
        self._waiting: deque[_Waiting] = deque()

    def submit(self, champion: Champion, columns: Columns, rows: int) -> asyncio.Future[Place]:
        """The future place of checked columns among this champion's answers; to be called on the event loop."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._answer_next)
        self._waiting.append(_Waiting(champion, columns, rows, loop.create_future()))
        return self._waiting[-1].answered

    def _answer_next(self) -> None:
        """Answer the oldest request, and those after it that go into the same call."""
        champion, taken, rows = self._waiting[0].champion, [], 0
        while self._waiting and self._waiting[0].champion is champion:
            rows += self._waiting[0].rows
            if taken and rows > MOST_ROWS:
                break
            taken.append(self._waiting.popleft())
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._answer_next)
        self._answer(champion, taken)

    def _answer(self, champion: Champion, taken: Sequence[_Waiting]) -> None:
        columns = taken[0].columns if len(taken) == 1 else concatenate([waiting.columns for waiting in taken])
        try:
            answers = champion.model.answer(columns)
        except Exception as error:
            if len(taken) == 1:
                _settle(taken[0], error)
            else:
                for waiting in taken:  # a request's failure is its own
                    self._answer(champion, [waiting])
            return
        self._observe(len(answers))
        start = 0
        for waiting in taken:
            _settle(waiting, Place(answers, start, start + waiting.rows))
            start += waiting.rows


def _settle(waiting: _Waiting, outcome: Place | Exception) -> None:
    if waiting.answered.done():  # the caller has gone
        return
    if isinstance(outcome, Exception):
        waiting.answered.set_exception(outcome)
    else:
        waiting.answered.set_result(outcome)
