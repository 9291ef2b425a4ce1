"""From what a chart draws to a Plotly figure, as the dictionary that the browser gets."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops_assets.dashboards.chart_data import ChartData
from mlops_assets.dashboards.format import GREEN, IN_LEGEND, RED, View, base_figure, listed, period_axis, shortened
from mlops_assets.dashboards.spec import Chart
from mlops_assets.dashboards.theme import template

if TYPE_CHECKING:
    from collections.abc import Iterator

Figure = dict[str, Any]
MOST_BINS = 40
WILD = 5  # times the middle half, beyond it
FEW_PERIODS, FEW_COUNTS = 4, 5
MARKED_UP_TO = 60  # points of a line that are marked one by one


def draw(chart: Chart, data: ChartData, view: View) -> Figure:
    """The figure of any type but number, table and custom."""
    unit = unit_of(chart, view)
    figure = base_figure(view, y_title="" if unit == "%" else unit)
    if unit == "%":
        figure["layout"]["yaxis"]["tickformat"] = ".0%"
    _DRAW[chart.type](figure, chart, data, view)
    for trace in figure["data"]:
        trace["name"] = shortened(trace.get("name", ""), IN_LEGEND)
    figure["layout"]["showlegend"] = len(figure["data"]) > 1 or chart.type == "pie" or bool(chart.group_by)
    return figure


def unit_of(chart: Chart, view: View) -> str:
    return view.unit if chart.unit == "target" else chart.unit


def _traces(data: ChartData, view: View) -> Iterator[Figure]:
    """A trace without a type for each series of each metric: its name, colour and values."""
    frame = data.frame
    names = sorted(set(frame[data.series])) if data.series else [""]
    several = len(data.values) > 1
    labels = {
        (name, value): ", ".join(part for part in (name, value if several or not name else "") if part)
        for name in names
        for value in data.values
    }
    colours = view.colours(list(labels.values()) if several else names)
    for (name, value), label in labels.items():
        rows = frame[frame[data.series] == name] if data.series else frame
        values = {"x": listed(rows[data.x]), "y": listed(rows[value])} if data.x else {"y": listed(rows[value])}
        colour = colours[label if several else name]
        yield {"name": label, "marker": {"color": colour}} | values


def _line(figure: Figure, chart: Chart, data: ChartData, view: View) -> None:
    """A line for each series; where none has two points yet, a bar for each."""
    if data.series and not data.frame.duplicated(data.series).any() and len(data.values) == 1:
        newest = ChartData(data.frame, x=data.series, series=data.series, values=data.values)
        _bar(figure, chart.model_copy(update={"type": "stacked bar"}), newest, view)
        return
    for trace in _traces(data, view):
        mode = "lines+markers" if len(trace["y"]) <= MARKED_UP_TO else "lines"
        figure["data"].append(trace | {"type": "scatter", "mode": mode})
    figure["layout"]["hovermode"] = "x unified"
    _plain_axis(figure, data)


def _bar(figure: Figure, chart: Chart, data: ChartData, view: View) -> None:
    for trace in _traces(data, view):
        lying = {"orientation": "h", "x": trace["y"], "y": trace["x"]} if chart.horizontal else {}
        figure["data"].append(trace | {"type": "bar"} | lying)
    layout = figure["layout"]
    layout["barmode"] = "stack" if chart.type == "stacked bar" else "group"
    layout["bargap"] = max(0.25, 1 - data.frame[data.x].nunique() / 4)  # a few bars are no walls
    if chart.metrics[0].column is None and data.frame.groupby(data.x)[data.values[0]].sum().max() <= FEW_COUNTS:
        layout["yaxis"]["dtick"] = 1
    if chart.horizontal:
        layout["xaxis"], layout["yaxis"] = layout["yaxis"], {"autorange": "reversed", "type": "category"}
        _short_ticks(layout["yaxis"], list(dict.fromkeys(listed(data.frame[data.x]))))
    else:
        _plain_axis(figure, data)


def _histogram(figure: Figure, chart: Chart, data: ChartData, view: View) -> None:
    """Bins are counted here: a hundred thousand numbers stay on the server."""
    values = data.frame[data.values[0]].to_numpy(float)
    ends = _reach(values)
    edges = np.histogram_bin_edges(values, bins="auto", range=ends)
    if len(edges) > MOST_BINS + 1:
        edges = np.histogram_bin_edges(values, bins=MOST_BINS, range=ends)
    middle, width = (edges[:-1] + edges[1:]) / 2, np.diff(edges)
    for trace in _traces(data, view):
        counts = np.histogram(np.clip(np.array(trace["y"], float), *ends), edges)[0]
        bars = {"x": middle.tolist(), "y": counts.tolist(), "width": width.tolist()}
        figure["data"].append(trace | {"type": "bar"} | bars)
    layout = figure["layout"]
    layout |= {"barmode": "stack", "bargap": 0.02}
    layout["xaxis"], layout["yaxis"] = layout["yaxis"], {}


def _reach(values: np.ndarray) -> tuple[float, float]:
    """The range of a histogram: a few wild values are counted at its ends, and do not push all others into one bin."""
    q1, q3 = np.quantile(values, [0.25, 0.75])
    reach = WILD * (q3 - q1) or np.inf
    return float(max(values.min(), q1 - reach)), float(min(values.max(), q3 + reach))


def _box(figure: Figure, chart: Chart, data: ChartData, view: View) -> None:
    """Quartiles are computed here; whiskers reach the outermost tenth of a percent within 1.5 times the box."""
    for trace in _traces(replace(data, x=None, series=data.series or data.x), view):
        values = np.array(trace.pop("y"), float)
        q1, median, q3 = np.quantile(values, [0.25, 0.5, 0.75])
        reach = 1.5 * (q3 - q1)
        inside = values[(values >= q1 - reach) & (values <= q3 + reach)]
        low, high = (inside.min(), inside.max()) if len(inside) else (q1, q3)
        numbers = {"q1": [q1], "median": [median], "q3": [q3], "lowerfence": [low], "upperfence": [high]}
        figure["data"].append(
            trace | {"type": "box", "x": [shortened(trace["name"])], "line": {"width": 1.5}} | numbers
        )
    figure["layout"]["xaxis"] |= {"type": "category", "tickangle": "auto"}


def _scatter(figure: Figure, chart: Chart, data: ChartData, view: View) -> None:
    for trace in _traces(data, view):
        marker = trace["marker"] | {"size": 7, "opacity": 0.7}
        figure["data"].append(trace | {"type": "scatter", "mode": "markers", "marker": marker})
    _plain_axis(figure, data)


def _heatmap(figure: Figure, chart: Chart, data: ChartData, view: View) -> None:
    wide = data.frame.pivot(index=data.series, columns=data.x, values=data.values[0])
    cells = {"x": listed(wide.columns.to_series()), "y": [shortened(str(name)) for name in wide.index]}
    cells["z"] = [[None if value != value else value for value in row] for row in wide.to_numpy(float).tolist()]
    figure["data"].append(
        {"type": "heatmap", "hoverongaps": False, "xgap": 1, "ygap": 1} | _shades(chart, data, view) | cells
    )
    figure["layout"]["yaxis"] |= {"title": {"text": ""}, "type": "category", "autorange": "reversed"}
    _plain_axis(figure, data)


def _shades(chart: Chart, data: ChartData, view: View) -> dict[str, Any]:
    """Darker for more; of the share of what passed, red where nothing did."""
    bar = {"thickness": 10, "outlinewidth": 0, "title": {"text": unit_of(chart, view)}}
    if chart.metrics[0].aggregation == "share":
        ends = [[0, view.palette[RED]], [1, view.palette[GREEN]]]
        return {"colorscale": ends, "zmin": 0, "zmax": 1, "showscale": False}
    if data.frame[data.values[0]].max() <= FEW_COUNTS and (data.frame[data.values[0]] % 1 == 0).all():
        bar["dtick"] = 1
    return {"colorscale": template(view.scheme)["layout"]["colorscale"]["sequential"], "colorbar": bar}


def _pie(figure: Figure, chart: Chart, data: ChartData, view: View) -> None:
    names = [str(name) for name in listed(data.frame[data.x])]
    slices = {"labels": names, "values": listed(data.frame[data.values[0]]), "hole": 0.55, "sort": False}
    slices |= {"marker": {"colors": list(view.colours(names).values())}, "hoverinfo": "label+value+percent"}
    figure["data"].append({"type": "pie", "textinfo": "value", "textposition": "inside"} | slices)
    figure["layout"]["legend"] = {"orientation": "v", "x": 1.02, "y": 0.5, "yanchor": "middle", "xanchor": "left"}


def _plain_axis(figure: Figure, data: ChartData) -> None:
    """Times and numbers are drawn to scale, and so are periods; other names stand beside each other."""
    axis, kind = figure["layout"]["xaxis"], data.frame[data.x].dtype.kind
    if kind == "f":
        axis |= {"title": {"text": (data.x or "").replace("_", " ")}}
    names = list(dict.fromkeys(listed(data.frame[data.x])))
    if kind == "M" and len(names) == 1:  # around which Plotly would name thousandths of a second
        axis |= {"tickmode": "array", "tickvals": names, "tickformat": "%H:%M<br>%b %d, %Y"}
    if kind in "Mf":
        return
    if periods := period_axis(names):
        axis |= periods
        if len(names) <= FEW_PERIODS:  # of which Plotly would name the weeks
            axis |= {"tickmode": "array", "tickvals": names}
        return
    axis["type"] = "category"
    _short_ticks(axis, names)


def _short_ticks(axis: dict[str, Any], names: list[str]) -> None:
    axis |= {"categoryorder": "array", "categoryarray": names, "tickangle": "auto"}
    if any(name != shortened(name) for name in names):
        axis |= {"tickmode": "array", "tickvals": names, "ticktext": [shortened(name) for name in names]}


_DRAW = {
    "line": _line,
    "bar": _bar,
    "stacked bar": _bar,
    "histogram": _histogram,
    "box": _box,
    "scatter": _scatter,
    "heatmap": _heatmap,
    "pie": _pie,
}
