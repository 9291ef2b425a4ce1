"""Draws one chart: reads its source, and gives what the card shows, a picture of it, or its data."""

from __future__ import annotations

import io
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, replace
from logging import getLogger
from typing import TYPE_CHECKING, Any

from mlops_assets.dashboards import tables
from mlops_assets.dashboards.cards import graph, message, outdated
from mlops_assets.dashboards.charts import Figure, draw
from mlops_assets.dashboards.data import ChartData, data_of, rows_of
from mlops_assets.dashboards.look import View
from mlops_assets.dashboards.plots import PLOTS, Empty, PlotRequest, read_options
from mlops_assets.dashboards.sources import Reading, Source
from mlops_assets.dashboards.spec import Chart
from mlops_assets.errors import MlopsError

if TYPE_CHECKING:
    from dash.development.base_component import Component

    from mlops_assets.dashboards.evidence import Evidence
    from mlops_assets.project import Project

log = getLogger(__name__)
READING = "Reading … {rows} rows so far."
PICTURE = {"width": 1000, "height": 560}


@dataclass(frozen=True)
class Drawn:
    """What a card shows, what can be chosen in it and is, and whether all was read."""

    body: Component
    choices: tuple[str, ...] = ()
    choice: str | None = None
    complete: bool = True


@dataclass(frozen=True)
class Artist:
    """Draws charts from these sources; no error of theirs gets past it but as a message in the card."""

    sources: Mapping[str, Source]
    project: Project
    evidence: Evidence

    def drawn(self, chart: Chart, view: View, choice: str | None = None) -> Drawn:
        try:
            reading = self.sources[chart.source].read()
            drawn = self._drawn(chart, reading, view, choice)
            return replace(drawn, body=outdated(drawn.body)) if reading.failure else drawn
        except MlopsError as error:
            return Drawn(message(self.project.spec.redact(str(error)), is_error=True))
        except Exception as error:
            told = self.project.spec.redact("".join(traceback.format_exception(error)))
            log.error("chart '%s' failed:\n%s", chart.title, told)
            return Drawn(
                message(f"This chart failed ({type(error).__name__}); the server's log says more.", is_error=True)
            )

    def picture(self, chart: Chart, view: View, choice: str | None) -> Figure:
        """The chart as a figure with its title and a background; raises what drawing it raises."""
        reading = self.sources[chart.source].read()
        if chart.type == "custom":
            figure = self._custom(chart, reading, view, choice)[0]
        else:
            data = self._data(chart, reading, view)
            is_text = chart.type in ("table", "number")
            figure = tables.as_figure(chart, data, view) if is_text else draw(chart, data, view)
        layout = figure["layout"]
        margin = layout.get("margin", {}) | {"t": 96 if layout["showlegend"] else 60, "l": 24, "r": 24, "b": 24}
        paper = "#1a2028" if view.scheme == "dark" else "#ffffff"
        title = {"text": chart.title, "x": 0.02, "y": 0.97, "yanchor": "top", "font": {"size": 17}}
        return figure | {"layout": layout | PICTURE | {"margin": margin, "paper_bgcolor": paper, "title": title}}

    def csv(self, chart: Chart, view: View) -> str:
        """The data of the chart as CSV with a header line."""
        source = self.sources[chart.source]
        frame = source.read().frame
        if chart.type == "custom":
            rows = rows_of(chart, source, frame, view)
            shown = rows[[column.name for column in source.columns]]
        else:
            shown = data_of(chart, source, rows_of(chart, source, frame, view), view).frame
        out = io.StringIO()
        shown.to_csv(out, index=False)
        return out.getvalue()

    def _drawn(self, chart: Chart, reading: Reading, view: View, choice: str | None) -> Drawn:
        try:
            if chart.type == "custom":
                figure, choices, chosen = self._custom(chart, reading, view, choice)
                return Drawn(graph(figure), choices, chosen, reading.complete)
            data = self._data(chart, reading, view)
        except Empty as empty:
            return Drawn(message(str(empty)), complete=reading.complete)
        if chart.type == "number":
            body = tables.number(chart, data, view)
        elif chart.type == "table":
            body = tables.table(data, view)
        else:
            body = graph(draw(chart, data, view))
        return Drawn(body, complete=reading.complete)

    def _data(self, chart: Chart, reading: Reading, view: View) -> ChartData:
        """What is drawn; raises Empty where that is nothing."""
        source = self.sources[chart.source]
        rows = rows_of(chart, source, reading.frame, view)
        data = data_of(chart, source, rows, view)
        is_nothing = data.frame.isna().all(axis=None) if chart.type == "number" else data.frame.empty
        if is_nothing or reading.frame.empty:
            raise Empty(_nothing(chart, source, reading, view))
        return data

    def _custom(
        self, chart: Chart, reading: Reading, view: View, choice: str | None
    ) -> tuple[Any, tuple[str, ...], str | None]:
        plot, source = PLOTS[chart.plot], self.sources[chart.source]
        options = read_options(plot, chart.options)
        rows = rows_of(chart, source, reading.frame, view)
        if rows.empty:
            raise Empty(_nothing(chart, source, reading, view))
        request = PlotRequest(rows, options, None, view, self.project, self.evidence)
        choices = tuple(plot.choices(request)) if plot.choices else ()
        chosen = choice if choice in choices else next(iter(choices), None)
        figure = plot.draw(PlotRequest(rows, options, chosen, view, self.project, self.evidence))
        return _as_dictionary(figure), choices, chosen


def _nothing(chart: Chart, source: Source, reading: Reading, view: View) -> str:
    """Why there is nothing to see, and what to do."""
    if not reading.complete:
        return READING.format(rows=len(reading.frame))
    if reading.frame.empty:
        return source.empty
    if chart.empty:
        return chart.empty
    if source.time and not chart.all_time and view.time_range != "all":
        return f"Nothing of this kind in the time range ({view.time_range}): choose a longer one, above."
    return "No row passes the filters of this chart."


def _as_dictionary(figure: Any) -> Figure:
    """A plot may give Plotly's own object."""
    return figure if isinstance(figure, dict) else figure.to_plotly_json()
