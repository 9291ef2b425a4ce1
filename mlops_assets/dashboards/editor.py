"""The editor of a dashboard's YAML: checked while one writes, and previewed, before it is saved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, ctx, html, no_update

from mlops_assets.dashboards.boards import BoardFile, Page
from mlops_assets.dashboards.context import Dashboards
from mlops_assets.dashboards.grid import GAP, ROW_HEIGHT, places_of
from mlops_assets.dashboards.pages import address_of
from mlops_assets.dashboards.render import Drawn
from mlops_assets.dashboards.sources.source import Source
from mlops_assets.errors import SpecError

if TYPE_CHECKING:
    from dash.development.base_component import Component


DEBOUNCE_MILLISECONDS = 600
NEW = """\
title: My dashboard
description: What it is for.
position: 60
time_range: 90d
charts:
  runs_by_day:
    title: Runs by day
    source: runs
    type: stacked bar
    interval: day
    group_by: status
    metrics: [{aggregation: count}]
    size: {x: 0, y: 0, w: 6, h: 7}
"""


def editor(sources: Mapping[str, Source]) -> Component:
    """The dialog; closed at first."""
    text = dmc.Textarea(
        id="yaml",
        debounce=DEBOUNCE_MILLISECONDS,
        autosize=False,
        className="yaml",
        **{"aria-label": "YAML of the dashboard"},
    )
    left = [
        dmc.TextInput(id="name", label="Name", size="xs", description="Its address: small letters, digits and -."),
        text,
        html.Details(
            [html.Summary("Sources and their columns"), html.Pre(described(sources.values()))], className="known"
        ),
    ]
    buttons = [
        dmc.Button("Save", id="save", size="xs"),
        dmc.Button("Back to the file", id="reset", size="xs", variant="default", color="red"),
        dmc.Button("Cancel", id="cancel", size="xs", variant="subtle", color="gray"),
    ]
    right = [html.Div(id="verdict", role="status"), html.Div(id="preview")]
    return dmc.Modal(
        html.Div([html.Div(left, className="write"), html.Div(right, className="read")], className="editor"),
        id="editor",
        title=html.Div([html.B("Edit dashboard"), html.Div(buttons, className="buttons")], className="editor-head"),
        size="96%",
        yOffset="2vh",
        opened=False,
        closeOnClickOutside=False,
        className="editor-box",
    )


def verdict(pages: Sequence[Page]) -> Component:
    count = len(pages[0].board.charts)
    told = f"This is right: {count} chart{'s' if count > 1 else ''}"
    told += f" on each of {len(pages)} pages; the first is shown." if len(pages) > 1 else "."
    return html.Div(told, className="right-verdict")


def wrong(text: str) -> Component:
    return html.Div(text, className="wrong-verdict")


def preview(page: Page, drawn: Mapping[str, Drawn]) -> Component:
    """The charts where they will stand, without what moves or downloads them."""
    places = places_of(page.board, {})["wide"]
    cells = []
    for name, chart in page.board.charts.items():
        place = places[name]
        style = {
            "gridColumn": f"{place.x + 1} / span {place.w}",
            "gridRow": f"{place.y + 1} / span {place.h}",
        }
        body = [
            html.Div(html.H2(chart.title), className="card-head"),
            html.Div(drawn[name].body, className="card-body"),
        ]
        cells.append(html.Section(body, className="card chart-card", style=style))
    style = {"gridAutoRows": f"{ROW_HEIGHT}px", "gap": f"{GAP}px"}
    return html.Div(cells, className="preview", style=style)


def described(sources: Iterable[Source]) -> str:
    """Every source with its columns, as plain text."""
    parts = []
    for source in sources:
        columns = [column for column in source.columns if column.kind != "mapping"]
        lines = [f"  {column.name} ({column.kind}): {column.description}" for column in columns]
        parts.append("\n".join([f"{source.name}: {source.description}", *lines]))
    return "\n\n".join(parts)


def add_callbacks(app: Dash, dashboards: Dashboards) -> None:
    library = dashboards.library

    @app.callback(
        Output("editor", "opened"),
        Output("name", "value"),
        Output("name", "disabled"),
        Output("yaml", "value"),
        Output("reset", "children"),
        Output("reset", "disabled"),
        Input("edit", "n_clicks"),
        Input("new", "n_clicks"),
        State("page", "data"),
        prevent_initial_call=True,
    )
    def open_editor(edits: int | None, news: int | None, slug: str | None):
        page = library.shelf().page(slug) if slug else None
        if ctx.triggered_id == "new" or page is None:
            return True, "my-dashboard", False, NEW, "Back to the file", True
        file = library.file(page.file)
        way_back = "Delete" if library.is_own(file.name) else "Back to the file"
        return True, file.name, True, file.text, way_back, not library.is_edited(file.name)

    @app.callback(
        Output("editor", "opened", allow_duplicate=True), Input("cancel", "n_clicks"), prevent_initial_call=True
    )
    def close_editor(clicks: int | None) -> bool:
        return False

    @app.callback(
        Output("verdict", "children"),
        Output("preview", "children"),
        Output("save", "disabled"),
        Input("yaml", "value"),
        Input("name", "value"),
        State("editor", "opened"),
        State("range", "value"),
        State("shade", "data"),
        prevent_initial_call=True,
    )
    def check(text: str | None, name: str | None, opened: bool, time_range: str | None, scheme: str | None):
        if not opened:
            return no_update, no_update, no_update
        try:
            found = library.check(BoardFile(name or "", text or ""))
        except SpecError as error:
            return wrong(str(error)), no_update, True
        board = found[0].board
        view = dashboards.view(scheme, time_range or board.time_range, datetime.now(UTC))
        drawn = {name: dashboards.artist.drawn(chart, view) for name, chart in board.charts.items()}
        return verdict(found), preview(found[0], drawn), False

    @app.callback(
        Output("editor", "opened", allow_duplicate=True),
        Output("revision", "data", allow_duplicate=True),
        Output("address", "search"),
        Output("verdict", "children", allow_duplicate=True),
        Input("save", "n_clicks"),
        Input("reset", "n_clicks"),
        State("name", "value"),
        State("yaml", "value"),
        State("page", "data"),
        State("revision", "data"),
        prevent_initial_call=True,
    )
    def finish(saves: int | None, resets: int | None, name: str, text: str, slug: str | None, revision: int):
        if ctx.triggered_id == "reset":
            library.reset(name)
            return False, revision + 1, _stay_or_leave(library.shelf().page(slug)), ""
        try:
            saved = library.save(BoardFile(name, text))
        except SpecError as error:
            return True, no_update, no_update, wrong(str(error))
        here = any(page.slug == slug for page in saved)
        return False, revision + 1, no_update if here else address_of(saved[0].slug), ""


def _stay_or_leave(page: object | None) -> Mapping | str:
    """A page that was deleted is left for the first one."""
    return no_update if page else ""
