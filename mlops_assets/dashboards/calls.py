"""Calls of callbacks, checked at the door: Dash itself answers one that is not well-formed with a 500."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dash import Dash
from flask import request
from starlette.exceptions import HTTPException
from werkzeug.exceptions import HTTPException as FlaskHTTPException

CALL_BYTES = 1_000_000  # that a call may hold
_PATH = "/_dash-update-component"


def guard(app: Dash) -> None:
    """Let the application raise for what it refuses, so that the API reports it in its own shape."""
    app.server.config["MAX_CONTENT_LENGTH"] = CALL_BYTES
    app.server.register_error_handler(FlaskHTTPException, _refuse)

    @app.server.before_request
    def check() -> None:
        if request.path == _PATH and not _is_call(request.get_json(), app.callback_map):
            raise HTTPException(400)


def _refuse(error: FlaskHTTPException) -> None:
    raise HTTPException(error.code)


def _is_call(body: Any, callbacks: Mapping[str, Mapping[str, Any]]) -> bool:
    """Of a callback that the application has, with its inputs, states and outputs in their places."""
    if not (isinstance(body, dict) and isinstance(output := body.get("output"), str) and output in callbacks):
        return False
    own, changed = callbacks[output], body.get("changedPropIds", [])
    return (
        _are_parts(body.get("inputs"), len(own["inputs"]))
        and _are_parts(body.get("state", []), len(own["state"]))
        and (own.get("no_output", False) or _are_outputs(body.get("outputs"), output))
        and isinstance(changed, list)
        and all(isinstance(each, str) for each in changed)
    )


def _are_outputs(outputs: Any, names: str) -> bool:
    """`..a.b...c.d..` names several, anything else is one."""
    return _are_parts(outputs, names.count("...") + 1) if names.startswith("..") else _are_parts([outputs], 1)


def _are_parts(parts: Any, count: int) -> bool:
    """So many properties of components, or lists of them where one stands for several."""
    if not (isinstance(parts, list) and len(parts) == count):
        return False
    return all(all(map(_is_part, each)) if isinstance(each, list) else _is_part(each) for each in parts)


def _is_part(part: Any) -> bool:
    return isinstance(part, dict) and isinstance(part.get("id"), str | dict) and isinstance(part.get("property"), str)
