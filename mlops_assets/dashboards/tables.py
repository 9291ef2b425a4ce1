"""Charts that are text: tables and single numbers, for the page; and as figures, for a picture of them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import dash_mantine_components as dmc
import numpy as np
from dash import html

from mlops_assets.dashboards.charts import Figure, unit_of
from mlops_assets.dashboards.data import ChartData
from mlops_assets.dashboards.look import (
    COLOUR_OF,
    MANTINE,
    View,
    ago,
    base_figure,
    decimals_of,
    number_text,
    time_text,
)
from mlops_assets.dashboards.spec import Chart

if TYPE_CHECKING:
    from dash.development.base_component import Component

STATES = (
    "status",
    "outcome",
    "state",
    "decision",
    "verdict",
    "last_outcome",
)  # columns whose values are shown as badges
LONGEST_CELL, WRAPPED = 160, 32  # characters: what is longer is cut off, and what is not short is wrapped


def number(chart: Chart, data: ChartData, view: View) -> Component:
    """The first metric large, the others below it."""
    first, *others = data.values
    row = data.frame.iloc[0]
    shown = [html.Div(_number(row[first], chart, view), className="figure")]
    if isinstance(row[first], datetime):
        shown.append(html.Div(time_text(row[first], view.timezone), className="beside"))
    shown += [html.Div(f"{name} {_number(row[name], chart, view)}", className="beside") for name in others]
    return html.Div(shown, className="number")


def table(data: ChartData, view: View) -> Component:
    """Rows with one link each where the source has links, states as badges, numbers to the right."""
    frame = data.frame
    links = frame["link"] if "link" in frame else None
    names = [name for name in frame if name != "link"]
    numeric = {name: decimals_of(frame[name]) for name in names if frame[name].dtype.kind in "fi"}
    head = [html.Th(name.replace("_", " "), className="right" if name in numeric else None) for name in names]
    body = []
    for place in range(len(frame)):
        cells = []
        for name in names:
            value = frame[name].iloc[place]
            shown = f"{value:,.{numeric[name]}f}" if name in numeric and value == value else _cell(name, value, view)
            look = "right" if name in numeric else "long" if isinstance(value, str) and len(value) > WRAPPED else None
            if links is not None and name == names[0] and links.iloc[place]:
                shown = html.A(shown, href=links.iloc[place], target="_blank", rel="noopener")
            cells.append(html.Td(shown, className=look))
        body.append(html.Tr(cells))
    rows = html.Table([html.Thead(html.Tr(head)), html.Tbody(body)], className="rows")
    return html.Div(rows, className="table")


def as_figure(chart: Chart, data: ChartData, view: View) -> Figure:
    """A table or number as a figure, which a browser can turn into a picture."""
    figure = base_figure(view)
    if chart.type == "number":
        text = _number(data.frame.iloc[0][data.values[0]], chart, view)
        figure["layout"]["annotations"] = [
            {
                "text": text,
                "showarrow": False,
                "font": {"size": 40},
                "xref": "paper",
                "yref": "paper",
                "x": 0.5,
                "y": 0.5,
            }
        ]
        figure["layout"] |= {"xaxis": {"visible": False}, "yaxis": {"visible": False}}
        return figure
    frame = data.frame.drop(columns=["link"], errors="ignore")
    cells = [[_text(name, value, view) for value in frame[name]] for name in frame]
    look = {"align": "left", "fill": {"color": "rgba(0,0,0,0)"}, "line": {"color": "#99999944"}}
    head = {"values": [f"<b>{name.replace('_', ' ')}</b>" for name in frame]}
    figure["data"].append({"type": "table", "header": head | look, "cells": {"values": cells, "height": 24} | look})
    return figure


def _number(value: Any, chart: Chart, view: View) -> str:
    if isinstance(value, datetime):
        return ago(value, view.now)
    if isinstance(value, str):
        return value
    return number_text(value, unit_of(chart, view))


def _cell(name: str, value: Any, view: View) -> Component | str:
    if name in STATES and value in COLOUR_OF:
        colour = MANTINE[COLOUR_OF[value]]
        return dmc.Badge(value, color=colour, variant="light", size="sm", radius="sm", tt="none")
    text = _text(name, value, view)
    return text if len(text) <= LONGEST_CELL else html.Span(f"{text[: LONGEST_CELL - 1]}…", title=text)


def _text(name: str, value: Any, view: View) -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return time_text(value, view.timezone) if value == value else "–"
    return "–" if value is None else value if isinstance(value, str) else number_text(value)
