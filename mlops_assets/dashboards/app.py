"""The Dash application of the dashboards: its pages, their charts, and what is downloaded of them."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from urllib.parse import parse_qs

from dash import ALL, MATCH, Dash, Input, Output, State, ctx, dcc, html, no_update, set_props
from dash.exceptions import PreventUpdate
from dash_mantine_components import MantineProvider
from flask import request

from mlops_assets.dashboards import editor, grid, pages
from mlops_assets.dashboards.at_work import add_at_work
from mlops_assets.dashboards.cards import message, part
from mlops_assets.dashboards.context import Dashboards
from mlops_assets.dashboards.first_look import CSS as FIRST_CSS
from mlops_assets.dashboards.first_look import first_look
from mlops_assets.dashboards.format import error_text
from mlops_assets.dashboards.grid import STILL_CSS
from mlops_assets.dashboards.pages import frame
from mlops_assets.dashboards.spec import TEXTS, TimeRange
from mlops_assets.dashboards.theme import CSS, DASHBOARDS, Scheme, new_app, opened_search
from mlops_assets.errors import MlopsError, SpecError

# The page knows its scheme; Mantine's switch tells `light` at first, whatever the browser's own scheme has made of it.
_SHADE = """
() => {
    const root = document.documentElement, name = "data-mantine-color-scheme";
    const tell = () => window.dash_clientside.set_props("shade", {data: root.getAttribute(name)});
    new MutationObserver(tell).observe(root, {attributes: true, attributeFilter: [name]});
    return root.getAttribute(name);
}
"""
_SHOW_WHERE = """
() => setTimeout(() => document.querySelector("#boards .current")?.scrollIntoView({inline: "center", block: "nearest"}))
"""
_SAVE_PICTURE = """
picture => {
    Plotly.downloadImage(picture.figure, {format: "png", scale: 2, filename: picture.name,
        width: picture.figure.layout.width, height: picture.figure.layout.height});
}
"""


def build_app(dashboards: Dashboards) -> Dash:
    """The application, whose callbacks read what `dashboards` holds."""
    redact = dashboards.project.spec.redact

    def report(error: Exception) -> None:
        text = error_text(error, redact, f"This did not work ({type(error).__name__}); the server's log says more.")
        set_props("notice", {"children": message(text, is_error=True)})

    app = new_app("Dashboards", DASHBOARDS, css=CSS + STILL_CSS + FIRST_CSS, on_error=report)
    app.config.suppress_callback_exceptions = True  # charts are parts of pages that come later

    def layout() -> MantineProvider:
        """With the page of the address that the browser has opened."""
        search = opened_search()
        return frame(shown(dashboards, search), dashboards.sources, search and f"?{search}")

    app.layout = layout
    app.first = lambda: first_look(frame(shown(dashboards, request.query_string.decode()), {}))
    _show_pages(app, dashboards)
    _draw_charts(app, dashboards)
    _download(app, dashboards)
    grid.add_callbacks(app, dashboards.keep_layout)
    editor.add_callbacks(app, dashboards)
    add_at_work(app, dashboards.at_work, dashboards.project.settings.dagster_url)
    return app


def shown(dashboards: Dashboards, search: str) -> pages.Shown:
    """What the page of an address shows, its numbers and tables filled in; where a store is away, that it is."""
    slug = parse_qs(search.lstrip("?")).get("board", [None])[0]
    try:
        page_list = dashboards.library.page_list()
        page = page_list.page(slug)
        if page is None:
            return pages.missing(page_list, slug or "overview")
        moved = dashboards.store.layouts(page.slug)
    except MlopsError as error:
        told = message(dashboards.project.spec.redact(str(error)), is_error=True)
        return pages.Shown([], "Dashboards", "", [told], html.Div())
    view = dashboards.view(None, page.board.time_range, datetime.now(UTC))
    texts = {name: chart for name, chart in page.board.charts.items() if chart.type in TEXTS}
    with ThreadPoolExecutor() as pool:  # each may wait for a store that is read for the first time
        drawn = {name: pool.submit(dashboards.renderer.render, chart, view) for name, chart in texts.items()}
    return pages.show(page_list, page, moved, {name: rendered.result() for name, rendered in drawn.items()})


def _show_pages(app: Dash, dashboards: Dashboards) -> None:
    @app.callback(
        Output("boards", "children"),
        Output("page-title", "children"),
        Output("page-subtitle", "children"),
        Output("notice", "children"),
        Output("content", "children"),
        Output("page", "data"),
        Output("range-of-page", "children"),
        Output("tick", "interval"),
        Input("address", "search"),
        Input("revision", "data"),
        prevent_initial_call=True,
    )
    def show(search: str | None, revision: int) -> pages.Shown:
        return shown(dashboards, search or "")

    app.clientside_callback("title => { document.title = `${title} · Dashboards`; }", Input("page-title", "children"))
    app.clientside_callback(_SHOW_WHERE, Input("boards", "children"))
    app.clientside_callback(_SHADE, Output("shade", "data"), Input("shade", "id"))
    app.clientside_callback("live => !live", Output("tick", "disabled"), Input("live", "checked"))

    @app.callback(
        Output("revision", "data"),
        Input("reset-layout", "n_clicks"),
        Input("again", "n_clicks"),
        State("page", "data"),
        State("revision", "data"),
        prevent_initial_call=True,
    )
    def act(resets: int | None, agains: int | None, page: str | None, revision: int) -> int:
        if ctx.triggered_id == "again":
            dashboards.forget()
        elif page:
            dashboards.store.forget_layout(page)
        return revision + 1


def _draw_charts(app: Dash, dashboards: Dashboards) -> None:
    @app.callback(
        Output(part("body", MATCH, MATCH), "children"),
        Output(part("choice", MATCH, MATCH), "data"),
        Output(part("choice", MATCH, MATCH), "value"),
        Output(part("choice", MATCH, MATCH), "style"),
        Output(part("again", MATCH, MATCH), "disabled"),
        Output(part("mark", MATCH, MATCH), "data"),
        Input("tick", "n_intervals"),
        Input("range", "value"),
        Input("shade", "data"),
        Input(part("choice", MATCH, MATCH), "value"),
        Input(part("again", MATCH, MATCH), "n_intervals"),
        State(part("mark", MATCH, MATCH), "data"),
        State(part("body", MATCH, MATCH), "id"),
    )
    def draw(
        ticks: int | None,
        time_range: TimeRange | None,
        scheme: Scheme | None,
        choice: str | None,
        agains: int | None,
        mark: str | None,
        place: Mapping[str, str],
    ):
        chart = dashboards.chart(place["page"], place["chart"])
        if chart is None or time_range is None or scheme is None:
            return [no_update] * 6
        view = dashboards.view(scheme, time_range, datetime.now(UTC))
        rendered = dashboards.renderer.render(chart, view, choice)
        if rendered.mark == mark:  # so that a look at what has not changed does not draw it again
            return [no_update] * 4 + [rendered.complete, no_update]
        style = {"display": "block" if rendered.choices else "none"}
        return rendered.body, list(rendered.choices), rendered.choice, style, rendered.complete, rendered.mark


def _download(app: Dash, dashboards: Dashboards) -> None:
    @app.callback(
        Output("file", "data"),
        Output("picture", "data"),
        Input(part("csv", ALL, ALL), "n_clicks"),
        Input(part("png", ALL, ALL), "n_clicks"),
        State("range", "value"),
        State("shade", "data"),
        State(part("choice", ALL, ALL), "id"),
        State(part("choice", ALL, ALL), "value"),
        prevent_initial_call=True,
    )
    def download(
        csv: list, png: list, time_range: TimeRange, scheme: Scheme, ids: list[dict], choices: list[str | None]
    ):
        place, clicks = ctx.triggered_id, ctx.triggered[0]["value"]
        if not clicks:  # other cards have come
            raise PreventUpdate
        chart = dashboards.chart(place["page"], place["chart"])
        if chart is None:
            raise SpecError(f"page '{place['page']}' has no chart '{place['chart']}' any more: load it again")
        view = dashboards.view(scheme, time_range, datetime.now(UTC))
        name = f"{place['page']}-{place['chart']}"
        if place["part"] == "csv":
            return dcc.send_string(dashboards.renderer.csv(chart, view), f"{name}.csv"), no_update
        choice = choices[ids.index({**place, "part": "choice"})]
        return no_update, {"figure": dashboards.renderer.picture(chart, view, choice), "name": name, "number": clicks}

    app.clientside_callback(_SAVE_PICTURE, Input("picture", "data"), prevent_initial_call=True)
