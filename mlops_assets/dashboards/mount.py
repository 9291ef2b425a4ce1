"""Serves Dash applications beside FastAPI: their pages, calls and scripts have routes; every other path stays a 404.

What a page calls is checked before Dash sees it: a call that is none of its callbacks' is refused with a 400.
"""

from __future__ import annotations

import asyncio
import gzip
import mimetypes
import pkgutil
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Any

from a2wsgi import WSGIMiddleware
from dash import Dash
from dash.fingerprint import check_fingerprint
from fastapi import FastAPI
from flask import Response as FlaskResponse
from flask import request
from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from werkzeug.exceptions import HTTPException as FlaskHTTPException

CALL_BYTES = 1_000_000  # that a call may hold
_PATH = "/_dash-update-component"
SMALL_BYTES = 1_000  # up to here an answer is sent as it is
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'self' 'unsafe-inline' data: blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
# An ASGI application. Starlette and a2wsgi have each its own types for the same three arguments.
_Endpoint = Callable[[Any, Any, Any], Awaitable[None]]


def mount(api: FastAPI, open_app: Callable[[], Dash], prefix: str) -> None:
    """Add the routes of a Dash application made for this prefix (`new_app`), after those that the API has.

    `open_app` gives it when it is first asked for; what that raises is raised for the API to report, and the next
    request tries again. An error that a callback does not expect is raised through as well.
    """
    site = _Site(open_app, prefix)
    pages = GZipMiddleware(site, minimum_size=SMALL_BYTES)
    api.router.routes += [
        Route(prefix, pages, methods=["GET"]),
        Route(f"{prefix}_dash-layout", pages, methods=["GET"]),
        Route(f"{prefix}_dash-dependencies", pages, methods=["GET"]),
        Route(f"{prefix}_dash-update-component", pages, methods=["POST"]),
        Route(f"{prefix}_dash-component-suites/{{package}}/{{file:path}}", site.script, methods=["GET"]),
    ]
    if prefix != "/":
        alone = prefix.removesuffix("/")
        api.router.routes.append(Route(alone, lambda asked: RedirectResponse(f"{asked.url.path}/"), methods=["GET"]))


class _Site:
    """The application, which runs in threads: neither opening it nor a slow callback holds up the event loop."""

    def __init__(self, open_app: Callable[[], Dash], prefix: str) -> None:
        self._open_app, self._root = open_app, prefix.removesuffix("/")
        self._opened: tuple[Dash, _Endpoint] | None = None
        self._opening = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        _, wsgi = self._opened or await self._open()
        await wsgi({**scope, "root_path": self._root}, receive, send)

    async def script(self, request: Request) -> Response:
        """A script of Dash or its components: compressed once, and kept by browsers, with what they compiled of it.

        Most have their version in the name. Of others, such as Plotly, a browser asks whether they are still the same.
        Dash's own route for them answers a wrong path with a 500.
        """
        app, _ = self._opened or await self._open()
        package = request.path_params["package"]
        file, has_version = check_fingerprint(request.path_params["file"])
        if file not in app.registered_paths.get(package, ()):
            raise HTTPException(404)
        accepted = [name.partition(";")[0].strip() for name in request.headers.get("accept-encoding", "").split(",")]
        encoding = next((name for name in ("br", "gzip") if name in accepted), None)
        body, digest = await run_in_threadpool(_script, package, file, encoding)
        headers = {"Vary": "Accept-Encoding", "X-Content-Type-Options": "nosniff", "ETag": f'"{digest}"'}
        headers["Cache-Control"] = "public, max-age=31536000, immutable" if has_version else "no-cache"
        if headers["ETag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if encoding:
            headers["Content-Encoding"] = encoding
        kind = mimetypes.guess_type(file)[0] or "application/octet-stream"
        return Response(body, headers=headers, media_type=kind)

    async def _open(self) -> tuple[Dash, _Endpoint]:
        async with self._opening:
            if self._opened is None:
                app = await run_in_threadpool(self._open_listed)
                self._opened = app, WSGIMiddleware(app.server)
        return self._opened

    def _open_listed(self) -> Dash:
        """The application, which knows its scripts: Dash lists them with its first page, here or in another worker."""
        app = self._open_app()
        guard(app)
        with app.server.test_request_context():
            app.index()
        return app


@lru_cache(maxsize=100)
def _script(package: str, file: str, encoding: str | None) -> tuple[bytes, str]:
    """What is sent, and its digest."""
    import pyarrow as pa

    body = pkgutil.get_data(package, file)
    if body is None:
        raise HTTPException(404)
    if encoding == "br":  # as fast as gzip on this level, and an eighth smaller
        sent = pa.Codec("brotli", compression_level=5).compress(body, asbytes=True)
    else:
        sent = gzip.compress(body, mtime=0) if encoding else body
    return sent, sha256(sent).hexdigest()[:32]


def guard(app: Dash) -> None:
    """Let the application raise for what it refuses, so that the API reports it in its own shape; add headers."""
    app.server.config |= {"MAX_CONTENT_LENGTH": CALL_BYTES, "PROPAGATE_EXCEPTIONS": True}

    @app.server.errorhandler(FlaskHTTPException)
    def refuse(error: FlaskHTTPException) -> None:
        raise HTTPException(error.code or 500)

    @app.server.after_request
    def add_headers(response: FlaskResponse) -> FlaskResponse:
        response.headers.extend(_HEADERS)
        return response

    @app.server.before_request
    def check() -> None:
        if request.path == _PATH:
            try:
                is_call = _Call.model_validate(request.get_json()).is_of(app.callback_map)
            except ValidationError:
                is_call = False
            if not is_call:
                raise HTTPException(400)


class _Part(BaseModel):
    """A property of a component, or of those that a pattern is for."""

    id: str | dict[str, Any]
    property: str


_Parts = list[_Part | list[_Part]]  # a list in it stands for several components


class _Call(BaseModel):
    """What a page sends when a callback is due."""

    output: str
    outputs: _Part | _Parts | None = None
    inputs: _Parts
    state: _Parts = []
    changedPropIds: list[str] = []

    def is_of(self, callbacks: Mapping[str, Mapping[str, Any]]) -> bool:
        """It is of a callback that the application has, with its inputs, states and outputs in their places."""
        callback = callbacks.get(self.output)
        if callback is None or [len(self.inputs), len(self.state)] != [len(callback[of]) for of in ("inputs", "state")]:
            return False
        if self.output.startswith(".."):  # `..a.b...c.d..` names several, anything else is one
            return isinstance(self.outputs, list) and len(self.outputs) == self.output.count("...") + 1
        return isinstance(self.outputs, _Part) or callback.get("no_output", False)
