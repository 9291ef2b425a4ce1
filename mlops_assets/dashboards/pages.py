"""The page around the charts: navigation, time range, what can be done with a dashboard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import dash_mantine_components as dmc
from dash import dcc, html

from mlops_assets.dashboards.at_work import at_work_line
from mlops_assets.dashboards.boards import Page
from mlops_assets.dashboards.cards import card
from mlops_assets.dashboards.editor import editor
from mlops_assets.dashboards.grid import grid, places_of
from mlops_assets.dashboards.library import PageList, Places
from mlops_assets.dashboards.sources.source import Source
from mlops_assets.dashboards.spec import RANGES
from mlops_assets.dashboards.theme import DASHBOARDS, attributes, shell

if TYPE_CHECKING:
    from dash.development.base_component import Component

    from mlops_assets.dashboards.render import RenderedChart


ACTIONS = {  # buttons by id, each with its name and what it does
    "edit": ("Edit", "Change this dashboard's YAML"),
    "new": ("New", "Make another dashboard"),
    "reset-layout": ("Reset layout", "Put every chart back where the YAML has it"),
    "again": ("Read again", "Read all stores from the beginning: what was deleted there goes away here"),
}


class Shown(NamedTuple):
    """What of the frame is a dashboard's own."""

    links: list[Component]
    title: str
    description: str
    problems: list[Component]
    content: Component
    slug: str | None = None
    time_range: Component | str = ""
    refresh_milliseconds: int = 30_000


def frame(shown: Shown, sources: Mapping[str, Source], search: str = "") -> dmc.MantineProvider:
    """The page with a dashboard; `search`: what follows its address."""
    tools = [
        html.Div(shown.time_range, id="range-of-page"),
        dmc.Switch(id="live", label="Refresh", size="xs", checked=True, persistence=True),
        *(
            dmc.Button(name, id=key, variant="default", size="xs", attributes={"root": {"title": about}})
            for key, (name, about) in ACTIONS.items()
        ),
    ]
    return shell(
        html.Span(shown.title, id="page-title"),
        DASHBOARDS,
        [
            dcc.Location(id="address", refresh=False, search=search),
            dcc.Store(id="page", data=shown.slug),
            dcc.Store(id="shade"),
            dcc.Store(id="revision", data=0),
            dcc.Store(id="picture"),
            dcc.Download(id="file"),
            dcc.Interval(id="tick", interval=shown.refresh_milliseconds),
            html.Nav(shown.links, id="boards", **attributes(aria_label="Dashboards")),
            *at_work_line(),
            html.Div(shown.problems, id="notice", role="status"),
            html.Div(shown.content, id="content"),
            editor(sources),
        ],
        subtitle=html.Div(
            [html.Span(shown.description, id="page-subtitle"), html.Div(tools, className="tools")],
            className="under-title",
        ),
    )


def navigation(page_list: PageList, current: str | None) -> list[Component]:
    """A link to each page; pages of one file stand together."""
    links: list[Component] = []
    before = None
    for page in page_list.pages:
        if before is not None and before != page.file:
            links.append(html.Span(className="between"))
        before = page.file
        name = "current" if page.slug == current else None
        links.append(dcc.Link(page.board.title, href=DASHBOARDS + page.address, className=name))
    return links


def time_range(page: Page) -> Component:
    """The choice of a page's time range; each browser keeps its own for each page."""
    return dmc.Select(
        id="range",
        value=page.board.time_range,
        data=[{"value": name, "label": label} for name, (label, _) in RANGES.items()],
        persistence=page.slug,
        persistence_type="local",
        size="xs",
        w=112,
        allowDeselect=False,
        **attributes(aria_label="Time range"),
    )


def show(page_list: PageList, page: Page, moved: Mapping[str, Places], drawn: Mapping[str, RenderedChart]) -> Shown:
    """A page with its cards, of which some are drawn."""
    board = page.board
    cards = {name: card(page.slug, name, chart, drawn.get(name)) for name, chart in board.charts.items()}
    return Shown(
        navigation(page_list, page.slug),
        board.title,
        board.description,
        problems(page_list),
        grid(page.slug, cards, places_of(board, moved)),
        page.slug,
        time_range(page),
        board.refresh_seconds * 1000,
    )


def missing(page_list: PageList, slug: str) -> Shown:
    text = html.Div(["There is no dashboard named ", html.Code(slug), ". Choose one above."], className="message")
    return Shown(navigation(page_list, None), "Dashboards", "", problems(page_list), text)


def problems(page_list: PageList) -> list[Component]:
    """What is wrong with files, above the charts."""
    return [dmc.Alert(text, title="A dashboard is wrong", color="red", mb="sm") for text in page_list.problems.values()]
