"""Renders one chart: reads its source, and gives what the card shows, a picture of it, or its data as CSV.

Numbers and tables are components of their own; everything else is a figure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
from dash import html
from plotly.utils import PlotlyJSONEncoder

from mlops_assets.dashboards.cards import graph, message, outdated
from mlops_assets.dashboards.chart_data import ChartData, data_of, rows_of
from mlops_assets.dashboards.charts import Figure, draw, unit_of
from mlops_assets.dashboards.format import (
    COLOUR_OF,
    View,
    ago,
    base_figure,
    decimals_of,
    error_text,
    number_text,
    time_text,
)
from mlops_assets.dashboards.plots import PLOTS, Empty, PlotRequest, read_options
from mlops_assets.dashboards.sources.source import Reading, Source
from mlops_assets.dashboards.spec import TEXTS, Chart

if TYPE_CHECKING:
    import pandas as pd
    from dash.development.base_component import Component

    from mlops_assets.dashboards.evidence import Evidence
    from mlops_assets.project import Project

# Columns whose values are shown as badges.
STATES = ("status", "outcome", "state", "decision", "verdict", "last_outcome", "promise")
LONGEST_CELL, WRAPPED = 160, 32  # characters: what is longer is cut off, and what is not short is wrapped


PICTURE = {"width": 1000, "height": 560}


@dataclass(frozen=True)
class RenderedChart:
    """What a card shows, what can be chosen in it and is, and whether all was read."""

    body: Component
    choices: tuple[str, ...] = ()
    choice: str | None = None
    complete: bool = True

    @cached_property
    def mark(self) -> str:
        """A digest of what the card shows."""
        content = [self.body, self.choices, self.choice]
        text = json.dumps(content, cls=PlotlyJSONEncoder, sort_keys=True)
        return sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class ChartRenderer:
    """Draws charts from these sources; no error of theirs gets past it but as a message in the card."""

    sources: Mapping[str, Source]
    project: Project
    evidence: Evidence

    def render(self, chart: Chart, view: View, choice: str | None = None) -> RenderedChart:
        """The chart; what is wrong with it or its source is said in its place."""
        try:
            reading = self.sources[chart.source].read()
            rendered = self._render(chart, reading, view, choice)
            return replace(rendered, body=outdated(rendered.body)) if reading.failure else rendered
        except Exception as error:
            unexpected = f"{chart.title} failed ({type(error).__name__}); the server's log says more."
            return RenderedChart(message(error_text(error, self.project.spec.redact, unexpected), is_error=True))

    def picture(self, chart: Chart, view: View, choice: str | None) -> Figure:
        """The chart as a figure with its title and a background; raises what drawing it raises."""
        reading = self.sources[chart.source].read()
        if chart.plot is not None:
            figure = self._custom(chart.plot, chart, reading, view, choice)[0]
        else:
            data = self._data(chart, reading, view)
            figure = as_figure(chart, data, view) if chart.type in TEXTS else draw(chart, data, view)
        layout = figure["layout"]
        margin = {"t": 96 if layout["showlegend"] else 60, "l": 24, "r": 24, "b": 24}
        paper = "#1a2028" if view.scheme == "dark" else "#ffffff"
        title = {"text": chart.title, "x": 0.02, "y": 0.97, "yanchor": "top", "font": {"size": 17}}
        return figure | {"layout": layout | PICTURE | {"margin": margin, "paper_bgcolor": paper, "title": title}}

    def csv(self, chart: Chart, view: View) -> str:
        """The data of the chart as CSV with a header line."""
        source = self.sources[chart.source]
        rows = rows_of(chart, source, source.read().frame, view)
        if chart.plot is not None:
            return rows.to_csv(index=False, columns=[column.name for column in source.columns])
        return data_of(chart, source, rows, view).frame.to_csv(index=False)

    def _render(self, chart: Chart, reading: Reading, view: View, choice: str | None) -> RenderedChart:
        try:
            if chart.plot is not None:
                figure, choices, chosen = self._custom(chart.plot, chart, reading, view, choice)
                return RenderedChart(graph(figure), choices, chosen, reading.complete)
            data = self._data(chart, reading, view)
        except Empty as empty:
            return RenderedChart(message(str(empty)), complete=reading.complete)
        if chart.type == "number":
            rows = rows_of(chart, self.sources[chart.source], reading.frame, view)
            body = number(chart, data, view, _only_link(rows))
        elif chart.type == "table":
            body = table(chart, data, view)
        else:
            body = graph(draw(chart, data, view))
        return RenderedChart(body, complete=reading.complete)

    def _data(self, chart: Chart, reading: Reading, view: View) -> ChartData:
        """What is drawn; raises Empty where that is nothing."""
        source = self.sources[chart.source]
        rows = rows_of(chart, source, reading.frame, view)
        data = data_of(chart, source, rows, view)
        is_nothing = data.frame.isna().all(axis=None) if chart.type == "number" else data.frame.empty
        if is_nothing or reading.frame.empty:
            raise Empty(self._nothing(chart, reading, view))
        return data

    def _nothing(self, chart: Chart, reading: Reading, view: View) -> str:
        """Why there is nothing to see, and what to do."""
        source = self.sources[chart.source]
        if not reading.complete:
            return f"Reading … {len(reading.frame)} rows so far."
        if reading.frame.empty:
            return source.empty
        if not rows_of(chart, source, reading.frame, replace(view, time_range="all")).empty:
            return f"Nothing of this kind in the time range ({view.time_range}): choose a longer one, above."
        return chart.empty or "No row passes the filters of this chart."

    def _custom(
        self, plot_name: str, chart: Chart, reading: Reading, view: View, choice: str | None
    ) -> tuple[Figure, tuple[str, ...], str | None]:
        """The figure of a registered plot, what can be chosen in it, and what is."""
        plot, source = PLOTS[plot_name], self.sources[chart.source]
        options = read_options(plot, chart.options)
        rows = rows_of(chart, source, reading.frame, view)
        if rows.empty:
            raise Empty(self._nothing(chart, reading, view))
        request = PlotRequest(rows, options, None, view, self.project, self.evidence)
        choices = tuple(plot.choices(request)) if plot.choices else ()
        chosen = choice if choice in choices else next(iter(choices), None)
        figure = plot.draw(replace(request, choice=chosen))
        return figure if isinstance(figure, dict) else figure.to_plotly_json(), choices, chosen


def _only_link(rows: pd.DataFrame) -> str | None:
    """The page of what is counted, where all of it has the same."""
    links = set(rows["link"]) if "link" in rows else set()
    return links.pop() if len(links) == 1 else None


def number(chart: Chart, data: ChartData, view: View, link: str | None = None) -> Component:
    """The first metric large, and a link where one is given; the others below it."""
    first, *others = data.values
    row = data.frame.iloc[0]
    text = _number(row[first], chart, view)
    shown = html.A(text, href=link, target="_blank", rel="noopener") if link else text
    lines = [html.Div(shown, className="figure")]
    if isinstance(row[first], datetime):
        lines.append(html.Div(f"{time_text(row[first], view.timezone)} {view.timezone}", className="beside"))
    lines += [html.Div(f"{name} {_number(row[name], chart, view)}", className="beside") for name in others]
    return html.Div(lines, className="number")


def _heading(name: str, chart: Chart, frame: pd.DataFrame, view: View) -> str:
    """What stands above a column: its label, else its name; above times, their zone."""
    if name in chart.labels:
        return chart.labels[name].replace("{unit}", view.unit or "as the target")
    return f"{name.replace('_', ' ')} ({view.timezone})" if frame[name].dtype.kind == "M" else name.replace("_", " ")


def table(chart: Chart, data: ChartData, view: View) -> Component:
    """Rows with one link each where the source has links, states as badges, numbers to the right."""
    frame = data.frame
    links = frame.get("link")
    names = [str(name) for name in frame if name != "link"]
    numeric = {name: decimals_of(frame[name]) for name in names if frame[name].dtype.kind in "fi"}
    head = [
        html.Th(_heading(name, chart, frame, view), className="right" if name in numeric else None) for name in names
    ]
    body = []
    for place, values in enumerate(frame[names].itertuples(index=False)):
        cells: list[Component] = []
        for name, value in zip(names, values, strict=True):
            is_number = name in numeric and value == value
            content = f"{value:,.{numeric[name]}f}" if is_number else _cell(name, value, view)
            if links is not None and not cells and links.iloc[place]:
                content = html.A(content, href=links.iloc[place], target="_blank", rel="noopener")
            is_long = isinstance(value, str) and len(value) > WRAPPED
            cells.append(html.Td(content, className="right" if name in numeric else "long" if is_long else None))
        body.append(html.Tr(cells))
    rows = html.Table([html.Thead(html.Tr(head)), html.Tbody(body)], className="rows")
    return html.Div(rows, className="table")


def as_figure(chart: Chart, data: ChartData, view: View) -> Figure:
    """A table or number as a figure, which a browser can turn into a picture."""
    figure = base_figure(view)
    if chart.type == "number":
        text = _number(data.frame.iloc[0][data.values[0]], chart, view)
        middle = {"xref": "paper", "yref": "paper", "x": 0.5, "y": 0.5, "showarrow": False}
        figure["layout"]["annotations"] = [middle | {"text": text, "font": {"size": 40}}]
        figure["layout"] |= {"xaxis": {"visible": False}, "yaxis": {"visible": False}}
        return figure
    names = [str(name) for name in data.frame if name != "link"]
    cells = [[_text(value, view) for value in data.frame[name]] for name in names]
    style = {"align": "left", "fill": {"color": "rgba(0,0,0,0)"}, "line": {"color": "#99999944"}}
    head = {"values": [f"<b>{_heading(name, chart, data.frame, view)}</b>" for name in names]}
    figure["data"].append({"type": "table", "header": head | style, "cells": {"values": cells, "height": 24} | style})
    return figure


def _number(value: Any, chart: Chart, view: View) -> str:
    return ago(value, view.now) if isinstance(value, datetime) else _text(value, view, unit_of(chart, view))


def _cell(name: str, value: Any, view: View) -> Component | str:
    if name in STATES and value in COLOUR_OF:
        return html.Span(value, className="badge", style={"--tone": view.palette[COLOUR_OF[value]]})
    text = _text(value, view)
    return text if len(text) <= LONGEST_CELL else html.Span(f"{text[: LONGEST_CELL - 1]}…", title=text)


def _text(value: Any, view: View, unit: str = "") -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return time_text(value, view.timezone) if value == value else "–"
    return "–" if value is None else value if isinstance(value, str) else number_text(value, unit)
