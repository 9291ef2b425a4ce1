"""Plots of the data: how the values of each column are spread, in the newest period and before."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from mlops_assets.core.prepare.cleaning import ROW_ID, TARGET
from mlops_assets.dashboards.format import base_figure, shortened, trace
from mlops_assets.dashboards.plots import Empty, Figure, Options, PlotRequest, plot
from mlops_assets.dataset import SNAPSHOT

BINS, CATEGORIES = 30, 12


def columns_to_choose(request: PlotRequest) -> list[str]:
    """The target and the columns of clean data."""
    names = list(dict.fromkeys(request.rows["column"]))
    return sorted(names, key=lambda name: (name != TARGET, names.index(name)))


class Periods(Options):
    """What `distributions` takes."""

    before: int = Field(3, ge=1, le=12, description="Periods before the newest one that it is compared with.")


@plot(
    "distributions",
    "How a column is spread in the newest period and in those before.",
    options=Periods,
    choices=columns_to_choose,
)
def distributions(request: PlotRequest) -> Figure:
    name = request.chosen
    periods = sorted(set(request.rows["period"]))
    newest, before = periods[-1], periods[-1 - request.options.before : -1]
    now = _values(request, name, [newest])
    then = _values(request, name, before)
    label = "rows" if newest == SNAPSHOT else newest
    figure = base_figure(request.view, y_title="share of rows", x_title=name.replace("_", " "))
    figure["layout"]["yaxis"]["tickformat"] = ".0%"
    palette = request.view.palette
    parts = [(label, now, palette[0])] + ([(f"{before[0]} to {before[-1]}", then, palette[1])] if before else [])
    parts = [part for part in parts if len(part[1])]
    if not parts:
        raise Empty(f"`{name}` has no value in these periods.")
    whole = np.concatenate([values for _, values, _ in parts])
    if whole.dtype == object:
        _categories(figure, parts, whole)
    else:
        _numbers(figure, parts, whole.astype(float))
    figure["layout"]["showlegend"] = len(parts) > 1
    return figure


def _values(request: PlotRequest, name: str, periods: list[str]) -> np.ndarray:
    """The column's known values in the periods; of a time the hour."""
    arrays = []
    for period in periods:
        table = request.evidence.clean_table(period)
        if table is None:
            raise Empty("The clean rows are gone: `mlops-assets run` makes them again.")
        if name in table.column_names and name != ROW_ID:
            arrays.append(table.column(name).drop_null().to_numpy())
    values = np.concatenate(arrays) if arrays else np.empty(0)
    if values.dtype.kind == "M":
        return (values.astype("datetime64[h]").astype(int) % 24).astype(float)
    spec = request.project.spec
    is_category = name in spec.features.categories and name not in spec.features.numeric
    return np.array([f"{value}" for value in values.tolist()], object) if is_category else values


def _categories(figure: Figure, parts: list, whole: np.ndarray) -> None:
    distinct, counts = np.unique(whole, return_counts=True)
    frequent = distinct[np.argsort(-counts)][:CATEGORIES]
    for label, values, colour in parts:
        shares = [float((values == name).mean()) for name in frequent]
        names = [shortened(name) for name in frequent]
        figure["data"].append(trace("bar", name=label, x=names, y=shares, marker_color=colour))
    figure["layout"]["xaxis"]["type"] = "category"


def _numbers(figure: Figure, parts: list, whole: np.ndarray) -> None:
    """Steps between the outermost thousandths: a few wild values must not push all others into one bin."""
    low, high = np.quantile(whole, [0.001, 0.999])
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    for label, values, colour in parts:
        shares = np.histogram(values.astype(float), edges)[0] / len(values)
        area = {"line_shape": "hv", "line_color": colour, "fill": "tozeroy", "fillcolor": f"{colour}33"}
        steps = {"x": edges.tolist(), "y": [*shares.tolist(), 0]}
        figure["data"].append(trace("scatter", mode="lines", name=label, **steps, **area))
