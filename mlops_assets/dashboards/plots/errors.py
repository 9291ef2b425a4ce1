"""Plots of errors on rows that a model had not learnt from: by segment, of intervals, and against what was promised."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydantic import Field

from mlops_assets.core.monitor.performance import MOST_CATEGORIES, THIRDS, main_category
from mlops_assets.dashboards.evidence import JudgedRows
from mlops_assets.dashboards.format import GREY, base_figure, listed, period_axis, shortened
from mlops_assets.dashboards.plots.registry import Empty, Figure, Options, PlotRequest, plot

NOT_JUDGED = "There is no champion yet, or the rows that it was judged by are gone: `mlops-assets run`."
FEWEST = 20  # rows of a segment


@plot("residuals_by_segment", "Errors of the champion's candidate on the judged rows, by parts of them.")
def residuals_by_segment(request: PlotRequest) -> Figure:
    judged = _judged(request)
    figure = base_figure(request.view, y_title=f"prediction − truth ({request.view.unit or 'target'})")
    palette = request.view.palette
    for group, name, rows in _segments(request, judged):
        errors = judged.errors[rows]
        low, q1, median, q3, high = np.quantile(errors, [0.05, 0.25, 0.5, 0.75, 0.95])
        box = {"q1": [q1], "median": [median], "q3": [q3], "lowerfence": [low], "upperfence": [high]}
        style = {"marker": {"color": palette[group]}, "line": {"width": 1.5}, "name": f"{name}: {rows.sum():,} rows"}
        figure["data"].append({"type": "box", "x": [shortened(name)], "mean": [errors.mean()]} | box | style)
    figure["layout"]["xaxis"] = {"type": "category"}
    zero = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": 0, "y1": 0}
    figure["layout"]["shapes"] = [zero | {"line": {"color": palette[GREY], "width": 1, "dash": "dot"}}]
    return figure


class Bins(Options):
    """What `interval_calibration` takes."""

    bins: int = Field(10, ge=2, le=30, description="Parts of the predicted range, with as many rows each.")


@plot(
    "interval_calibration", "How often the truth lies within the interval, by the size of the prediction.", options=Bins
)
def interval_calibration(request: PlotRequest) -> Figure:
    judged = _judged(request)
    answers = judged.answers
    if judged.coverage is None or not np.isfinite(answers.low).any():
        raise Empty("The champion has no intervals: there were too few validation rows to make them.")
    inside = (judged.y >= answers.low) & (judged.y <= answers.high)
    parts = np.array_split(np.argsort(answers.prediction, kind="stable"), min(request.options.bins, len(inside)))
    x = [float(np.median(answers.prediction[part])) for part in parts]
    share = np.array([inside[part].mean() for part in parts])
    error = 1.96 * np.sqrt(share * (1 - share) / [len(part) for part in parts])
    figure = base_figure(request.view, y_title="in their interval", x_title=f"prediction ({request.view.unit})")
    palette = request.view.palette
    bars = {"type": "data", "array": error.tolist(), "thickness": 1.2, "width": 3, "color": palette[0]}
    points = {"x": x, "y": share.tolist(), "error_y": bars, "marker": {"size": 7, "color": palette[0]}}
    figure["data"] = [{"type": "scatter", "mode": "lines+markers", "name": "realised", "line": {"width": 1}} | points]
    promised = {"x": [min(x), max(x)], "y": [judged.coverage] * 2, "line": {"color": palette[1], "dash": "dash"}}
    figure["data"].append({"type": "scatter", "mode": "lines", "name": "promised"} | promised)
    lowest = min(0.5, float(share.min()) - 0.05)
    figure["layout"]["yaxis"] |= {"tickformat": ".0%", "range": [lowest, 1.02]}
    figure["layout"]["showlegend"] = True
    return figure


@plot("realised_and_promised", "Realised loss by period, beside what the gate had promised.")
def realised_and_promised(request: PlotRequest) -> Figure:
    """Periods that the version had learnt from are hollow: their error says nothing."""
    rows = request.rows[request.rows["latest"]].sort_values("period")
    if rows["loss"].notna().sum() == 0:
        raise Empty("No period was measured yet: `model_performance` compares predictions with what came true.")
    figure = base_figure(request.view, y_title=request.project.target.metric.heading(request.view.unit))
    palette, periods = request.view.palette, list(rows["period"])
    band = {"type": "scatter", "mode": "lines", "x": periods, "line": {"width": 0, "shape": "hvh"}, "hoverinfo": "skip"}
    figure["data"] = [
        band | {"y": listed(rows["promised_low"]), "showlegend": False},
        band | {"y": listed(rows["promised_high"]), "fill": "tonexty", "name": "promised interval", "opacity": 0.4},
        {
            "type": "scatter",
            "mode": "lines",
            "name": "promised",
            "x": periods,
            "y": listed(rows["promised_loss"]),
            "line": {"color": palette[1], "dash": "dash", "shape": "hvh"},
        },
    ]
    symbols = ["circle-open" if learnt else "circle" for learnt in rows["learnt"]]
    marker = {"size": 9, "symbol": symbols, "color": palette[0]}
    realised = {"x": periods, "y": listed(rows["loss"]), "name": "realised", "marker": marker}
    figure["data"].append({"type": "scatter", "mode": "lines+markers", "line": {"color": palette[0]}} | realised)
    if rows["online_loss"].notna().any():
        online = {
            "x": periods,
            "y": listed(rows["online_loss"]),
            "name": "online",
            "marker": {"color": palette[2], "size": 8},
        }
        figure["data"].append({"type": "scatter", "mode": "markers"} | online)
    figure["layout"]["xaxis"] = period_axis(periods) or {"type": "category"}
    figure["layout"]["showlegend"] = True
    return figure


def _judged(request: PlotRequest) -> JudgedRows:
    judged = request.evidence.judged()
    if judged is None:
        raise Empty(NOT_JUDGED)
    return judged


def _segments(request: PlotRequest, judged: JudgedRows) -> Iterator[tuple[int, str, np.ndarray]]:
    """Group, name and rows (n,) of each part: thirds of the prediction, then the main category's frequent values."""
    prediction = judged.answers.prediction
    third = np.searchsorted(np.quantile(prediction, [1 / 3, 2 / 3]), prediction, side="right")
    for number, name in enumerate(THIRDS):
        if (third == number).sum() >= FEWEST:
            yield 0, f"{name} third", third == number
    category = main_category(request.project.spec)
    if category is None:
        return
    values = judged.columns[category].astype(str)
    names, counts = np.unique(values, return_counts=True)
    for value in names[np.argsort(-counts)][:MOST_CATEGORIES]:
        if (values == value).sum() >= FEWEST:
            yield 1, f"{category} {value.removesuffix('.0')}", values == value
