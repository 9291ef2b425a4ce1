"""The editor of a dashboard's YAML: what is written is checked and previewed, then saved, or the file holds again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Lock
from time import monotonic, sleep, thread_time
from typing import TYPE_CHECKING

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, ctx, html, no_update

from mlops_assets.dashboards.boards import BoardFile, Page
from mlops_assets.dashboards.context import Dashboards
from mlops_assets.dashboards.grid import grid, places_of, still
from mlops_assets.dashboards.render import RenderedChart
from mlops_assets.dashboards.sources.source import Source
from mlops_assets.dashboards.spec import TimeRange
from mlops_assets.dashboards.theme import Scheme, attributes
from mlops_assets.errors import SpecError

if TYPE_CHECKING:
    from dash.development.base_component import Component


DEBOUNCE_MILLISECONDS = 600
SHARE = 0.2  # of one core's time, at most, that all editors together may take
LEAST_PAUSE = 0.05  # seconds
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
        **attributes(aria_label="YAML of the dashboard"),
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
    text = f"This is right: {count} chart{'s' if count > 1 else ''}"
    text += f" on each of {len(pages)} pages; the first is shown." if len(pages) > 1 else "."
    return html.Div(text, className="right-verdict")


def wrong(text: str) -> Component:
    return html.Div(text, className="wrong-verdict")


def preview(page: Page, charts: Mapping[str, RenderedChart]) -> Component:
    """The charts where they will stand, without what moves or downloads them."""
    cards = {}
    for name, chart in page.board.charts.items():
        head = html.Div(html.H2(chart.title), className="card-head")
        body = html.Div(charts[name].body, className="card-body")
        cards[name] = html.Section([head, body], className="card chart-card")
    return still(grid(page.slug, cards, places_of(page.board, {})))


def described(sources: Iterable[Source]) -> str:
    """Every source with its columns, as plain text."""
    parts = []
    for source in sources:
        columns = [column for column in source.columns if column.kind != "mapping"]
        lines = [f"  {column.name} ({column.kind}): {column.description}" for column in columns]
        parts.append("\n".join([f"{source.name}: {source.description}", *lines]))
    return "\n\n".join(parts)


class Pace:
    """One check at a time, each after a pause that the one before has earned.

    Predictions are answered in this process too, and editors may ask as often as they like.
    """

    def __init__(self, share: float = SHARE) -> None:
        self._pause_of_a_second = 1 / share - 1
        self._lock, self._free_at = Lock(), 0.0

    @contextmanager
    def turn(self) -> Iterator[None]:
        with self._lock:
            sleep(max(0.0, self._free_at - monotonic()))
            began = thread_time()
            try:
                yield
            finally:
                took = thread_time() - began
                self._free_at = monotonic() + max(LEAST_PAUSE, took * self._pause_of_a_second)


def add_callbacks(app: Dash, dashboards: Dashboards) -> None:
    library, pace = dashboards.library, Pace()

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
        page = library.page_list().page(slug) if slug else None
        file = library.file(page.file) if page else None
        if ctx.triggered_id == "new" or file is None:
            return True, "my-dashboard", False, NEW, "Back to the file", True
        way_back = "Delete" if library.is_own(file.name) else "Back to the file"
        return True, file.name, True, file.text, way_back, not library.is_edited(file.name)

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
    def check(text: str | None, name: str | None, opened: bool, time_range: TimeRange | None, scheme: Scheme | None):
        if not opened:
            return no_update, no_update, no_update
        with pace.turn():
            try:
                pages = library.check(BoardFile(name or "", text or ""))
            except SpecError as error:
                return wrong(str(error)), no_update, True
            board = pages[0].board
            view = dashboards.view(scheme, time_range or board.time_range, datetime.now(UTC))
            charts = {name: dashboards.renderer.render(chart, view) for name, chart in board.charts.items()}
        return verdict(pages), preview(pages[0], charts), False

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
            gone = library.page_list().page(slug) is None  # and is left for the first one
            return False, revision + 1, "" if gone else no_update, ""
        try:
            with pace.turn():
                saved = library.save(BoardFile(name, text))
        except SpecError as error:
            return True, no_update, no_update, wrong(str(error))
        here = any(page.slug == slug for page in saved)
        return False, revision + 1, no_update if here else saved[0].address, ""
