"""The middleware: every request gets an id, shows its key, is counted, and gets an answer whatever happens inside."""

from __future__ import annotations

import logging
import os
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mlops_assets.dashboards.mount import CALL_BYTES
from mlops_assets.dashboards.theme import DASHBOARDS
from mlops_assets.logs import REQUEST_ID
from mlops_assets.serving.errors import as_api_error, internal_error, send_error
from mlops_assets.serving.hosts import OwnHosts
from mlops_assets.serving.keys import ApiKeys
from mlops_assets.serving.limits import Bodies, RateLimit, replayed
from mlops_assets.serving.metrics import Metrics

log = logging.getLogger(__name__)
OPEN = frozenset({"/health", "/ready"})  # for whoever watches the process; neither tells anything of the data
# Of pages: a browser asks for a dozen at once and keeps them, no limit counts that.
SCRIPTS = "/_dash-component-suites/"
CHART = 1 / 20  # of a request: a dashboard asks for all of its charts at once


@dataclass(frozen=True)
class RequestMiddleware:
    """ASGI middleware around the whole application.

    `hosts`: asked where there are no keys. `posts`: endpoints by path that it calls itself for POST: on its way to them
    FastAPI would spend as much as the model. `bodies`: reads those of all other requests. `signed`: paths whose senders
    prove themselves by a signature instead of a key.
    """

    app: ASGIApp
    keys: ApiKeys
    hosts: OwnHosts
    rate: RateLimit
    bodies: Bodies
    metrics: Metrics
    redact: Callable[[str], str]
    posts: Mapping[str, ASGIApp]
    signed: frozenset[str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0
        request_id = scope["request_id"] = new_request_id()
        REQUEST_ID.set(request_id)
        id_header = (b"x-request-id", request_id.encode())

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], id_header]
            await send(message)

        try:
            self._admit(scope)
            if scope["method"] in ("GET", "HEAD"):
                await self.app(scope, receive, send_with_id)
            elif scope["method"] == "POST" and (endpoint := self.posts.get(scope["path"])):
                await endpoint(scope, receive, send_with_id)
            else:
                await self._with_body(scope, receive, send_with_id)
        except ClientDisconnect:
            status = 499  # as proxies write it down
        except Exception as error:
            api_error = as_api_error(error)
            if api_error is None:
                self._report(error, request_id)
            if not status:  # where an answer has begun, the server closes the connection and the caller sees that
                await send_error(send_with_id, api_error or internal_error(), request_id)
        finally:
            self.metrics.request(self._route(scope), status, time.perf_counter() - started)

    async def _with_body(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Go on once the body is here: what follows may be a thread, which a slow sender shall not hold."""
        body = await self.bodies.read(scope["header_map"], receive, CALL_BYTES)
        try:
            await self.app(scope, replayed(body, receive), send)
        finally:
            self.bodies.release(body)

    def _route(self, scope: Scope) -> str:
        """The path as the application knows it, so that there are only so many of them."""
        if scope["path"] in self.posts:
            return scope["path"]
        return getattr(scope.get("route"), "path", "other")

    def _admit(self, scope: Scope) -> None:
        headers = scope["header_map"] = dict(scope["headers"])
        path = scope["path"]
        if not self.keys:
            self.hosts.check(headers)
        if path in OPEN:
            return
        if self.keys and path not in self.signed:
            caller = self.keys.caller(headers)
        else:
            caller = scope["client"][0] if scope["client"] else "unknown"
        if SCRIPTS not in path:
            self.rate.admit(caller, CHART if path.startswith(DASHBOARDS) else 1)

    def _report(self, error: Exception, request_id: str) -> None:
        """Write down an error that nobody expected; its text may hold what hidden names stand for."""
        text = "".join(traceback.format_exception(error))
        log.error("request %s failed:\n%s", request_id, self.redact(text))


def new_request_id() -> str:
    """32 hexadecimal digits that sort by time: milliseconds since 1970, then chance."""
    return f"{time.time_ns() // 1_000_000:012x}{os.urandom(10).hex()}"
