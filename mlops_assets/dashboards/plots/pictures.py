"""What a kind of target shows of how good a model is: the pictures of its runs in MLflow, drawn by Plotly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from pydantic import Field

from mlops_assets.core.report.drawing import Drawing, Mark, Panel
from mlops_assets.core.targets.class_plots import COLOURS, UNIT
from mlops_assets.dashboards.format import GREY, View, base_figure, trace
from mlops_assets.dashboards.plots import Empty, Figure, Options, PlotRequest, plot
from mlops_assets.dashboards.plots.errors import judged_rows
from mlops_assets.dashboards.theme import Scheme

GAP = 0.2  # of the width, between panels


class OfKind(Options):
    """What `quality` takes."""

    picture: str = Field(description="Title of a picture that the target's kind has, such as ROC.")


@plot("quality", "How good the champion's candidate is on the judged rows: a picture of its kind.", options=OfKind)
def quality(request: PlotRequest) -> Figure:
    """Of numbers `predicted against true`; of classes `confusion matrix`, `ROC` and others."""
    pictures = judged_rows(request).pictures
    if (draw := pictures.get(request.options.picture)) is None:
        raise Empty(f"This target has no picture '{request.options.picture}' (it has {', '.join(pictures)}).")
    return figure_of(draw(), request.view)


def figure_of(picture: Drawing, view: View) -> Figure:
    """The panels of a picture beside each other."""
    figure = base_figure(view)
    figure["layout"]["shapes"] = []
    width = (1 + GAP) / len(picture.panels)
    for place, panel in enumerate(picture.panels):
        axis = str(place + 1) if place else ""
        domain = {"domain": [place * width, min((place + 1) * width - GAP, 1)]} if len(picture.panels) > 1 else {}
        x, y = _axis(panel.x, panel.columns, panel.x_ends), _axis(panel.y, panel.rows, panel.y_ends)
        if panel.rows is not None:
            y["range"] = y["range"][::-1]
        figure["layout"] |= {
            f"xaxis{axis}": x | domain | {"anchor": f"y{axis}"},
            f"yaxis{axis}": y | {"anchor": f"x{axis}"},
        }
        on = {"xaxis": f"x{axis}", "yaxis": f"y{axis}"}
        for mark in panel.marks:
            colour = mark.colour if panel.columns else _colour(mark, view.palette)  # of cells: dark enough for words
            if np.isinf(mark.y).any():
                figure["layout"]["shapes"].append(_rule(mark, panel.x, colour, axis))
            else:
                figure["data"].append({"name": mark.label, "showlegend": bool(mark.label)} | _trace(mark, colour) | on)
        figure["data"] += [note | on for note in _notes(panel, view.scheme)]
    figure["layout"]["showlegend"] = any(trace["showlegend"] for trace in figure["data"])
    return figure


def _axis(title: str, names: Sequence[str] | None, ends: tuple[float, float] | None) -> dict[str, Any]:
    axis: dict[str, Any] = {"title": {"text": title}, "zeroline": False}
    if names is not None:
        ticks = {"tickvals": list(range(len(names))), "ticktext": list(names), "showgrid": False}
        return axis | ticks | {"range": [-0.5, len(names) - 0.5]}
    if ends == UNIT:  # with room for lines along the edges
        return axis | {"range": [-0.02, 1.02]}
    return axis | ({"range": list(ends)} if ends else {})


def _colour(mark: Mark, palette: Sequence[str]) -> str:
    """The theme's colour in place of a picture's."""
    return palette[COLOURS.index(mark.colour)] if mark.colour in COLOURS else palette[GREY]


def _trace(mark: Mark, colour: str) -> dict[str, Any]:
    if mark.end == "h0":
        dots = {"marker_color": colour, "marker_size": mark.size, "marker_opacity": mark.opacity}
        return trace("scatter", mode="markers", x=mark.x.ravel().tolist(), y=mark.y.ravel().tolist(), **dots)
    x, y = ([value for shape in values.tolist() for value in (*shape, None)] for values in (mark.x, mark.y))
    if mark.end == "z":
        area = {"fill": "toself", "fillcolor": colour, "opacity": mark.opacity, "line_width": 0, "hoverinfo": "skip"}
        return trace("scatter", mode="lines", x=x, y=y, **area)
    line = {"line_color": colour, "line_width": mark.size, "line_dash": "dash" if mark.dash else "solid"}
    return trace("scatter", mode="lines", x=x, y=y, **line)


def _rule(mark: Mark, title: str, colour: str, axis: str) -> dict[str, Any]:
    """A line from the bottom to the top; what the axis is said to be is not said again."""
    x, text = float(mark.x.ravel()[0]), mark.label.removeprefix(f"{title} ")
    line = {"line_color": colour, "line_width": mark.size, "line_dash": "dash"}
    place = {"x0": x, "x1": x, "y0": 0, "y1": 1, "xref": f"x{axis}", "yref": f"y{axis} domain"}
    label = {"textangle": 0, "textposition": "end", "xanchor": "left", "yanchor": "top", "font": {"size": 11}}
    return trace("line", **line, **place, label=label | {"text": text})


def _notes(panel: Panel, scheme: Scheme) -> Iterator[dict[str, Any]]:
    """Words beside what is drawn; of cells, in their middle."""
    if panel.notes:
        x, y, text = (list(values) for values in zip(*panel.notes, strict=True))
        shown: dict[str, Any] = {"textposition": "middle right"}
        if panel.columns:
            x = [round(place) for place in x]
            shown = {"textposition": "middle center", "textfont": {"color": "#fff" if scheme == "dark" else "#000"}}
        yield trace("scatter", mode="text", x=x, y=y, text=text, hoverinfo="skip", showlegend=False, **shown)
