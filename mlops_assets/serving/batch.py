"""`POST /predict/batch`: a table of rows, answered chunk by chunk by the champion, in the format that is asked for."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from mlops_assets.core.columns import Columns, length, refuse_long_texts, take
from mlops_assets.serving.errors import ApiError
from mlops_assets.serving.json_rows import content_type
from mlops_assets.serving.limits import Bodies
from mlops_assets.serving.metrics import Metrics
from mlops_assets.serving.predictor import Champion, Predictor
from mlops_assets.serving.table_formats import FORMATS, ArrowWriter, JsonWriter, answer_format, new_writer, read_columns

if TYPE_CHECKING:
    from mlops_assets.core.model.answers import Answers

PATH = "/predict/batch"
CHUNK_ROWS = 8_192


@dataclass(frozen=True)
class PredictBatch:
    """An ASGI endpoint. `workers` do the work: as many chunks at a time as there are of them."""

    predictor: Predictor
    bodies: Bodies
    metrics: Metrics
    workers: Executor
    width: int
    most_rows: int
    seconds: float

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        champion = self.predictor.champion
        headers = scope["header_map"]
        sent = content_type(headers)
        if sent not in FORMATS:
            raise ApiError(415, "unsupported_media_type", f"send one of {', '.join(FORMATS)} as Content-Type")
        answered_as = answer_format(headers.get(b"accept", b"").decode("latin-1"), sent)
        body = await self.bodies.read(headers, receive)
        try:
            columns = await self._columns(champion, body, sent)
        finally:
            self.bodies.release(body)
        rows = length(columns)
        writer = new_writer(answered_as, _shared(champion, rows, scope["request_id"]), champion.model.kind.columns)
        # All rows are checked by now: once the answer has begun it can no longer become an error.
        response = StreamingResponse(self._chunks(champion, columns, writer), media_type=answered_as)
        response.headers["x-model-version"] = str(champion.number)
        await response(scope, receive, self._patient(send))
        self.metrics.predicted_in_batch.inc(rows)

    async def _columns(self, champion: Champion, body: bytes, sent: str) -> Columns:
        arguments = champion, body, sent, self.most_rows
        reading = asyncio.get_running_loop().run_in_executor(self.workers, _read, *arguments)
        try:
            return await asyncio.wait_for(reading, self.seconds)
        except TimeoutError:
            message = f"the rows were not read within {self.seconds:g} s: send fewer at once"
            raise ApiError(503, "too_slow", message) from None

    async def _chunks(
        self, champion: Champion, columns: Columns, writer: JsonWriter | ArrowWriter
    ) -> AsyncIterator[bytes]:
        loop, rows = asyncio.get_running_loop(), length(columns)
        ahead: deque[asyncio.Future[Answers]] = deque()
        for start in range(0, rows, CHUNK_ROWS):
            part = take(columns, slice(start, start + CHUNK_ROWS))
            ahead.append(loop.run_in_executor(self.workers, champion.model.answer, part))
            if len(ahead) > self.width:
                yield writer.add(await ahead.popleft())
        while ahead:
            yield writer.add(await ahead.popleft())
        yield writer.end()

    def _patient(self, send: Send) -> Send:
        """`send`, but for no longer than the timeout where nobody takes what is sent."""

        async def send_in_time(message: Any) -> None:
            await asyncio.wait_for(send(message), self.seconds)

        return send_in_time


def _read(champion: Champion, body: bytes, sent: str, most_rows: int) -> Columns:
    """Columns that the champion can answer; raises ApiError and InputError."""
    columns = read_columns(body, sent, champion.model.spec, most_rows)
    refuse_long_texts(columns)
    champion.model.refuse_incomplete(columns)
    return columns


def _shared(champion: Champion, rows: int, request_id: str) -> dict[str, Any]:
    """What the answer says beside its rows."""
    return {
        "rows": rows,
        "unit": champion.unit,
        "coverage": champion.model.coverage,
        "model": champion.card,
        "request_id": request_id,
    }
