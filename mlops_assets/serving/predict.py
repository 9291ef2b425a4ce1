"""`POST /predict`: one row or a list of them, answered by the champion; small requests are answered together."""

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

from mlops_assets.core.columns import Row, from_rows
from mlops_assets.core.model.answers import NUMBERS
from mlops_assets.serving.answer_log import AnswersLog
from mlops_assets.serving.errors import ApiError, send_json
from mlops_assets.serving.json_rows import answer_body, parse_rows, require_json, row_answer
from mlops_assets.serving.limits import Bodies
from mlops_assets.serving.log_process import AnsweredRequest
from mlops_assets.serving.metrics import Metrics
from mlops_assets.serving.predictor import Champion, Predictor

if TYPE_CHECKING:
    from mlops_assets.core.model.answers import Answer


PATH = "/predict"
MOST_EXPLAINED = 1_000
_SMALL_BYTES, _SMALL_ROWS = 16_384, 64  # up to here a request is answered on the event loop
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
MOST_ROWS = 256  # a call, so that no call holds the event loop for long


@dataclass(frozen=True)
class PredictRequest:
    """The body that is asked, of whom, whether with contributions, and under which id."""

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
            request = PredictRequest(champion, body, explain, scope["request_id"])
            await send_json(send, await self._answer(request))
        finally:
            self.bodies.release(body)

    async def _answer(self, request: PredictRequest) -> bytes:
        if not request.explain and len(request.body) <= _SMALL_BYTES:
            rows, is_list = parse_rows(request.body, self.most_rows)
            if len(rows) <= _SMALL_ROWS:
                return await self._answer_few(request, rows, is_list)
        loop = asyncio.get_running_loop()
        answering = loop.run_in_executor(self.workers, self.answer_many, request)
        try:
            return await asyncio.wait_for(answering, self.seconds)
        except TimeoutError:
            message = f"the answer took longer than {self.seconds:g} s: send fewer rows at once"
            raise ApiError(503, "too_slow", message) from None

    async def _answer_few(self, request: PredictRequest, rows: Sequence[Mapping[str, Any]], is_list: bool) -> bytes:
        """By a call of the model that other requests share."""
        champion = request.champion
        answers = await self.batcher.submit(champion, champion.model.row_scorer.read(rows))
        self._keep(request, rows, answers)
        predictions = [row_answer(answer) for answer in answers]
        answer = {"predictions": predictions} if is_list else predictions[0]
        return answer_body(answer, champion, request.request_id)

    def answer_many(self, request: PredictRequest) -> bytes:
        """By a call of the model of its own, in this thread; raises ApiError and InputError."""
        champion = request.champion
        rows, is_list = parse_rows(request.body, self.most_rows)
        if request.explain and len(rows) > MOST_EXPLAINED:
            message = f"{len(rows)} rows are more than {MOST_EXPLAINED}, which is the most that are explained at once"
            raise ApiError(413, "too_many_rows", message)
        columns = from_rows(rows, champion.model.spec)
        answers = champion.model.answer_complete(columns).rows()
        contributions = champion.model.contributions(columns) if request.explain and rows else None
        self._keep(request, rows, answers)
        predictions = [row_answer(answer, contributions, row) for row, answer in enumerate(answers)]
        answer = {"predictions": predictions} if is_list else predictions[0]
        return answer_body(answer, champion, request.request_id)

    def _keep(self, request: PredictRequest, rows: Sequence[Mapping[str, Any]], answers: Sequence[Answer]) -> None:
        self.metrics.predicted.inc(len(rows))
        outputs = ([getattr(answer, name) for answer in answers] for name in NUMBERS)
        at, number = datetime.now(UTC), request.champion.number
        self.answers_log.put(AnsweredRequest(request.request_id, at, number, rows, *outputs))


def _explain(query: bytes) -> bool:
    value = parse_qs(query.decode("latin-1")).get("explain", ["false"])[-1].lower()
    if value not in _BOOLEANS:
        raise ApiError(422, "invalid_parameter", "explain must be true or false", field="explain")
    return _BOOLEANS[value]


@dataclass(frozen=True, eq=False)
class _WaitingRequest:
    champion: Champion
    rows: Sequence[Row]
    answered: asyncio.Future[Sequence[Answer]]


class Batcher:
    """Answers small requests together, on the event loop; handing them to a thread costs more than it gains.

    `observe` hears how many rows each call of a model had.
    """

    def __init__(self, observe: Callable[[int], None]) -> None:
        self._observe = observe
        self._waiting: deque[_WaitingRequest] = deque()

    def submit(self, champion: Champion, rows: Sequence[Row]) -> asyncio.Future[Sequence[Answer]]:
        """What will be answered to checked rows by this champion; to be called on the event loop."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._answer_next)
        self._waiting.append(_WaitingRequest(champion, rows, loop.create_future()))
        return self._waiting[-1].answered

    def _answer_next(self) -> None:
        """Answer the oldest request, and those after it that go into the same call."""
        champion, rows = self._waiting[0].champion, 0
        together: list[_WaitingRequest] = []
        while self._waiting and self._waiting[0].champion is champion:
            rows += len(self._waiting[0].rows)
            if together and rows > MOST_ROWS:
                break
            together.append(self._waiting.popleft())
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._answer_next)
        self._answer(champion, together)

    def _answer(self, champion: Champion, together: Sequence[_WaitingRequest]) -> None:
        try:
            answers = champion.model.answer_each([row for waiting in together for row in waiting.rows])
        except Exception as error:
            if len(together) == 1:
                _settle(together[0], error)
            else:
                for waiting in together:  # a request's failure is its own
                    self._answer(champion, [waiting])
            return
        self._observe(len(answers))
        start = 0
        for waiting in together:
            _settle(waiting, answers[start : start + len(waiting.rows)])
            start += len(waiting.rows)


def _settle(waiting: _WaitingRequest, outcome: Sequence[Answer] | Exception) -> None:
    if waiting.answered.done():  # the caller has gone
        return
    if isinstance(outcome, Exception):
        waiting.answered.set_exception(outcome)
    else:
        waiting.answered.set_result(outcome)
