"""What one caller may ask of the server: how often, how much at once, and how slowly.

The token bucket is our own: it costs a microsecond and is done in a dozen lines, where the `limits` library would bring
storages, strategies and a lock for one process that keeps its counts in memory.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from mlops_assets.serving.errors import ApiError

BURST_SECONDS = 2  # so many seconds' worth of requests may come at once
_MOST_CALLERS = 10_000
_MOST_BODIES = 4  # so many bodies of the largest size may be in memory at once
_CLOSE = ((b"connection", b"close"),)  # what follows on the connection is the rest of the refused body


class RateLimit:
    """A token bucket for each caller; `rate` is requests a second, 0 for no limit."""

    def __init__(self, rate: float, clock: Callable[[], float] = monotonic) -> None:
        self.rate = rate
        self._capacity = max(1.0, rate * BURST_SECONDS)
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, and when they were counted

    def admit(self, caller: str, cost: float = 1.0) -> None:
        """Take a token, or the part of one that it costs; raises ApiError, with the seconds to wait, without one."""
        if not self.rate:
            return
        now = self._clock()
        tokens, counted = self._buckets.get(caller, (self._capacity, now))
        tokens = min(self._capacity, tokens + (now - counted) * self.rate)
        admitted = tokens >= cost
        self._buckets[caller] = (tokens - cost if admitted else tokens, now)
        self._buckets.move_to_end(caller)
        if len(self._buckets) > _MOST_CALLERS:
            self._buckets.popitem(last=False)
        if not admitted:
            wait = math.ceil((cost - tokens) / self.rate)
            message = f"more than {self.rate:g} requests a second: try again in {wait} s"
            raise ApiError(429, "too_many_requests", message, headers=((b"retry-after", b"%d" % wait),))


class Bodies:
    """Reads bodies of requests: none larger than `most` bytes or slower than `seconds`, nor too many at once."""

    def __init__(self, most: int, seconds: float) -> None:
        self.most, self._seconds = most, seconds
        self._held = 0

    async def read(self, headers: dict[bytes, bytes], receive: Receive, most: int | None = None) -> bytes:
        """The body, which counts as held until `release`; raises ApiError. `most`: where it may only be smaller."""
        most = min(most or self.most, self.most)
        if b"content-encoding" in headers:
            raise ApiError(415, "unsupported_encoding", "send the body without Content-Encoding", headers=_CLOSE)
        announced = headers.get(b"content-length", b"")
        if announced.isdigit() and int(announced) > most:
            raise _too_large(most)
        parts, size = [], 0
        try:
            async with asyncio.timeout(self._seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ClientDisconnect
                    part = message.get("body", b"")
                    parts.append(part)
                    size += len(part)
                    self._held += len(part)
                    if size > most:
                        raise _too_large(most)
                    if self._held > _MOST_BODIES * self.most:
                        later = ((b"retry-after", b"1"), *_CLOSE)
                        raise ApiError(503, "busy", "too many large requests at once: try again", headers=later)
                    if not message.get("more_body"):
                        return parts[0] if len(parts) == 1 else b"".join(parts)
        except TimeoutError:
            self._held -= size
            text = f"the body did not arrive within {self._seconds:g} s"
            raise ApiError(408, "too_slow", text, headers=_CLOSE) from None
        except BaseException:
            self._held -= size
            raise

    def release(self, body: bytes) -> None:
        self._held -= len(body)


def _too_large(most: int) -> ApiError:
    message = f"the body is larger than {most / 1e6:g} MB: send fewer rows at once"
    return ApiError(413, "too_large", message, headers=_CLOSE)


def replayed(body: bytes, receive: Receive) -> Receive:
    """`receive` of a request whose body was read already."""
    is_given = False

    async def give() -> Message:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return give
