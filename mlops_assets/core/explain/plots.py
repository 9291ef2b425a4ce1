"""Pictures of what a model goes by: weights and coefficients as bars, and the contributions to single predictions.

Contributions are drawn of all sampled rows as a swarm, of some rows step by step, and by the value of a feature.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mlops_assets.core.explain.importance import Explanation, Weight
from mlops_assets.core.report.plots import BLUE, GREY, ORANGE, canvas, label_rows, panels, png
from mlops_assets.core.types import Array, FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mlops_assets.core.columns import Columns

MOST = 15
LONGEST_NAME = 40
BINS = 60
CHOSEN = {"a low prediction": 0.05, "a middle one": 0.5, "a high one": 0.95}
STEPS = 8  # of a waterfall; the last holds all other features
MOST_PANELS = 4
MOST_CATEGORIES = 12


def importance_bars(explanation: Explanation, unit: str = "") -> bytes:
    """The most important features, largest at the top."""
    return _bars(explanation.importance, "What the model goes by", f"{explanation.method}{in_unit(unit)}")


def coefficient_bars(coefficients: Sequence[Weight], unit: str = "") -> bytes:
    """The coefficients of a linear model that matter most: to the right they add, to the left they take away."""
    return _bars(coefficients, "Coefficients", f"coefficient{in_unit(unit)}")


def _bars(weights: Sequence[Weight], title: str, about: str) -> bytes:
    weights = weights[:MOST]
    figure, axes = canvas(title, about, "", size=(5.4, 1.0 + 0.28 * len(weights)))
    colours = [BLUE if weight.value >= 0 else ORANGE for weight in weights]
    axes.barh(range(len(weights)), [weight.value for weight in weights], color=colours, height=0.65)
    label_rows(axes, [short(weight.name) for weight in weights])
    return png(figure)


def short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def in_unit(unit: str) -> str:
    return f" ({unit})" if unit else ""


def swarm(explanation: Explanation, unit: str = "") -> bytes:
    """Each sampled row is a point in each feature's line, right where the feature raises its prediction.

    Blue is a low value of the feature, orange a high one, grey where it is not a number.
    """
    contributions, inputs = explanation.exact_contributions(), explanation.inputs
    names = [weight.name for weight in explanation.importance[:MOST]]
    size = 5.8, 1.0 + 0.36 * len(names)
    figure, axes = canvas("Contributions to single predictions", f"adds to the prediction{in_unit(unit)}", "", size)
    for line, name in enumerate(names):
        values = contributions.values[:, contributions.names.index(name)]
        axes.scatter(values, line + _spread(values), s=5, linewidths=0, c=_colours(inputs, name, len(values)))
    axes.axvline(0, color="black", linewidth=0.8)
    label_rows(axes, [short(name) for name in names])
    return png(figure)


def _spread(values: FloatArray) -> FloatArray:
    """Offsets (n,) within a line, wide where many points lie."""
    low, high = values.min(), values.max()
    places = ((values - low) / (high - low) * (BINS - 1)).astype(int) if high > low else np.zeros(len(values), int)
    order = np.argsort(places, kind="stable")
    starts = np.searchsorted(places[order], np.arange(BINS))
    rank = np.empty(len(values), int)
    rank[order] = np.arange(len(values)) - starts[places[order]]
    side = np.where(rank % 2, 1, -1) * ((rank + 1) // 2)
    offsets: FloatArray = 0.38 * side / max(np.abs(side).max(), 8)
    return offsets


def _colours(inputs: Columns, name: str, count: int) -> Array | list[str]:
    from matplotlib.colors import LinearSegmentedColormap

    values = inputs.get(name)
    if values is None or values.dtype == object or values.dtype.kind == "M":
        return [GREY] * count
    is_number = ~np.isnan(values)
    rank = np.searchsorted(np.sort(values[is_number]), values) / max(int(is_number.sum()), 1)
    colours = LinearSegmentedColormap.from_list("value", [BLUE, "#b9b4bd", ORANGE])(rank)
    colours[~is_number] = (0.54, 0.56, 0.6, 1)
    return colours


def waterfalls(explanation: Explanation, unit: str = "") -> bytes:
    """How three sampled rows come from the base to their prediction, the largest contributions first."""
    contributions, inputs = explanation.exact_contributions(), explanation.inputs
    prediction = contributions.base + contributions.values.sum(axis=1)
    order = np.argsort(prediction, kind="stable")
    rows = [order[round(share * (len(order) - 1))] for share in CHOSEN.values()]
    titles = [f"{name}: {prediction[row]:.4g} {unit}" for name, row in zip(CHOSEN, rows, strict=True)]
    figure, grid = panels(titles, (4.6, 0.9 + 0.3 * STEPS), columns=3)
    for axes, row in zip(grid, rows, strict=True):
        base = float(contributions.base[row])
        _waterfall(axes, contributions.names, contributions.values[row], base, inputs, row)
    return png(figure)


def _waterfall(axes: Axes, names: tuple[str, ...], values: FloatArray, base: float, inputs: Columns, row: int) -> None:
    largest = np.argsort(-np.abs(values), kind="stable")
    first, others = largest[: STEPS - 1], largest[STEPS - 1 :]
    labels = [_with_value(names[place], inputs, row) for place in first]
    steps = values[first]
    if len(others):
        labels, steps = [*labels, f"{len(others)} others"], np.append(steps, values[others].sum())
    starts = base + np.concatenate([[0.0], np.cumsum(steps)[:-1]])
    colours = [BLUE if step >= 0 else ORANGE for step in steps]
    axes.barh(range(len(steps)), steps, left=starts, color=colours, height=0.6)
    axes.axvline(base, color="black", linewidth=0.8, linestyle=":")
    axes.use_sticky_edges = False  # the bars at both ends keep a margin
    label_rows(axes, labels)


def _with_value(name: str, inputs: Columns, row: int) -> str:
    """The feature and, where it is an input, its value in this row."""
    if name not in inputs:
        return short(name)
    value = inputs[name][row]
    text = str(value)[:16] if isinstance(value, np.datetime64 | str) else "none" if value is None else f"{value:.4g}"
    return short(f"{name} = {text}")


def dependence(explanation: Explanation, unit: str = "") -> bytes | None:
    """What the most important single features add at each of their values; None where all belong to groups."""
    contributions, inputs = explanation.exact_contributions(), explanation.inputs
    names = [weight.name for weight in explanation.importance if weight.name in inputs][:MOST_PANELS]
    if not names:
        return None
    figure, grid = panels([short(name) for name in names], (3.4, 2.5), columns=2)
    for axes, name in zip(grid, names, strict=True):
        added = contributions.values[:, contributions.names.index(name)]
        _by_value(axes, inputs[name], added)
        axes.set_ylabel(f"adds{in_unit(unit)}", fontsize=8)
        axes.axhline(0, color="black", linewidth=0.8)
    return png(figure)


def _by_value(axes: Axes, values: Array, added: FloatArray) -> None:
    """Points at the values of a number or the hours of a time, and at the most frequent categories side by side."""
    if values.dtype.kind == "M":
        is_time = ~np.isnat(values)
        hours = (values[is_time] - values[is_time].astype("datetime64[D]")) / np.timedelta64(1, "h")
        axes.scatter(hours, added[is_time], s=6, linewidths=0, color=BLUE)
        axes.set_xlabel("hour of the day", fontsize=8)
    elif values.dtype == object:
        import pandas as pd

        codes, labels = pd.factorize(values)
        common = np.argsort(-np.bincount(codes[codes >= 0], minlength=len(labels)), kind="stable")[:MOST_CATEGORIES]
        for place, code in enumerate(common):
            points = added[codes == code]
            axes.scatter(place + _spread(points), points, s=6, linewidths=0, color=BLUE)
        axes.set_xticks(range(len(common)), [str(labels[code])[:8] for code in common], rotation=45)
    else:
        axes.scatter(values, added, s=6, linewidths=0, color=BLUE)
