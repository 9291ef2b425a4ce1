"""Plots of why the champion says what it says: contributions of features over many rows, and of one row."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from mlops_assets.dashboards.evidence import ExplainedRows
from mlops_assets.dashboards.format import base_figure, number_text, shortened
from mlops_assets.dashboards.plots.registry import Empty, Figure, Options, PlotRequest, plot

NO_CHAMPION = "There is no champion to explain yet: `mlops-assets run` ends with the gate's verdict."


class Features(Options):
    """What the plots of contributions take."""

    features: int = Field(12, ge=1, le=40, description="Features that are shown, those that matter most.")


@plot("contribution_bars", "Mean size of each feature's contribution (SHAP bar).", options=Features)
def contribution_bars(request: PlotRequest) -> Figure:
    explained = explained_champion(request)
    names, values = _most(explained, request.options.features)
    figure = base_figure(request.view, x_title=f"mean |contribution| ({request.view.unit or 'target'})")
    bars = {"x": np.abs(values).mean(axis=0)[::-1].tolist(), "y": _short(names[::-1]), "orientation": "h"}
    figure["data"] = [{"type": "bar", "marker": {"color": request.view.palette[0]}} | bars]
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
    height, place, colour = [], [], []
    for row, name in enumerate(reversed(names)):
        spread = values[:, names.index(name)]
        height.append(row + _swarm(spread))
        place.append(spread)
        colour.append(_relative(_value_of(name, explained), len(spread)))
    scale = [[0, request.view.palette[0]], [1, request.view.palette[1]]]
    shade, x, y = np.concatenate(colour), np.concatenate(place).round(5), np.concatenate(height).round(3)
    ranked = {"color": shade[shade == shade].tolist(), "cmin": 0, "cmax": 1, "colorscale": scale}
    for chosen, style in ((shade != shade, {"color": request.view.palette[6]}), (shade == shade, ranked)):
        points = {"x": x[chosen].tolist(), "y": y[chosen].tolist(), "hovertemplate": "%{x:.4g}<extra></extra>"}
        marker = {"size": 4, "opacity": 0.75} | style
        figure["data"].append({"type": "scatter", "mode": "markers", "marker": marker} | points)
    ticks = {"tickvals": list(range(len(names))), "ticktext": _short(names[::-1]), "zeroline": False}
    figure["layout"]["yaxis"] = ticks | {"range": [-0.6, len(names) - 0.4]}
    ends = zip(("low", "high"), request.view.palette, strict=False)
    dots = " to ".join(f"<span style='color:{colour}'>● {end}</span>" for end, colour in ends)
    corner = {"xref": "paper", "yref": "paper", "x": 1, "y": 1, "xanchor": "right", "yanchor": "bottom"}
    figure["layout"]["annotations"] = [corner | {"text": f"{dots} value of the feature", "showarrow": False}]
    figure["layout"]["margin"] |= {"t": 24}
    return figure


def rows_to_choose(request: PlotRequest) -> list[str]:
    """Rows across the range of predictions, and those that were most wrong."""
    explained = request.evidence.explained()
    if explained is None:
        return []
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
    bars = {
        "y": ["expected", *_short([name for name, _ in steps]), "prediction"],
        "x": [base, *(value for _, value in steps), 0],
        "measure": ["absolute", *["relative"] * len(steps), "total"],
        "text": [number_text(base), *(f"{value:+.3g}" for _, value in steps), number_text(base + values.sum())],
    }
    style = {
        "orientation": "h",
        "textposition": "outside",
        "cliponaxis": False,
        "increasing": {"marker": {"color": palette[0]}},
        "decreasing": {"marker": {"color": palette[1]}},
        "totals": {"marker": {"color": palette[6]}},
        "connector": {"line": {"color": palette[6], "width": 1}},
        "hovertemplate": "%{y}: %{x:.4g}<extra></extra>",
    }
    figure["data"] = [{"type": "waterfall"} | bars | style]
    path = base + np.cumsum([0.0, *(value for _, value in steps)])
    room = 0.45 * (np.ptp(path) or 1)
    figure["layout"]["xaxis"] |= {"range": [float(path.min() - room), float(path.max() + room)]}
    figure["layout"]["yaxis"] = {"autorange": "reversed", "type": "category"}
    return figure


def explained_champion(request: PlotRequest) -> ExplainedRows:
    """Raises Empty where there is no champion."""
    explained = request.evidence.explained()
    if explained is None:
        raise Empty(NO_CHAMPION)
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
