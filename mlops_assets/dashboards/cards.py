"""The card of a chart: its heading, what can be done with it, and the place where it is drawn.

Tooltips and buttons are plain HTML: Mantine's tooltips and menus look at every part of the page whenever one changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import dash_mantine_components as dmc
from dash import dcc, html
from dash.dependencies import Wildcard

from mlops_assets.dashboards.grid import HANDLE
from mlops_assets.dashboards.spec import Chart
from mlops_assets.dashboards.theme import GRAPH_CONFIG, attributes

if TYPE_CHECKING:
    from dash.development.base_component import Component

    from mlops_assets.dashboards.render import RenderedChart

IdPart = str | Wildcard  # a name, or MATCH or ALL where a callback is for several components
DOWNLOADS = {"png": "a picture", "csv": "its data"}
AGAIN_MILLISECONDS = 1_500  # until a chart of which not all is read asks again


def part(kind: str, page: IdPart, chart: IdPart) -> dict[str, IdPart]:
    """The id of one part of a card, or the pattern of that part of several."""
    return {"part": kind, "page": page, "chart": chart}


def card(page: str, name: str, chart: Chart, drawn: RenderedChart | None = None) -> Component:
    """A card that a callback fills; `page` and `name` are part of the ids of its parts. `drawn`: first of all."""
    choice = dmc.Select(
        id=part("choice", page, name),
        size="xs",
        className="choice",
        style={"display": "none"},
        allowDeselect=False,
        comboboxProps={"withinPortal": True},
        **attributes(aria_label=f"What {chart.title} shows"),
    )
    head: list[Component] = [html.Span(className=HANDLE, title="Drag to move"), html.H2(chart.title, title=chart.title)]
    if chart.description:
        description = attributes(data_about=chart.description, aria_label=chart.description)
        head.append(html.Span("i", className="about", tabIndex=0, **description))
    buttons = [
        html.Button(
            kind.upper(),
            id=part(kind, page, name),
            title=f"Download {what}",
            **attributes(aria_label=f"Download {what} of {chart.title}"),
        )
        for kind, what in DOWNLOADS.items()
    ]
    head += [html.Span(className="space"), choice, html.Span(buttons, className="downloads")]
    body, mark = (drawn.body, drawn.mark) if drawn else (html.Div(className="waiting"), None)
    return html.Section(
        [
            html.Div(head, className="card-head"),
            html.Div(body, id=part("body", page, name), className="card-body"),
            dcc.Interval(id=part("again", page, name), interval=AGAIN_MILLISECONDS, disabled=True),
            dcc.Store(id=part("mark", page, name), data=mark),
        ],
        className="card chart-card",
        **attributes(aria_label=chart.title),
    )


def graph(figure: Any) -> Component:
    return dcc.Graph(figure=figure, config=GRAPH_CONFIG, responsive=True, className="graph")


def message(text: str, *, is_error: bool = False) -> Component:
    """What stands in a card instead of a chart; words between backticks are code."""
    return html.Div(html.P(coded(text)), className="message wrong" if is_error else "message")


def outdated(body: Component) -> Component:
    """What was read before, with a note that the store does not answer now."""
    return html.Div([html.Div("The store does not answer; this is what was last read.", className="note"), body])


def coded(text: str) -> Sequence[Component | str]:
    """Text in which the words between backticks are set as code."""
    return [html.Code(words) if place % 2 else words for place, words in enumerate(text.split("`"))]
