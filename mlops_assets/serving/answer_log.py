"""What was answered waits here for the prediction log: for half a second, and never longer than its database likes."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from threading import Event, Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from mlops_assets.errors import MlopsError

if TYPE_CHECKING:
    from mlops_assets.serving.log_process import AnsweredRequest
    from mlops_assets.serving.metrics import Metrics

log = logging.getLogger(__name__)
PAUSE = 0.5  # seconds between writes
MOST_WAITING = 20_000  # rows; what comes on top is dropped
TRIES = 60  # to write the oldest request, before it is taken to be what the database refuses
_MOST_WRITTEN = 1_000  # rows a transaction, unless one request has more
_FORGET_SECONDS = 3600


class Writer(Protocol):
    """Where answers are kept. The methods raise MlopsError; `add` takes the same request twice, and keeps it once."""

    def add(self, part: Sequence[AnsweredRequest]) -> None: ...

    def forget(self, before: datetime) -> None: ...

    def close(self) -> None: ...


class AnswersLog:
    """Hands answers over to a writer, in a thread of its own.

    A database that is slow or down costs rows in the log, which are counted, and nothing else.
    """

    def __init__(self, writer: Writer, keep_days: float, metrics: Metrics) -> None:
        self._writer = writer
        self._keep_days = keep_days
        self._metrics = metrics
        self._waiting: deque[AnsweredRequest] = deque()
        self._rows = 0  # that wait
        self._lock = Lock()  # of these two
        self._stopping = Event()
        self._failures = 0  # since the last write that succeeded
        self._forget_at = 0.0
        self._thread = Thread(target=self._work, name="prediction log", daemon=True)

    @property
    def waiting_rows(self) -> int:
        return self._rows

    def start(self) -> None:
        self._thread.start()

    def put(self, answered: AnsweredRequest) -> None:
        """Take what was answered, or drop it where too much is waiting; never waits for the database."""
        count = len(answered.rows)
        with self._lock:
            fits = self._rows + count <= MOST_WAITING
            if fits:
                self._rows += count
                self._waiting.append(answered)
        if not fits:
            self._metrics.logged.labels("dropped").inc(count)

    def close(self, seconds: float) -> None:
        """Write what is left, for at most so many seconds."""
        self._stopping.set()
        self._thread.join(seconds)
        if self._rows:
            log.warning("%d answered rows are not in the prediction log: it did not take them in time", self._rows)

    def _work(self) -> None:
        while not self._stopping.wait(PAUSE):
            self.write()
            self.forget()
        self.write()
        self._writer.close()

    def write(self) -> None:
        """Write all that waits; what the database does not take waits on."""
        self._metrics.log_queue.set(self._rows)
        while part := self._next_part():
            try:
                self._writer.add(part)
            except MlopsError as error:
                self._complain(error)
                if self._failures < TRIES:
                    return
                self._done(part, "dropped")
            else:
                self._done(part, "written")

    def forget(self) -> None:
        """Once an hour, remove what is older than the settings keep it."""
        if not self._keep_days or monotonic() < self._forget_at:
            return
        self._forget_at = monotonic() + _FORGET_SECONDS
        try:
            self._writer.forget(datetime.now(UTC) - timedelta(days=self._keep_days))
        except MlopsError as error:
            self._complain(error)

    def _next_part(self) -> list[AnsweredRequest]:
        """The oldest requests, as many as go into one transaction; one where the last write failed."""
        with self._lock:
            waiting = list(self._waiting)
        part: list[AnsweredRequest] = []
        rows = 0
        for answered in waiting:
            rows += len(answered.rows)
            if part and (self._failures or rows > _MOST_WRITTEN):
                break
            part.append(answered)
        return part

    def _done(self, part: Sequence[AnsweredRequest], outcome: str) -> None:
        self._failures = 0
        rows = sum(len(answered.rows) for answered in part)
        with self._lock:
            for _ in part:
                self._waiting.popleft()
            self._rows -= rows
        self._metrics.logged.labels(outcome).inc(rows)

    def _complain(self, error: MlopsError) -> None:
        """Once for each time that it stops working; the counters tell the rest."""
        if not self._failures:
            log.warning("the prediction log cannot be written: %s", error)
        self._failures += 1
