"""Plots of why the champion says what it says: contributions on many rows and on one, partial dependence."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from mlops_assets.core.columns import Columns, take
from mlops_assets.dashboards.evidence import ExplainedRows
from mlops_assets.dashboards.format import base_figure, number_text, shortened, trace
from mlops_assets.dashboards.plots import Empty, Figure, Options, PlotRequest, plot

GRID = 24  # values of a number that are tried
MOST_ROWS = 300
MOST_CATEGORIES = 15
CURVES = 12  # of single rows


class Features(Options):
    """What the plots of contributions take."""

    features: int = Field(12, ge=1, le=40, description="Features that are shown, those that matter most.")


@plot("contribution_bars", "Mean size of each feature's contribution (SHAP bar).", options=Features)
def contribution_bars(request: PlotRequest) -> Figure:
    explained = explained_champion(request)
    names, values = _most(explained, request.options.features)
    figure = base_figure(request.view, x_title=f"mean |contribution| ({request.view.unit or 'target'})")
    sizes, colour = np.abs(values).mean(axis=0)[::-1].tolist(), request.view.palette[0]
    figure["data"] = [trace("bar", x=sizes, y=_short(names[::-1]), orientation="h", marker_color=colour)]
    figure["layout"]["yaxis"] = {"type": "category"}
    return figure


@plot(
    "beeswarm",
    "Contribution of each feature on each row, coloured by the feature's value (SHAP beeswarm).",
    options=Features,
)
def beeswarm(request: PlotRequest) -> Figure:
    explained = explained_champion(request)
    names, values = _most(explained, request.options.features)
    figure = base_figure(request.view, x_title=f"contribution ({request.view.unit or 'target'})")
    spread, rows = values.T[::-1], list(enumerate(reversed(names)))
    shade = np.concatenate([_relative(_value_of(name, explained), len(values)) for _, name in rows])
    x, y = spread.ravel().round(5), np.concatenate([row + _swarm(spread[row]) for row, _ in rows]).round(3)
    scale = [[0, request.view.palette[0]], [1, request.view.palette[1]]]
    ranked = {"marker_cmin": 0, "marker_cmax": 1, "marker_colorscale": scale}
    shared = {"mode": "markers", "marker_size": 4, "marker_opacity": 0.75, "hovertemplate": "%{x:.4g}<extra></extra>"}
    for chosen, style in ((shade != shade, {"marker_color": request.view.palette[6]}), (shade == shade, ranked)):
        colours = {"marker_color": shade[chosen].tolist()} | style
        figure["data"].append(trace("scatter", x=x[chosen].tolist(), y=y[chosen].tolist(), **shared, **colours))
    ticks = {"tickvals": list(range(len(names))), "ticktext": _short(names[::-1]), "zeroline": False}
    figure["layout"]["yaxis"] = ticks | {"range": [-0.6, len(names) - 0.4]}
    ends = zip(("low", "high"), request.view.palette, strict=False)
    dots = " to ".join(f"<span style='color:{colour}'>● {end}</span>" for end, colour in ends)
    corner = {"xref": "paper", "yref": "paper", "x": 1, "y": 1, "xanchor": "right", "yanchor": "bottom"}
    figure["layout"]["annotations"] = [corner | {"text": f"{dots} value of the feature", "showarrow": False}]
    figure["layout"]["margin"] = {"t": 24}
    return figure


def rows_to_choose(request: PlotRequest) -> list[str]:
    """Rows across the range of predictions, and those that were most wrong."""
    explained = explained_champion(request)
    order = np.argsort(explained.prediction)
    spread = {"typical": 0.5, "highest": 1.0, "lowest": 0.0, "high": 0.9, "low": 0.1}
    chosen = {name: order[round(share * (len(order) - 1))] for name, share in spread.items()}
    errors = explained.prediction - explained.y
    chosen |= {"too high": errors.argmax(), "too low": errors.argmin()}
    return [
        f"{name}: {explained.prediction[row]:.4g}, true {explained.y[row]:.4g} (row {explained.rows[row]})"
        for name, row in chosen.items()
    ]


@plot(
    "waterfall",
    "How the contributions of one row add up to its prediction (SHAP waterfall).",
    options=Features,
    choices=rows_to_choose,
)
def waterfall(request: PlotRequest) -> Figure:
    explained = explained_champion(request)
    row = int(np.flatnonzero(explained.rows == int(request.chosen.rpartition("row ")[2].rstrip(")")))[0])
    contributions = explained.contributions
    values, base = contributions.values[row], float(contributions.base[row])
    order = np.argsort(-np.abs(values))
    largest, rest = order[: request.options.features - 1], order[request.options.features - 1 :]
    steps = [(_with_value(contributions.names[place], explained, row), float(values[place])) for place in largest]
    if len(rest):
        steps.append((f"{len(rest)} others", float(values[rest].sum())))
    figure = base_figure(request.view, x_title=request.view.unit)
    palette = request.view.palette
    waterfall = trace(
        "waterfall",
        y=["expected", *_short([name for name, _ in steps]), "prediction"],
        x=[base, *(value for _, value in steps), 0],
        measure=["absolute", *["relative"] * len(steps), "total"],
        text=[number_text(base), *(f"{value:+.3g}" for _, value in steps), number_text(base + values.sum())],
        orientation="h",
        textposition="outside",
        cliponaxis=False,
        increasing_marker={"color": palette[0]},
        decreasing_marker={"color": palette[1]},
        totals_marker={"color": palette[6]},
        connector_line={"color": palette[6], "width": 1},
        hovertemplate="%{y}: %{x:.4g}<extra></extra>",
    )
    figure["data"] = [waterfall]
    path = base + np.cumsum([0.0, *(value for _, value in steps)])
    room = 0.45 * (np.ptp(path) or 1)
    figure["layout"]["xaxis"] |= {"range": [float(path.min() - room), float(path.max() + room)]}
    figure["layout"]["yaxis"] = {"autorange": "reversed", "type": "category"}
    return figure


def inputs_to_choose(request: PlotRequest) -> list[str]:
    """The champion's inputs, those that matter most first."""
    explained = explained_champion(request)
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


