"""A connection of the server: who sends or takes too slowly is cut off, and there are only so many at once.

uvicorn has a time limit for what is idle between two requests, and none for a request that has begun. Bodies are read
by `limits.Bodies`, whose answer comes first; what stands here ends those that nobody reads.
"""

from __future__ import annotations

from asyncio.events import TimerHandle
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LARGEST_HEAD = 65_536  # bytes of request line and headers, and of what is no body around a body
_TIMES_FRAMED = 8  # the body, by which it may grow beyond that: a chunk of one byte takes six
LATER = 5.0  # seconds after a body's deadline, for the answer that says so
_ORDER = count()  # the loop's clock tells those of one turn not apart
_SLOW = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


@dataclass(frozen=True)
class Limits:
    """Seconds for the head of a request, for its body, and for the next part of an answer to be taken."""

    seconds: float
    connections: int

    def protocol(self) -> type[HttpToolsProtocol]:
        """What uvicorn makes for each connection: it takes a class, and calls it with arguments of its own."""
        return type("LimitedConnection", (Connection,), {"limits": self})


class Connection(HttpToolsProtocol):
    """uvicorn's connection with `limits`, which a subclass has (`Limits.protocol`)."""

    limits: Limits

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._arriving: TimerHandle | None = None  # until what arrives is complete
        self._leaving: TimerHandle | None = None  # until more of the answer can be written
        self._received = self._body = 0  # bytes since this request began
        self._is_silent = True  # nothing has come yet
        self.since = 0  # when something was last heard of it, in the order of all connections

    # What the event loop calls.

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.since = next(_ORDER)
        self._expect(self.limits.seconds, self._close_slow)
        if len(self.connections) > self.limits.connections:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        self._arrived()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        self._is_silent = False
        self.since = next(_ORDER)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._arriving is None:
            if self._is_idle:  # such as after an empty line, for which uvicorn forgets its own limit
                self._expect(self.limits.seconds, self._close_slow)
        elif self._received > LARGEST_HEAD + _TIMES_FRAMED * self._body:
            self._refuse(_LARGE)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._leaving = self._leaving or self.loop.call_later(self.limits.seconds, self.transport.abort)

    def resume_writing(self) -> None:
        if self._leaving:
            self._leaving.cancel()
            self._leaving = None
        super().resume_writing()

    # What the parser calls.

    def on_message_begin(self) -> None:
        self._received = self._body = 0
        self._expect(self.limits.seconds, self._close_slow)
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._expect(self.limits.seconds + LATER, self.transport.abort)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._arrived()
        super().on_message_complete()

    # What is done about it.

    @property
    def _is_idle(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _expect(self, seconds: float, otherwise: Callable[[], None]) -> None:
        self._arrived()
        self._arriving = self.loop.call_later(seconds, otherwise)

    def _arrived(self) -> None:
        if self._arriving:
            self._arriving.cancel()
            self._arriving = None

    def _close_slow(self) -> None:
        self._refuse(b"" if self._is_silent else _SLOW)

    def _refuse(self, answer: bytes) -> None:
        """Close the connection; with an answer, where none is under way."""
        if answer and self._is_idle:
            self.transport.write(answer)
            self.transport.close()
        else:
            self.transport.abort()

    def _make_room(self) -> None:
        """Close the connection that has been waiting for a request for longest; this one, where all are at work."""
        others = [other for other in self.connections if isinstance(other, Connection)]
        open_ones = [other for other in others if not other.transport.is_closing()]
        if len(open_ones) > self.limits.connections:
            idle = (other for other in open_ones if other._is_idle)
            min(idle, key=lambda other: other.since, default=self).transport.abort()
