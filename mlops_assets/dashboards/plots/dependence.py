"""Partial dependence: what the champion says on average if one of its inputs were different."""

from __future__ import annotations

import numpy as np

from mlops_assets.core.columns import Columns, take
from mlops_assets.dashboards.evidence import ExplainedRows
from mlops_assets.dashboards.format import base_figure
from mlops_assets.dashboards.plots.contributions import explained_champion
from mlops_assets.dashboards.plots.registry import Empty, Figure, PlotRequest, plot

GRID = 24  # values of a number that are tried
MOST_ROWS = 300
MOST_CATEGORIES = 15
CURVES = 12  # of single rows


def inputs_to_choose(request: PlotRequest) -> list[str]:
    """The champion's inputs, those that matter most first."""
    explained = request.evidence.explained()
    if explained is None:
        return []
    sizes = np.abs(explained.contributions.values).mean(axis=0)
    weight = {name: _weight(name, explained, sizes) for name in explained.columns}
    return sorted(weight, key=lambda name: -weight[name])


@plot("partial_dependence", "What the champion says on average if one input were different.", choices=inputs_to_choose)
def partial_dependence(request: PlotRequest) -> Figure:
    """Mean prediction over real rows whose chosen input is set to one value after another (Friedman, 2001).

    The thin lines are of single rows.
    """
    explained = explained_champion(request)
    name, features = request.chosen, explained.model.spec.features
    is_category = name in features.categories and name not in features.numeric
    columns = take(explained.columns, np.arange(min(MOST_ROWS, len(explained.y))))
    values = _frequent(columns[name]) if is_category else _across(columns[name])
    if len(values) < 2:
        raise Empty(f"`{name}` has one value only.")
    lines = _predict(explained, columns, name, values)
    figure = base_figure(request.view, y_title=request.view.unit or "prediction", x_title=name.replace("_", " "))
    if is_category:
        _bars(figure, request, values, lines)
    else:
        _curves(figure, request, values, lines)
    return figure


def _predict(explained: ExplainedRows, columns: Columns, name: str, values: np.ndarray) -> np.ndarray:
    """Predictions (values, rows) of the rows with each value put in."""
    count = len(columns[name])
    varied: Columns = {alias: np.tile(column, len(values)) for alias, column in columns.items()}
    varied[name] = np.repeat(values, count)
    return explained.model.predict_columns(varied).reshape(len(values), count)


def _bars(figure: Figure, request: PlotRequest, values: np.ndarray, lines: np.ndarray) -> None:
    """Categories in the order of their effect."""
    mean = lines.mean(axis=1)
    order = np.argsort(mean, kind="stable")
    names = [value if isinstance(value, str) else f"{value:g}" for value in values[order]]
    bars = {"x": names, "y": mean[order].tolist(), "marker": {"color": request.view.palette[0]}}
    figure["data"] = [{"type": "bar"} | bars]
    figure["layout"]["xaxis"] |= {"type": "category", "tickangle": "auto"}


def _curves(figure: Figure, request: PlotRequest, values: np.ndarray, lines: np.ndarray) -> None:
    palette = request.view.palette
    x = [str(value) for value in values] if values.dtype.kind == "M" else values.round(6).tolist()
    some = np.linspace(0, lines.shape[1] - 1, CURVES).astype(int)
    thin = {"line": {"color": palette[6], "width": 1}, "opacity": 0.35, "hoverinfo": "skip"}
    figure["data"] = [{"type": "scatter", "mode": "lines", "x": x, "y": lines[:, row].tolist()} | thin for row in some]
    mean = {"x": x, "y": lines.mean(axis=1).tolist(), "line": {"color": palette[0], "width": 3}}
    figure["data"].append({"type": "scatter", "mode": "lines", "name": "mean"} | mean)


def _weight(name: str, explained: ExplainedRows, sizes: np.ndarray) -> float:
    """The contributions of the features that an input is part of."""
    names = explained.contributions.names
    return float(sum(size for feature, size in zip(names, sizes, strict=True) if name in feature))


def _frequent(values: np.ndarray) -> np.ndarray:
    """The most frequent values of a category."""
    present = values[values != np.array(None)] if values.dtype == object else values[np.isfinite(values)]
    distinct, counts = np.unique(present, return_counts=True)
    return distinct[np.argsort(-counts, kind="stable")][:MOST_CATEGORIES]


def _across(values: np.ndarray) -> np.ndarray:
    """Quantiles of numbers; of times the hours of one day."""
    if values.dtype.kind == "M":
        day = np.sort(values[~np.isnat(values)])[len(values) // 2].astype("datetime64[D]")
        return (day + np.arange(24).astype("timedelta64[h]")).astype(values.dtype)
    finite = values[np.isfinite(values)]
    return np.unique(np.quantile(finite, np.linspace(0.01, 0.99, GRID))) if len(finite) else finite
