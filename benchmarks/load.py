"""A load client: connections that stay open, each of which asks again as soon as it is answered.

It must cost less than the servers it measures: requests are bytes made beforehand, and of an answer it looks at the
status and the length, unless versions are to be checked.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_LENGTH = b"content-length: "


@dataclass
class _Load:
    """What all connections ask, and what came of it. `expected`: by version, the prediction of each request."""

    requests: Sequence[bytes]
    expected: Mapping[int, Sequence[float]] | None
    end: float = 0.0
    seconds: list[float] = field(default_factory=list)
    failed: int = 0
    wrong: int = 0
    versions: dict[int, int] = field(default_factory=dict)

    def check(self, place: int, body: bytes) -> None:
        import orjson

        answer = orjson.loads(body)
        version = answer["model"]["version"]
        self.versions[version] = self.versions.get(version, 0) + 1
        right = self.expected[version][place]
        self.wrong += abs(answer["prediction"] - right) > 1e-9 * max(1.0, abs(right))


class _Connection(asyncio.Protocol):
    def __init__(self, load: _Load, place: int, done: asyncio.Future[None]) -> None:
        self._load, self._place, self._done = load, place % len(load.requests), done
        self._received = b""

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._ask()

    def connection_lost(self, error: Exception | None) -> None:
        if not self._done.done():
            self._load.failed += 1
            self._done.set_result(None)

    def data_received(self, data: bytes) -> None:
        received = self._received = self._received + data if self._received else data
        head = received.find(b"\r\n\r\n")
        if head < 0:
            return
        start = received[:head].lower().find(_LENGTH) + len(_LENGTH)
        length = int(received[start : received.find(b"\r", start)])
        if len(received) < head + 4 + length:
            return
        self._received = b""
        now = time.perf_counter()
        self._load.seconds.append(now - self._asked)
        if received[9:12] != b"200":
            self._load.failed += 1
        elif self._load.expected:
            self._load.check(self._place, received[head + 4 :])
        if now < self._load.end:
            self._ask()
        else:
            self._done.set_result(None)
            self._transport.close()

    def _ask(self) -> None:
        self._place = (self._place + 1) % len(self._load.requests)
        self._asked = time.perf_counter()
        self._transport.write(self._load.requests[self._place])


def drive(
    port: int,
    path: str,
    bodies: Sequence[str],
    clients: int,
    seconds: float,
    expected: Mapping[str, Sequence[float]] | None = None,
) -> dict[str, Any]:
    """Ask for so many seconds; requests a second, milliseconds at the middle and the end, failures, wrong answers."""
    import uvloop

    by_version = {int(version): values for version, values in expected.items()} if expected else None
    load = _Load([_request(path, body.encode()) for body in bodies], by_version)
    wall, cpu = uvloop.run(_drive(load, port, clients, seconds))
    ordered = sorted(load.seconds)
    return {
        "rate": len(ordered) / wall,
        "p50_ms": ordered[len(ordered) // 2] * 1000,
        "p99_ms": ordered[int(len(ordered) * 0.99)] * 1000,
        "requests": len(ordered),
        "failed": load.failed,
        "wrong": load.wrong,
        "versions": load.versions,
        "client_cpu": cpu,
    }


async def _drive(load: _Load, port: int, clients: int, seconds: float) -> tuple[float, float]:
    loop = asyncio.get_running_loop()
    started, cpu = time.perf_counter(), time.process_time()
    load.end = started + seconds
    ends = [loop.create_future() for _ in range(clients)]
    for place, end in enumerate(ends):
        await loop.create_connection(lambda place=place, end=end: _Connection(load, place, end), "127.0.0.1", port)
    await asyncio.gather(*ends)
    return time.perf_counter() - started, time.process_time() - cpu


def _request(path: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return f"{head}\r\n\r\n".encode() + body
