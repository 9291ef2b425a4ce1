"""What happens on the page: a question is asked, a link followed, an example shown, another champion noticed."""

from __future__ import annotations

import random
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dash_mantine_components as dmc
import orjson
from dash import ALL, Dash, Input, Output, State, ctx, html, no_update, set_props
from dash.exceptions import PreventUpdate
from flask import request

from mlops_assets.dashboards.format import error_text
from mlops_assets.errors import InputError
from mlops_assets.serving.errors import internal_error
from mlops_assets.serving.form.answer import answer_cards
from mlops_assets.serving.form.ask import Comparison, Versions, ask, reason
from mlops_assets.serving.form.page import WATCH, failure, field_id, fields, offer_typed, other_versions, who
from mlops_assets.serving.form.values import (
    MOST_COMPARED,
    Query,
    filled_values,
    first_values,
    format_query,
    parse_query,
    problems,
    to_send,
    to_show,
)
from mlops_assets.serving.predict import PATH, Predict

if TYPE_CHECKING:
    from dash.development.base_component import Component

    from mlops_assets.serving.predictor import Champion

FIELDS = field_id(ALL, ALL)
FieldId = dict[str, Any]  # as the browser sends it: of one field, with its name and kind
# On a narrow screen the answer comes below the form.
_SHOW_ANSWER = """
function() {
    if (innerWidth < 992 && document.querySelector(".answers")) {
        document.getElementById("answer").scrollIntoView({behavior: "smooth"});
    }
}
"""


@dataclass(frozen=True)
class Form:
    """What the callbacks work with."""

    predict: Predict
    versions: Versions
    has_keys: bool

    @property
    def champion(self) -> Champion | None:
        return self.predict.predictor.loaded


def add_callbacks(app: Dash, form: Form) -> None:
    offer_typed(app)
    _answer(app, form)
    _follow_champion(app, form)


def _answer(app: Dash, form: Form) -> None:
    app.clientside_callback(_SHOW_ANSWER, Input("answer", "children"), prevent_initial_call=True)

    @app.callback(
        Output("answer", "children"),
        Output("url", "search"),
        Input("predict", "n_clicks"),
        Input("url", "search"),
        State("url", "href"),
        State(FIELDS, "id"),
        State(FIELDS, "value"),
        State("compare", "value"),
        running=[(Output("predict", "loading"), True, False)],
    )
    def answer(
        clicks: int | None,
        search: str | None,
        href: str,
        ids: list[FieldId],
        values: list[Any],
        compare: list[str] | None,
    ):
        """To the fields after a click or Enter, else to the link."""
        is_link = ctx.triggered_id != "predict"
        query = parse_query(search) if is_link else _filled_in(ids, values, compare)
        if form.champion is None or (is_link and not query):
            raise PreventUpdate
        query = Query(to_send(form.champion.model.signature, query.values), query.compare)
        link = format_query(query)
        wrong = problems(form.champion.model, query.values)
        _mark(ids, wrong)
        if wrong:
            return failure(*wrong.values()), link
        try:
            comparison = ask(form.predict, form.versions, query, _request_id())
        except InputError as error:
            return failure(reason(error)), link
        return [answer_cards(comparison), _tools(comparison, href.partition("?")[0], link, form.has_keys)], link

    @app.callback(Input("url", "search"), State(FIELDS, "id"), State(FIELDS, "value"), State("compare", "value"))
    def show_link(search: str | None, ids: list[FieldId], values: list[Any], compare: list[str] | None) -> None:
        """At once: the answer may take a while. What was just sent from the fields is there already."""
        query = parse_query(search)
        if form.champion is None or not query:
            raise PreventUpdate
        model, filled = form.champion.model, _filled_in(ids, values, compare)
        linked, sent = to_send(model.signature, query.values), to_send(model.signature, filled.values)
        if (linked, query.compare) == (sent, filled.compare):
            raise PreventUpdate
        _show(ids, to_show(model.signature, linked, model.spec))
        set_props("compare", {"value": [str(number) for number in query.compare]})

    @app.callback(
        Input("example", "n_clicks"), Input("reset", "n_clicks"), State(FIELDS, "id"), prevent_initial_call=True
    )
    def fill(examples: int | None, resets: int | None, ids: list[FieldId]) -> None:
        """With a row that the champion is checked by, a real one, or as on a new page."""
        champion = form.champion
        if champion is None:
            raise PreventUpdate
        model = champion.model
        is_reset = ctx.triggered_id == "reset"
        row = champion.golden_rows[0] if is_reset else random.choice(champion.golden_rows)
        _show(ids, to_show(model.signature, row, model.spec))
        _mark(ids, {})


def _follow_champion(app: Dash, form: Form) -> None:
    @app.callback(
        Output("fields", "children"),
        Output("shown", "data"),
        Input("watch", "n_intervals"),
        State("shown", "data"),
        State(FIELDS, "id"),
        State(FIELDS, "value"),
        prevent_initial_call=True,
    )
    def follow(looks: int | None, shown_number: int | None, ids: list[FieldId], values: list[Any]):
        """Another champion: its own fields, with what was filled in already. As long as there is none: why."""
        champion = form.champion
        if champion is None:
            set_props("problem", {"children": form.predict.predictor.problem})
            return no_update, no_update
        if champion.number == shown_number:
            raise PreventUpdate
        model = champion.model
        filled = _filled_in(ids, values).values if ids else first_values(champion)
        set_props("who", {"children": who(champion)})
        set_props("empty", {"hidden": True})
        set_props("form-page", {"hidden": False})
        set_props("watch", {"interval": WATCH})
        return fields(model, to_show(model.signature, filled, model.spec)), champion.number

    @app.callback(Output("compare", "data"), Input("shown", "data"))
    def offer(shown_number: int | None):
        if shown_number is None:
            raise PreventUpdate
        return other_versions(form.versions.recent(), shown_number)


def report(error: Exception, redact: Callable[[str], str]) -> None:
    """Show what a callback failed with instead of an answer."""
    set_props("answer", {"children": failure(error_text(error, redact, f"{internal_error()}: {_request_id()}"))})


def _request_id() -> str:
    """That the middleware gave to this call."""
    return request.environ["asgi.scope"]["request_id"]


def _filled_in(ids: list[FieldId], values: list[Any], compare: list[str] | None = None) -> Query:
    return Query(
        filled_values([field["name"] for field in ids], values), tuple(map(int, (compare or ())[:MOST_COMPARED]))
    )


def _show(ids: list[FieldId], values: Mapping[str, Any]) -> None:
    for field in ids:
        empty = None if field["kind"] == "select" else ""
        set_props(field, {"value": values.get(field["name"], empty)})


def _mark(ids: list[FieldId], wrong: Mapping[str, str]) -> None:
    """Say at each field what is wrong with it."""
    for field in ids:
        set_props(field, {"error": wrong.get(field["name"])})


def _tools(comparison: Comparison, address: str, link: str, has_keys: bool) -> Component:
    """The same question for others: as a link, and as a command."""
    row = orjson.dumps(comparison.champion.row).decode()
    command = ["curl", address.rstrip("/") + PATH, "--json", row]
    curl = shlex.join(command) + (' -H "X-API-Key: $MLOPS_API_KEY"' if has_keys else "")
    copied = {"variant": "default", "size": "compact-sm", "copiedChildren": "Copied"}
    return html.Div(
        [
            dmc.CopyButton("Copy link", value=address + link, **copied),
            dmc.CopyButton("Copy as curl", value=curl, **copied),
            html.Span(["request ", html.Code(comparison.request_id)], className="dim"),
        ],
        className="tools",
    )
