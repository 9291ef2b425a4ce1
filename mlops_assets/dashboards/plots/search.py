"""Plots of a search: its trials in parallel coordinates, and which hyperparameters mattered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from mlops_assets.dashboards.format import base_figure, shortened, trace
from mlops_assets.dashboards.plots import Empty, Figure, Options, PlotRequest, plot
from mlops_assets.dashboards.sources.mlflow import parameters_of
from mlops_assets.dashboards.sources.source import records

if TYPE_CHECKING:
    import pandas as pd

FEWEST_TRIALS = 6  # to judge parameters by
MOST_TRIALS = 400  # drawn, or learnt from
SHADES = 5
MOST_GROUPS = 6  # of a parameter's values
LABELS = 6  # at most so many names stand at an axis


def searches(request: PlotRequest) -> list[str]:
    """Searches of the rows, the newest first."""
    rows = request.rows
    newest = rows.groupby("search")["time"].max().sort_values(ascending=False)
    return list(newest.index)


class Lines(Options):
    """What `parallel_coordinates` takes."""

    best: int = Field(MOST_TRIALS, ge=2, le=2_000, description="Trials that are drawn, those with the lowest loss.")


@plot("parallel_coordinates", "The parameters of a search's trials, coloured by loss.", options=Lines, choices=searches)
def parallel_coordinates(request: PlotRequest) -> Figure:
    """One line a trial across an axis for each parameter; the best trials are drawn last and dark.

    Drawn as plain lines: Plotly's own needs WebGL and a looser security policy.
    """
    trials, table = _trials_of(request, request.options.best)
    loss = trials["loss"].to_numpy()
    axes = [(name, *_scaled_any([row.get(name) for row in table])) for name in _varied(table)]
    axes.append(("loss", *_scaled(loss)))
    figure = base_figure(request.view)
    figure["layout"]["margin"] = {"l": 12, "r": 40, "t": 70, "b": 12}
    figure["layout"]["xaxis"] = {"visible": False, "range": [-0.15, len(axes) - 0.8]}
    figure["layout"]["yaxis"] = {"visible": False, "range": [-0.05, 1.08]}
    figure["data"] = _lines(request, trials, np.column_stack([heights for _, heights, _ in axes]), loss)
    figure["layout"]["shapes"] = [
        {"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "line": {"color": "#8a8f98", "width": 1}}
        for x in range(len(axes))
    ]
    figure["layout"]["annotations"] = [note for x, axis in enumerate(axes) for note in _notes(x, *axis)]
    return figure


@plot("parameter_importance", "How much each hyperparameter explains of the loss.", choices=searches)
def parameter_importance(request: PlotRequest) -> Figure:
    """The share of the variance of the loss's ranks between groups of each parameter's values (epsilon squared)."""
    trials, table = _trials_of(request, MOST_TRIALS)
    ranks = trials["loss"].rank().to_numpy()  # one wild loss must not be all there is to explain
    shares = {name: explained([row.get(name) for row in table], ranks) for name in _varied(table)}
    shares = dict(sorted(shares.items(), key=lambda item: item[1]))
    figure = base_figure(request.view, x_title="share of the loss that it explains")
    bars = {"x": list(shares.values()), "y": list(shares), "orientation": "h"}
    figure["data"] = [trace("bar", marker_color=request.view.palette[0], **bars)]
    figure["layout"]["xaxis"] |= {"tickformat": ".0%", "range": [0, max(1e-9, *shares.values()) * 1.05]}
    figure["layout"]["yaxis"] = {"type": "category"}
    return figure


def explained(values: list, y: np.ndarray) -> float:
    """The share of the variance of y (n,) that groups of values explain, less what as many groups do by chance.

    Numbers are grouped by quantiles. In [0, 1].
    """
    heights, _ = _scaled_any(values)
    groups = min(MOST_GROUPS, len(np.unique(heights)), max(2, len(y) // 3))
    group = np.searchsorted(np.quantile(heights, np.arange(1, groups) / groups), heights, side="right")
    counts = np.bincount(group)
    means = np.bincount(group, weights=y) / np.maximum(counts, 1)
    within, free = float(((y - means[group]) ** 2).sum()), len(y) - (counts > 0).sum()
    total = float(((y - y.mean()) ** 2).sum()) / (len(y) - 1)
    return float(np.clip(1 - within / free / total, 0, 1)) if free > 0 and total else 0.0


def _trials_of(request: PlotRequest, most: int) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """The best trials of the chosen search that gave a loss, and their parameters; raises Empty."""
    rows = request.rows[(request.rows["search"] == request.choice) & request.rows["loss"].notna()]
    if len(rows) < FEWEST_TRIALS:
        raise Empty(f"{len(rows)} trial(s) say little: set `MLOPS_MAX_TRIALS` to {FEWEST_TRIALS} or more.")
    rows = rows.nsmallest(most, "loss")
    table = [parameters_of(row) for row in records(rows)]
    if not _varied(table):
        raise Empty("This search varies no parameter.")
    return rows, table


def _varied(table: list[dict[str, Any]]) -> list[str]:
    names = dict.fromkeys(name for row in table for name in row)
    return [name for name in names if len({repr(row.get(name)) for row in table}) > 1]


def _scaled_any(values: list) -> tuple[np.ndarray, dict[float, str]]:
    """Heights (n,) in [0, 1], and what stands at which height: ends of numbers, or names."""
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    if numeric:
        return _scaled(np.array(values, float))
    names = sorted({str(value) for value in values})
    step = 1 / max(len(names) - 1, 1)
    heights = np.array([names.index(str(value)) * step for value in values])
    labelled = names if len(names) <= LABELS else [names[0], names[-1]]
    return heights, {names.index(name) * step: name for name in labelled}


def _scaled(values: np.ndarray) -> tuple[np.ndarray, dict[float, str]]:
    """On a logarithmic axis where positive values go over more than two powers of ten."""
    low, high = float(values.min()), float(values.max())
    ends = {0.0: f"{low:.3g}", 1.0: f"{high:.3g}"}
    if low > 0 and high / low > 100:
        values, low, high = np.log(values), np.log(low), np.log(high)
    return (values - low) / ((high - low) or 1), ends


def _lines(request: PlotRequest, trials: pd.DataFrame, heights: np.ndarray, loss: np.ndarray) -> list[dict]:
    """One trace for each fifth of the trials, the worst first; a gap parts the lines."""
    palette = request.view.palette
    best_first = np.argsort(loss, kind="stable")
    traces = []
    for part, places in enumerate(reversed(np.array_split(best_first, SHADES))):
        x = [*range(heights.shape[1]), None] * len(places)
        y = [value for place in places for value in [*heights[place].tolist(), None]]
        is_best = part == SHADES - 1
        line = {"line_color": palette[1] if is_best else palette[0], "line_width": 1.6 if is_best else 1}
        labels = [f"trial {trials['trial'].iloc[place]:.0f}: {loss[place]:.4g}" for place in places]
        text = [label for label in labels for _ in range(heights.shape[1] + 1)]
        style = {"mode": "lines", "opacity": 0.25 + 0.15 * part, "hoverinfo": "text", "showlegend": False}
        traces.append(trace("scatter", x=x, y=y, text=text, **line, **style))
    return traces


def _notes(x: int, name: str, heights: np.ndarray, labels: dict[float, str]) -> list[dict]:
    heading = {"x": x, "y": 1.02, "text": f"<b>{shortened(name, 18)}</b>", "showarrow": False, "font": {"size": 11}}
    heading |= {"xanchor": "left", "yanchor": "bottom", "textangle": -30}
    ends = [
        {"x": x, "y": height, "text": text, "showarrow": False, "xanchor": "left", "xshift": 4, "font": {"size": 9}}
        for height, text in labels.items()
    ]
    return [heading, *ends]