def explained_champion(request: PlotRequest) -> ExplainedRows:
    """Raises Empty where there is no champion."""
    explained = request.evidence.explained()
    if explained is None:
        raise Empty("There is no champion to explain yet: `mlops-assets run` ends with the gate's verdict.")
    return explained


def _most(explained: ExplainedRows, count: int) -> tuple[list[str], np.ndarray]:
    """The features with the largest mean contribution, and their values (rows, count)."""
    contributions = explained.contributions
    order = np.argsort(-np.abs(contributions.values).mean(axis=0))[:count]
    return [contributions.names[place] for place in order], contributions.values[:, order]


def _swarm(values: np.ndarray) -> np.ndarray:
    """Offsets (n,) within ±0.38 so that points in the same place stand beside each other."""
    bins = np.digitize(values, np.linspace(values.min(), values.max(), 80))
    rank = np.zeros(len(values))
    for number in np.unique(bins):
        inside = np.flatnonzero(bins == number)
        steps = np.arange(len(inside))
        rank[inside] = np.where(steps % 2, 1, -1) * ((steps + 1) // 2)
    return 0.38 * rank / max(np.abs(rank).max(), 8)


def _value_of(feature: str, explained: ExplainedRows) -> np.ndarray | None:
    """The feature's values where it is an input or a part of a time; None where it is made of several."""
    from mlops_assets.core.features.derive import derive

    derived = derive(explained.model.spec.features, explained.columns)
    values = derived.get(feature, explained.columns.get(feature))
    return values if values is not None and values.dtype.kind in "fi" else None


def _relative(values: np.ndarray | None, count: int) -> np.ndarray:
    """Ranks in [0, 1]; NaN, which is drawn grey, where values have no order."""
    if values is None:
        return np.full(count, np.nan)
    finite = np.isfinite(values)
    ranks = np.full(count, np.nan)
    ranks[finite] = values[finite].argsort().argsort() / max(finite.sum() - 1, 1)
    return ranks


def _with_value(feature: str, explained: ExplainedRows, row: int) -> str:
    values = _value_of(feature, explained)
    if values is None:
        values = explained.columns.get(feature)
    if values is None:
        return feature
    value = values[row]
    if values.dtype.kind == "M":
        return f"{feature} = {str(value)[:16].replace('T', ' ')}"
    return f"{feature} = {number_text(float(value)) if values.dtype.kind in 'fi' else value}"


def _short(names: list[str]) -> list[str]:
    """Names that leave room for the bars; two that begin alike stay two."""
    short_names = [shortened(name) for name in names]
    return [name if short_names.count(short) > 1 else short for name, short in zip(names, short_names, strict=True)]


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
    figure["data"] = [trace("bar", x=names, y=mean[order].tolist(), marker_color=request.view.palette[0])]
    figure["layout"]["xaxis"] |= {"type": "category", "tickangle": "auto"}


def _curves(figure: Figure, request: PlotRequest, values: np.ndarray, lines: np.ndarray) -> None:
    palette = request.view.palette
    x = [str(value) for value in values] if values.dtype.kind == "M" else values.round(6).tolist()
    some = np.linspace(0, lines.shape[1] - 1, CURVES).astype(int)
    thin = {"line_color": palette[6], "line_width": 1, "opacity": 0.35, "hoverinfo": "skip"}
    figure["data"] = [trace("scatter", mode="lines", x=x, y=lines[:, row].tolist(), **thin) for row in some]
    mean = {"name": "mean", "y": lines.mean(axis=1).tolist(), "line_color": palette[0], "line_width": 3}
    figure["data"].append(trace("scatter", mode="lines", x=x, **mean))


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
