"""Plots of errors on rows that a model had not learnt from: by segment, of intervals, and against what was promised."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from mlops_assets.core.monitor.performance import MOST_CATEGORIES, THIRDS, main_category
from mlops_assets.dashboards.evidence import JudgedRows
from mlops_assets.dashboards.format import GREY, base_figure, listed, period_axis, shortened, trace
from mlops_assets.dashboards.plots import Empty, Figure, Options, PlotRequest, plot

if TYPE_CHECKING:
    import pandas as pd

FEWEST = 20  # rows of a segment


@plot("residuals_by_segment", "Errors of the champion's candidate on the judged rows, by parts of them.")
def residuals_by_segment(request: PlotRequest) -> Figure:
    judged = judged_rows(request)
    figure = base_figure(request.view, y_title=f"prediction − truth ({request.view.unit or 'target'})")
    palette = request.view.palette
    for group, name, rows in _segments(request, judged):
        errors = judged.errors[rows]
        low, q1, median, q3, high = np.quantile(errors, [0.05, 0.25, 0.5, 0.75, 0.95])
        box = {"q1": [q1], "median": [median], "q3": [q3], "lowerfence": [low], "upperfence": [high]}
        style = {"marker_color": palette[group], "line_width": 1.5, "mean": [errors.mean()]}
        figure["data"].append(trace("box", x=[shortened(name)], name=f"{name}: {rows.sum():,} rows", **box, **style))
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
    judged = judged_rows(request)
    answers = judged.answers
    if judged.model.coverage is None or not np.isfinite(answers.low).any():
        raise Empty("The champion has no intervals: there were too few validation rows to make them.")
    inside = (judged.y >= answers.low) & (judged.y <= answers.high)
    parts = np.array_split(np.argsort(answers.prediction, kind="stable"), min(request.options.bins, len(inside)))
    x = [float(np.median(answers.prediction[part])) for part in parts]
    share = np.array([inside[part].mean() for part in parts])
    error = 1.96 * np.sqrt(share * (1 - share) / [len(part) for part in parts])
    x_title = f"prediction ({request.view.unit or 'target'})"
    figure = base_figure(request.view, y_title="in their interval", x_title=x_title)
    palette = request.view.palette
    bars = {"type": "data", "array": error.tolist(), "thickness": 1.2, "width": 3}
    dots = {"mode": "lines+markers", "marker_size": 7, "marker_color": palette[0], "line_width": 1}
    ends, promised = [min(x), max(x)], [judged.model.coverage] * 2
    figure["data"] = [
        trace("scatter", name="realised", x=x, y=share.tolist(), **dots) | {"error_y": bars},
        trace("scatter", name="promised", x=ends, y=promised, mode="lines", line_color=palette[1], line_dash="dash"),
    ]
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
    low, high = listed(rows["promised_low"]), listed(rows["promised_high"])
    band = {"x": periods, "mode": "lines", "line_width": 0, "line_shape": "hvh", "hoverinfo": "skip"}
    figure["data"] = [
        trace("scatter", y=low, showlegend=False, **band),
        trace("scatter", y=high, fill="tonexty", name="promised interval", opacity=0.4, **band),
        _promised("promised", periods, rows["promised_loss"], palette),
        *_measured(rows, "loss", palette),
    ]
    return figure | {"layout": figure["layout"] | _by_period(periods)}


@plot(
    "coverage_by_period", "How often the truth lay within the interval, by period, beside what intervals are made for."
)
def coverage_by_period(request: PlotRequest) -> Figure:
    """A thin line from each point to the promise is the gap; a diamond is the same season a year before."""
    rows = request.rows[request.rows["latest"] & request.rows["coverage"].notna()].sort_values("period")
    if rows.empty:
        raise Empty("No period was measured by a version that has intervals yet.")
    figure = base_figure(request.view)
    palette, periods = request.view.palette, list(rows["period"])
    promised = rows["promised_coverage"].fillna(rows["promised_coverage"].max())
    points = _measured(rows, "coverage", palette)
    gap = (promised - rows["coverage"]).fillna(0)
    thin = {"type": "data", "symmetric": False, "width": 0, "thickness": 1, "color": palette[1]}
    points[0]["error_y"] = thin | {"array": gap.clip(lower=0).tolist(), "arrayminus": (-gap).clip(lower=0).tolist()}
    figure["data"] = [_promised("made to hold", periods, promised, palette), *points]
    by_period = dict(zip(periods, rows["coverage"], strict=True))
    time = request.project.spec.time
    season = [by_period.get(time.cadence.year_before(name)) if time else None for name in periods]
    if any(share is not None for share in season):
        style = {"mode": "markers", "marker_symbol": "diamond", "marker_size": 8, "marker_color": palette[GREY]}
        figure["data"].append(trace("scatter", name="a year before", x=periods, y=season, **style))
    figure["layout"]["yaxis"] |= {"tickformat": ".0%"}
    return figure | {"layout": figure["layout"] | _by_period(periods)}


def _promised(name: str, periods: Sequence[str], values: pd.Series, palette: Sequence[str]) -> dict[str, Any]:
    line = {"mode": "lines", "line_color": palette[1], "line_dash": "dash", "line_shape": "hvh"}
    return trace("scatter", name=name, x=periods, y=listed(values), **line)


def _measured(rows: pd.DataFrame, column: str, palette: Sequence[str]) -> list[dict[str, Any]]:
    """What came true by period, in batch and online; hollow where the version had learnt from it."""
    periods, online = list(rows["period"]), rows[f"online_{column}"]
    symbols = ["circle-open" if learnt else "circle" for learnt in rows["learnt"]]
    style = {"marker_size": 9, "marker_color": palette[0]}
    realised = {"mode": "lines+markers", "x": periods, "y": listed(rows[column]), "marker_symbol": symbols}
    traces = [trace("scatter", name="realised", **realised, **style)]
    if rows["learnt"].any():
        hollow = {"mode": "markers", "x": periods[:1], "y": [None], "marker_symbol": "circle-open"}
        traces.append(trace("scatter", name="learnt from", **hollow, **style))
    if online.notna().any():
        style = {"mode": "markers", "marker_size": 8, "marker_color": palette[2]}
        traces.append(trace("scatter", name="online", x=periods, y=listed(online), **style))
    return traces


def _by_period(periods: Sequence[str]) -> dict[str, Any]:
    return {"xaxis": period_axis(periods) or {"type": "category"}, "showlegend": True}


def judged_rows(request: PlotRequest) -> JudgedRows:
    judged = request.evidence.judged()
    if judged is None:
        raise Empty("There is no champion yet, or the rows that it was judged by are gone: `mlops-assets run`.")
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
