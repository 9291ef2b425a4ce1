"""`POST /predict`: one row or a list of them, answered by the champion."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from starlette.types import Receive, Scope, Send

from mlops_assets.core.columns import Columns, concatenate, from_rows
from mlops_assets.serving.answer_log import AnswersLog
from mlops_assets.serving.errors import ApiError, send_json
from mlops_assets.serving.json_rows import answer_body, parse_rows, require_json, row_answer
from mlops_assets.serving.limits import Bodies
from mlops_assets.serving.log_process import Answered
from mlops_assets.serving.metrics import Metrics
from mlops_assets.serving.predictor import Champion, Predictor

if TYPE_CHECKING:
    from mlops_assets.core.model.answers import Answers


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


PATH = "/predict"
MOST_EXPLAINED = 1_000
_SMALL_BYTES, _SMALL_ROWS = 16_384, 64  # up to here a request is answered on the event loop
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True)
class Question:
    """What is asked, of whom, and under which id."""

    champion: Champion
    body: bytes
    explain: bool
    request_id: str


@dataclass(frozen=True)
class Predict:
    """A plain ASGI endpoint: what FastAPI does for each request would cost as much again.

    `workers` take what would hold the event loop for long.
    """

    predictor: Predictor
    bodies: Bodies
    batcher: Batcher
    answers_log: AnswersLog
    metrics: Metrics
    workers: Executor
    most_rows: int
    seconds: float

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        champion = self.predictor.champion
        headers = scope["header_map"]
        require_json(headers)
        explain = bool(scope["query_string"]) and _explain(scope["query_string"])
        body = await self.bodies.read(headers, receive)
        try:
            question = Question(champion, body, explain, scope["request_id"])
            await send_json(send, await self._answer(question))
        finally:
            self.bodies.release(body)

    async def _answer(self, question: Question) -> bytes:
        if not question.explain and len(question.body) <= _SMALL_BYTES:
            rows, is_list = parse_rows(question.body, self.most_rows)
            if len(rows) <= _SMALL_ROWS:
                return await self._answer_few(question, rows, is_list)
        loop = asyncio.get_running_loop()
        answering = loop.run_in_executor(self.workers, self.answer_many, question)
        try:
            return await asyncio.wait_for(answering, self.seconds)
        except TimeoutError:
            message = f"the answer took longer than {self.seconds:g} s: send fewer rows at once"
            raise ApiError(503, "too_slow", message) from None

    async def _answer_few(self, question: Question, rows: Sequence[Mapping[str, Any]], is_list: bool) -> bytes:
        """By a call of the model that other requests share."""
        champion = question.champion
        columns = from_rows(rows, champion.model.spec)
        place = await self.batcher.submit(champion, columns, len(rows))
        answers = place.answers
        self._keep(question, rows, answers, place.start, place.stop)
        told = [row_answer(answers, row) for row in range(place.start, place.stop)]
        return answer_body({"predictions": told} if is_list else told[0], champion, question.request_id)

    def answer_many(self, question: Question) -> bytes:
        """By a call of the model of its own, in this thread; raises ApiError and InputError."""
        champion = question.champion
        rows, is_list = parse_rows(question.body, self.most_rows)
        if question.explain and len(rows) > MOST_EXPLAINED:
            message = f"{len(rows)} rows are more than {MOST_EXPLAINED}, which is the most that are explained at once"
            raise ApiError(413, "too_many_rows", message)
        columns = from_rows(rows, champion.model.spec)
        answers = champion.model.answer(columns)
        contributions = champion.model.contributions(columns) if question.explain and rows else None
        self._keep(question, rows, answers, 0, len(rows))
        told = [row_answer(answers, row, contributions) for row in range(len(rows))]
        return answer_body({"predictions": told} if is_list else told[0], champion, question.request_id)

    def _keep(
        self, question: Question, rows: Sequence[Mapping[str, Any]], answers: Answers, start: int, stop: int
    ) -> None:
        self.metrics.predicted.inc(len(rows))
        own = slice(start, stop)
        outputs = (numbers[own].tolist() for numbers in (answers.prediction, answers.low, answers.high))
        at, number = datetime.now(UTC), question.champion.number
        self.answers_log.put(Answered(question.request_id, at, number, rows, *outputs))


def _explain(query: bytes) -> bool:
    given = parse_qs(query.decode("latin-1")).get("explain", ["false"])[-1]
    if given.lower() not in _BOOLEANS:
        raise ApiError(422, "invalid_parameter", "explain must be true or false", field="explain")
    return _BOOLEANS[given.lower()]
