"""Rows from a JSON body, and answers: strict JSON, no name twice, nothing but objects or lists of plain values."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from mlops_assets.core.columns import MOST_CHARACTERS, TOO_LONG
from mlops_assets.errors import InputError
from mlops_assets.serving.errors import ApiError
from mlops_assets.serving.predictor import Champion

if TYPE_CHECKING:
    from mlops_assets.core.model.answers import Answer
    from mlops_assets.core.model.contributions import Contributions


JSON = "application/json"
_PLAIN = {str, int, float, bool, type(None)}
_SPACED_COLON = (b" :", b"\t:", b"\n:", b"\r:")


def content_type(headers: Mapping[bytes, bytes]) -> str:
    """The request's media type without its parameters, in lower case."""
    return headers.get(b"content-type", b"").partition(b";")[0].strip().lower().decode("latin-1")


def require_json(headers: Mapping[bytes, bytes]) -> None:
    if content_type(headers) != JSON:
        raise ApiError(415, "unsupported_media_type", f"send JSON with the header Content-Type: {JSON}")


def parse_rows(body: bytes, most: int) -> tuple[list[dict[str, Any]], bool]:
    """The rows of a body that holds an object or a list of objects, and whether it was a list.

    Raises ApiError, with the row and field where it is about one.
    """
    document = _parse(body)
    is_list = document.__class__ is list
    rows = document if is_list else [document]
    if len(rows) > most:
        raise ApiError(
            413, "too_many_rows", f"{len(rows)} rows are more than {most}: use /predict/batch, or send fewer"
        )
    for number, row in enumerate(rows):
        if row.__class__ is not dict:
            message = f"row {number} is not an object of names and values"
            raise ApiError(422, "invalid_input", message, row=number if is_list else None)
        for name, value in row.items():
            if value.__class__ not in _PLAIN:
                message = f"row {number}: {name:.60} must be a plain value, not a list or an object"
                raise ApiError(422, "invalid_input", message, row=number, field=name)
            if value.__class__ is str and len(value) > MOST_CHARACTERS:
                raise too_long(number, name)
    _refuse_repeated_names(body, rows)
    return rows, is_list


def parse_lists(body: bytes, most: int) -> dict[str, list[Any]]:
    """The lists of values by name of a column-wise body; raises ApiError."""
    document = _parse(body)
    if document.__class__ is not dict:
        raise ApiError(422, "invalid_input", "send an object with a list of values for each name")
    for name, values in document.items():
        if values.__class__ is not list:
            raise ApiError(422, "invalid_input", f"{name:.60} must be a list of values", field=name)
        if len(values) > most:
            raise too_many_rows(len(values), most)
        if not _PLAIN.issuperset(map(type, values)):
            row = next(place for place, value in enumerate(values) if type(value) not in _PLAIN)
            message = f"row {row}: {name:.60} must be a plain value, not a list or an object"
            raise ApiError(422, "invalid_input", message, row=row, field=name)
        for row, value in enumerate(values):
            if value.__class__ is str and len(value) > MOST_CHARACTERS:
                raise too_long(row, name)
    _refuse_repeated_names(body, [document])
    return document


def too_long(row: int, name: str) -> InputError:
    """A text that no category is; it would be kept whole in the prediction log."""
    name = name[:MOST_CHARACTERS]
    return InputError(f"row {row}: {name:.60} {TOO_LONG}", row=row, field=name)


def too_many_rows(rows: int, most: int) -> ApiError:
    return ApiError(413, "too_many_rows", f"{rows} rows are more than {most}: send fewer at once")


def _parse(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ApiError(400, "invalid_json", f"the body is not JSON: {error}") from None


def _refuse_repeated_names(body: bytes, objects: list[dict[str, Any]]) -> None:
    """orjson keeps the last of two equal names. Where counting colons leaves a doubt, slower json looks."""
    names = sum(map(len, objects))
    if body.count(b'":') == names and not any(colon in body for colon in _SPACED_COLON):
        return
    json.loads(body, object_pairs_hook=_without_repeats)


def _without_repeats(pairs: Iterable[tuple[str, Any]]) -> None:
    names = set()
    for name, _ in pairs:
        if name in names:
            raise ApiError(400, "repeated_name", f"the name {name:.60} stands twice in an object", field=name)
        names.add(name)


def row_answer(answer: Answer, contributions: Contributions | None = None, row: int = 0) -> dict[str, Any]:
    """What is said of one row; `row` is its place among the contributions."""
    said = answer.said()
    if contributions is not None:
        said["contributions"] = _contributions(contributions, row)
    return said


def answer_body(answer: dict[str, Any], champion: Champion, request_id: str) -> bytes:
    """What is said of one row, or `predictions` of several, with what holds for all of them."""
    shared = {
        "unit": champion.unit,
        "coverage": champion.model.coverage,
        "model": champion.card_json,
        "request_id": request_id,
    }
    return orjson.dumps(answer | shared)


def _contributions(contributions: Contributions, row: int) -> dict[str, Any]:
    """Base and features, the largest first."""
    values = contributions.values[row]
    order = np.argsort(-np.abs(values), kind="stable").tolist()
    features = {contributions.names[place]: float(values[place]) for place in order}
    return {"base": float(contributions.base[row]), "features": features}
