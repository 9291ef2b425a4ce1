"""The OpenAPI page: FastAPI describes its routes, this module the two that predict, by the champion's signature."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from mlops_assets.core.columns import MOST_CHARACTERS
from mlops_assets.serving.batch import PATH as BATCH
from mlops_assets.serving.errors import ERRORS
from mlops_assets.serving.json_rows import JSON
from mlops_assets.serving.keys import SECURITY
from mlops_assets.serving.predict import PATH as PREDICT
from mlops_assets.serving.predictor import Champion
from mlops_assets.serving.schemas import BatchAnswer, ErrorAnswer, ListAnswer, OneAnswer
from mlops_assets.serving.status import example_rows
from mlops_assets.serving.table_formats import FORMATS

if TYPE_CHECKING:
    from mlops_assets.core.features.signature import Input
    from mlops_assets.dataset import Column


_TYPES: dict[str, dict[str, Any]] = {
    "number": {"type": "number"},
    "integer": {"type": "integer"},
    "text": {"type": "string", "maxLength": MOST_CHARACTERS},
    "time": {"type": "string", "format": "date-time"},
}


def describe(app: FastAPI, champion: Champion | None, has_keys: bool) -> dict[str, Any]:
    """The OpenAPI document; without a champion it does not know the inputs."""
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    models = (OneAnswer, ListAnswer, BatchAnswer, ErrorAnswer)
    answers: list[tuple[type[BaseModel], JsonSchemaMode]] = [(model, "serialization") for model in models]
    schemas |= models_json_schema(answers, ref_template="#/components/schemas/{model}")[1]["$defs"]
    schemas["BatchAnswer"] = _with_classes(schemas["BatchAnswer"], champion)
    schemas["Row"], schemas["Columns"] = _row(champion), _columns(champion)
    examples = example_rows(champion) if champion else []
    document["paths"] |= {PREDICT: {"post": _predict(examples)}, BATCH: {"post": _batch(examples)}}
    for operations in document["paths"].values():
        for operation in operations.values():
            _finish(operation)
    if has_keys:
        document["components"]["securitySchemes"] = SECURITY
        document["security"] = [{name: []} for name in SECURITY]
    return document


def _with_classes(answer: dict[str, Any], champion: Champion | None) -> dict[str, Any]:
    """The answer to a table with the columns that the champion's kind of target has beside numbers."""
    further = champion.model.kind.columns if champion else {}
    types = {"double": "number", "string": "string"}
    fields = {name: {"type": "array", "items": {"type": types[kind]}} for name, kind in further.items()}
    return answer | {"properties": answer["properties"] | fields, "required": [*answer["required"], *fields]}


def _row(champion: Champion | None) -> dict[str, Any]:
    needed = _required(champion)
    fields = {name: _field(item, column, name in needed) for name, item, column in _inputs(champion)}
    description = (
        "The inputs of one row. One that is left out or null is missing; without a required one it is refused."
    )
    shape = {"type": "object", "description": description, "properties": fields, "additionalProperties": not champion}
    return shape | {"required": needed}


def _columns(champion: Champion | None) -> dict[str, Any]:
    needed = _required(champion)
    fields = {
        name: {"type": "array", "items": _field(item, column, name in needed)}
        for name, item, column in _inputs(champion)
    }
    description = "A list of values for each input, all of the same length."
    shape = {"type": "object", "description": description, "properties": fields, "additionalProperties": not champion}
    return shape | {"required": needed}


def _required(champion: Champion | None) -> list[str]:
    return list(champion.model.required) if champion else []


def _inputs(champion: Champion | None) -> Iterator[tuple[str, Input, Column]]:
    """Name, what training rows had, and what the dataset's YAML says of each input."""
    if champion:
        for item in champion.model.signature:
            yield item.name, item, champion.model.spec.columns[item.name]


def _field(item: Input, column: Column, is_needed: bool) -> dict[str, Any]:
    sentences = [f"{text.rstrip('.')}." for text in (column.description, _unit(column)) if text]
    if item.categories:
        first = ", ".join(item.categories[:12])
        sentences.append(f"One of {first}{', …' if len(item.categories) > 12 else ''}; others are flagged as unseen.")
    if item.low is not None:
        sentences.append(f"From {item.low} to {item.high}; values outside are flagged.")
    if item.type == "time":
        sentences.append(f"Without an offset it is a wall clock of {item.timezone or 'UTC'}.")
    ends = {"minimum": item.least, "maximum": item.most}  # of the dataset's rules
    kind = _TYPES[item.type] | {name: end for name, end in ends.items() if end is not None}
    return kind | {"type": kind["type"] if is_needed else [kind["type"], "null"], "description": " ".join(sentences)}


def _unit(column: Column) -> str:
    return f"In {column.measured_in}" if column.measured_in else ""


def _predict(rows: list[dict[str, Any]]) -> dict[str, Any]:
    row = {"$ref": "#/components/schemas/Row"}
    examples: dict[str, Any] = {"one": {"summary": "One row", "value": rows[0]}} if rows else {}
    examples |= {"list": {"summary": "A list of rows", "value": rows}} if rows else {}
    explain = {
        "name": "explain",
        "in": "query",
        "description": "Tell what each feature adds to the prediction.",
        "schema": {"type": "boolean", "default": False},
    }
    answer = {"oneOf": [{"$ref": f"#/components/schemas/{name}"} for name in ("OneAnswer", "ListAnswer")]}
    return {
        "summary": "Predict",
        "description": "Predict one row, or a list of them.",
        "operationId": "predict",
        "parameters": [explain],
        "requestBody": {
            "required": True,
            "content": {JSON: {"schema": {"oneOf": [row, {"type": "array", "items": row}]}, "examples": examples}},
        },
        "responses": {"200": {"description": "The answer.", "content": {JSON: {"schema": answer}}}},
    }


def _batch(rows: list[dict[str, Any]]) -> dict[str, Any]:
    names = rows[0] if rows else {}
    columns = {name: [row[name] for row in rows] for name in names}
    binary = {name: {"schema": {"type": "string", "format": "binary"}} for name in FORMATS if name != JSON}
    sent = {JSON: {"schema": {"$ref": "#/components/schemas/Columns"}, "example": columns}} | binary
    answered = {JSON: {"schema": {"$ref": "#/components/schemas/BatchAnswer"}}} | binary
    return {
        "summary": "Predict a table",
        "description": "Predict many rows; the answer is streamed, in the format of Accept or else of the request.",
        "operationId": "predict_batch",
        "requestBody": {"required": True, "content": sent},
        "responses": {"200": {"description": "The answers, in the order of the rows.", "content": answered}},
    }


def _finish(operation: dict[str, Any]) -> None:
    """Add the errors that the middleware may answer with, all of one shape."""
    shape = {JSON: {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}}}
    for status, description in ERRORS.items():
        operation["responses"][str(status)] = {"description": description, "content": shape}
