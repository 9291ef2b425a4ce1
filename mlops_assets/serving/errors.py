"""Errors as callers see them: a status, one JSON shape, and nothing from inside."""

from __future__ import annotations

from http import HTTPStatus

import orjson
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import Send

from mlops_assets.errors import InputError, MlopsError

JSON_HEADER = (b"content-type", b"application/json")
ERRORS = {  # that any request may meet; bodies are ErrorAnswer
    400: "The body cannot be read.",
    401: "An API key is needed, or a signature.",
    403: "A page of another site asks.",
    404: "There is no such page, or no such run.",
    405: "The page does not take this method.",
    406: "None of the formats in Accept can be had.",
    408: "The body did not arrive in time.",
    413: "The body is too large, or has too many rows.",
    415: "The body is of a type that is not taken.",
    421: "The request was meant for another name.",
    422: "A row, a field or a parameter cannot be used.",
    429: "Too many requests.",
    500: "The server failed; its log tells why under the request_id.",
    503: "No champion is loaded, or the server is busy.",
}
_CODES = {404: "not_found", 405: "method_not_allowed"}
_INTERNAL = "the request could not be answered; the server's log has the reason under this request_id"


class ApiError(MlopsError):
    """A request that is refused. `code` is for programs, the message for people; `row` counts from 0."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        row: int | None = None,
        field: str | None = None,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.row, self.field, self.headers = status, code, row, field, headers


def as_api_error(error: Exception) -> ApiError | None:
    """The error as its caller may see it; None for one that nobody expected."""
    match error:
        case ApiError():
            return error
        case InputError():
            return ApiError(422, "invalid_input", str(error), row=error.row, field=error.field)
        case HTTPException():
            code = _CODES.get(error.status_code, "bad_request")
            headers = tuple((name.lower().encode(), value.encode()) for name, value in (error.headers or {}).items())
            return ApiError(error.status_code, code, HTTPStatus(error.status_code).phrase, headers=headers)
        case RequestValidationError():
            problem = error.errors()[0]
            name = str(problem["loc"][-1])
            return ApiError(422, "invalid_parameter", f"{name}: {problem['msg']}", field=name)
    return None


def internal_error() -> ApiError:
    return ApiError(500, "internal", _INTERNAL)


def error_body(error: ApiError, request_id: str) -> bytes:
    fields = {
        "code": error.code,
        "message": str(error),
        "row": error.row,
        "field": error.field,
        "request_id": request_id,
    }
    return orjson.dumps({"error": fields})


async def send_error(send: Send, error: ApiError, request_id: str) -> None:
    body = error_body(error, request_id)
    await send_json(send, body, error.status, error.headers)


async def send_json(send: Send, body: bytes, status: int = 200, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
    """A whole response, without the cost of an object for it."""
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [JSON_HEADER, length, *headers]})
    await send({"type": "http.response.body", "body": body})
