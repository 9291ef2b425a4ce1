"""The page: its frame, which stays, and the parts that follow the champion."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import dash_mantine_components as dmc
from dash import dcc, html

from mlops_assets.backend.champion import Champion
from mlops_assets.backend.form.fields import fields
from mlops_assets.backend.form.query import MOST_COMPARED
from mlops_assets.backend.form.values import first_values
from mlops_assets.backend.form.wording import target_name
from mlops_assets.dashboards.theme import shell

if TYPE_CHECKING:
    from dash.development.base_component import Component

    from mlops_assets.dataset import DatasetSpec
    from mlops_assets.resources.registry import Version

WATCH, WATCH_EMPTY = 15_000, 2_000  # milliseconds between looks for another champion, and for a first one


def page(spec: DatasetSpec, champion: Champion | None, problem: str) -> dmc.MantineProvider:
    """A new page; `problem` says why there is no champion, where there is none."""
    own = fields(champion.model.signature, first_values(champion.model.signature)) if champion else []
    parts = [
        dcc.Location(id="url", refresh=False),
        dcc.Interval(id="watch", interval=WATCH if champion else WATCH_EMPTY),
        dcc.Store(id="shown", data=champion.number if champion else None),
        html.Div(_empty(problem), id="empty", hidden=champion is not None),
        html.Div([_form(own), _answer_area()], id="form-page", className="form-page", hidden=champion is None),
    ]
    about = [html.Div(spec.redact(spec.description)), html.Div(who(champion), id="who")]
    return shell(f"Predict {target_name(spec)}", "/", parts, subtitle=about)


def who(champion: Champion | None) -> str:
    """The line that says who answers."""
    if champion is None:
        return ""
    since = champion.version.created.strftime("%d %B %Y").lstrip("0")
    return f"Answered by version {champion.number}, {champion.version.model_type} of {since}."


def other_versions(versions: Iterable[Version], champion: int | None) -> list[Mapping[str, Any]]:
    """What can be chosen to compare the champion with."""
    return [
        {"value": str(made.number), "label": f"version {made.number}, {made.model_type} of {made.created:%Y-%m-%d}"}
        for made in versions
        if made.number != champion
    ]


def failure(message: str) -> Component:
    return html.Div(dmc.Alert(message, title="No answer", color="red", variant="light"), className="card")


def _form(own: list[Component]) -> Component:
    compare = dmc.MultiSelect(
        id="compare",
        label="Compare with",
        description=f"up to {MOST_COMPARED} other versions",
        data=[],
        maxValues=MOST_COMPARED,
        debounce=True,
        searchable=True,
        clearable=True,
        mt=14,
    )
    buttons = [
        dmc.Button("Predict", id="predict", buttonProps={"type": "submit"}, flex=1),
        dmc.Button("Example", id="example", variant="default"),
        dmc.Button("Reset", id="reset", variant="default"),
    ]
    parts = [html.Div(own, id="fields", className="fields"), compare, html.Div(buttons, className="buttons")]
    return html.Form(parts, className="card", noValidate=True, autoComplete="off")


def _answer_area() -> Component:
    start = html.Div("Fill in what you know and press Enter.", className="card empty")
    return html.Div(start, id="answer", **{"aria-live": "polite"})


def _empty(problem: str) -> Component:
    texts = [dmc.Title("Nothing can be predicted yet", order=3), dmc.Text(problem, id="problem")]
    texts.append(dmc.Text("This page goes on by itself as soon as there is a champion.", size="sm"))
    return dmc.Stack(texts, gap="xs", className="card empty")
