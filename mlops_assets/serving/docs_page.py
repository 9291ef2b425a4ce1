"""The page at `/docs/`: the OpenAPI document for people, with commands that can be run as they stand.

FastAPI's own pages load their scripts from the internet.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import dash_mantine_components as dmc
import orjson
from dash import html
from fastapi import FastAPI
from flask import has_request_context, request

from mlops_assets.dashboards.mount import mount
from mlops_assets.dashboards.theme import new_app, shell
from mlops_assets.serving.batch import PATH as BATCH
from mlops_assets.serving.json_rows import JSON, answer_body, row_answer
from mlops_assets.serving.middleware import new_request_id
from mlops_assets.serving.openapi import describe
from mlops_assets.serving.predict import PATH as PREDICT
from mlops_assets.serving.predictor import Champion, Predictor
from mlops_assets.serving.status import example_rows

PREFIX = "/docs/"
CSS = """
.operation { margin-bottom: 20px; }
.operation h2 { display: flex; flex-wrap: wrap; gap: 4px 10px; align-items: center; margin: 0 0 4px; font-size: 15px;
  font-weight: 400; }
.operation h2 code { font-weight: 600; font-size: 15px; }
.operation p { margin: 0 0 10px; font-size: 14px; color: var(--mantine-color-dimmed); }
.operation pre { margin: 0; padding: 10px 76px 10px 12px; border-radius: 6px; background: var(--page); font-size: 13px;
  max-height: 360px; overflow: auto; white-space: pre-wrap; overflow-wrap: anywhere; }
.operation summary { margin: 8px 0; font-size: 13px; cursor: pointer; color: var(--mantine-color-anchor); }
.scroll { overflow-x: auto; }
.operation table { border-collapse: collapse; font-size: 13px; }
.operation th { font-weight: 600; text-align: left; }
.operation th, .operation td { padding: 4px 16px 4px 0; vertical-align: top; border-bottom: 1px solid var(--line); }
.operation td:nth-child(2) { white-space: nowrap; }
.example { position: relative; }
.example button { position: absolute; top: 7px; right: 7px; }
"""
_COLOURS = {"GET": "gray", "POST": "brand"}


def mount_docs(api: FastAPI, predictor: Predictor, has_keys: bool) -> None:
    app = new_app(api.title, PREFIX, css=CSS)

    def layout() -> dmc.MantineProvider:
        address = request.host_url.rstrip("/") if has_request_context() else ""
        return page(describe(api, predictor.loaded, has_keys), predictor.loaded, address)

    app.layout = layout
    mount(api, lambda: app, PREFIX)


def page(document: Mapping[str, Any], champion: Champion | None, address: str) -> dmc.MantineProvider:
    """All operations, those that predict first. `address`: of this server, for the commands."""
    first = [PREDICT, BATCH]
    paths = [*first, *(path for path in document["paths"] if path not in first)]
    parts = [
        _operation(document, path, method.upper(), operation, champion, address)
        for path in paths
        for method, operation in document["paths"][path].items()
    ]
    fields = _fields(document, {"$ref": "#/components/schemas/Error"})
    errors = [(f"error.{name}", kind, meaning) for name, kind, meaning in fields]
    refused = [html.H2("When a request is refused"), html.P("Every error has this shape."), _table(errors)]
    subtitle = ["For programs: ", html.A("openapi.json", href="/openapi.json")]
    return shell("API", PREFIX, [*parts, html.Section(refused, className="card operation")], subtitle=subtitle)


def _operation(
    document: Mapping[str, Any],
    path: str,
    method: str,
    operation: Mapping[str, Any],
    champion: Champion | None,
    address: str,
) -> html.Section:
    title = [dmc.Badge(method, color=_COLOURS.get(method, "gray"), variant="light", radius="sm"), html.Code(path)]
    parts = [html.H2(title), html.P(operation.get("description", ""))]
    body = _example(operation)
    parts.append(_command(path, method, body, address, with_key="security" in document))
    if path == PREDICT and champion and (rows := example_rows(champion)):
        parts.append(_folded("Its answer", html.Pre(_answer(champion, rows[0]))))
    sent = operation.get("requestBody", {}).get("content", {}).get(JSON, {}).get("schema")
    answered = operation["responses"].get("200", {}).get("content", {}).get(JSON, {}).get("schema")
    query = [
        (parameter["name"], _kind(parameter["schema"]), parameter.get("description", ""))
        for parameter in operation.get("parameters", ())
    ]
    for name, fields in (
        ("Parameters", query),
        ("Fields of the request", list(_fields(document, sent)) if sent else []),
        ("Fields of the answer", list(_fields(document, answered)) if answered else []),
    ):
        if fields:
            parts.append(_folded(name, _table(fields)))
    return html.Section(parts, className="card operation")


def _example(operation: Mapping[str, Any]) -> Any:
    content = operation.get("requestBody", {}).get("content", {}).get(JSON, {})
    examples = [example["value"] for example in content.get("examples", {}).values()]
    return examples[0] if examples else content.get("example")


def _command(path: str, method: str, body: Any, address: str, *, with_key: bool) -> html.Div:
    words = ["curl", address + path] if body or method == "GET" else ["curl", "-X", method, address + path]
    if body:
        words += ["--json", json.dumps(body)]
    command = shlex.join(words) + (' -H "X-API-Key: $MLOPS_API_KEY"' if with_key else "")
    copy = dmc.CopyButton("Copy", value=command, copiedChildren="Copied", variant="default", size="compact-xs")
    return html.Div([html.Pre(command), copy], className="example")


def _answer(champion: Champion, row: Mapping[str, Any]) -> str:
    [answer] = champion.model.answer_rows([row]).rows()
    body = answer_body(row_answer(answer), champion, new_request_id())
    return orjson.dumps(orjson.loads(body), option=orjson.OPT_INDENT_2).decode()


def _fields(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Name, kind and meaning of each field of an object, those of objects within it by dotted names."""
    schema = _resolved(document, schema)
    for name, field in schema.get("properties", {}).items():
        inner = _resolved(document, field)
        yield name, _kind(field), field.get("description") or inner.get("description", "")
        if "properties" in inner:
            for below, kind, meaning in _fields(document, inner):
                yield f"{name}.{below}", kind, meaning


def _resolved(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema that is meant, the first where there are several; a list's is that of its items."""
    for key in ("oneOf", "anyOf"):
        if key in schema:
            return _resolved(document, schema[key][0])
    if schema.get("type") == "array":
        return _resolved(document, schema["items"])
    if "$ref" in schema:
        return document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def _kind(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return "object"
    if options := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(dict.fromkeys(map(_kind, options)))
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}"
    if "const" in schema or "enum" in schema:
        return " or ".join(map(json.dumps, schema.get("enum") or [schema["const"]]))
    types = schema.get("type", "any")
    kind = " or ".join(types) if isinstance(types, list) else types
    return kind.replace("string", "time") if schema.get("format") == "date-time" else kind


def _table(fields: list[tuple[str, str, str]]) -> html.Div:
    head = html.Thead(html.Tr([html.Th(name) for name in ("field", "kind", "meaning")]))
    rows = [html.Tr([html.Td(html.Code(name)), html.Td(kind), html.Td(meaning)]) for name, kind, meaning in fields]
    return html.Div(html.Table([head, html.Tbody(rows)]), className="scroll")


def _folded(name: str, content: Any) -> html.Details:
    return html.Details([html.Summary(name), content])
