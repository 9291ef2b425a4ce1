"""`POST /predict`: one row or a list of them, answered by the champion."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from starlette.types import Receive, Scope, Send

from mlops_assets.backend.answers import answer_body, row_answer
from mlops_assets.backend.answers_log import AnswersLog
from mlops_assets.backend.batching import Batcher
from mlops_assets.backend.bodies import parse_rows, require_json
from mlops_assets.backend.champion import Champion
from mlops_assets.backend.errors import ApiError, send_json
from mlops_assets.backend.limits import Bodies
from mlops_assets.backend.log_process import Answered
from mlops_assets.backend.metrics import Metrics
from mlops_assets.backend.predictor import Predictor
from mlops_assets.core.columns import from_rows

if TYPE_CHECKING:
    from mlops_assets.core.answers import Answers

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
