"""Pictures of what a model goes by: weights as bars, and the contributions to single rows as a swarm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mlops_assets.core.explain import Explanation, Weight
from mlops_assets.core.figures import BLUE, GREY, ORANGE, canvas, label_rows, png

if TYPE_CHECKING:
    from mlops_assets.core.columns import Columns

MOST = 15
BINS = 60
LONGEST_NAME = 40


def importance_bars(explanation: Explanation, unit: str = "") -> bytes:
    """The most important features, largest at the top."""
    return _bars(explanation.importance, "What the model goes by", f"{explanation.method}{_in(unit)}")


def coefficient_bars(coefficients: Sequence[Weight], unit: str = "") -> bytes:
    """The coefficients of a linear model that matter most: to the right they add, to the left they take away."""
    return _bars(coefficients, "Coefficients", f"coefficient{_in(unit)}")


def _bars(weights: Sequence[Weight], title: str, about: str) -> bytes:
    shown = weights[:MOST]
    figure, axes = canvas(title, about, "", size=(5.4, 1.0 + 0.28 * len(shown)))
    colours = [BLUE if weight.value >= 0 else ORANGE for weight in shown]
    axes.barh(range(len(shown)), [weight.value for weight in shown], color=colours, height=0.65)
    label_rows(axes, [_short(weight.name) for weight in shown])
    return png(figure)


def swarm(explanation: Explanation, unit: str = "") -> bytes:
    """Each sampled row is a point in each feature's line, right where the feature raises its prediction.

    Blue is a low value of the feature, orange a high one, grey where it is not a number.
    """
    found, inputs = explanation.contributions, explanation.inputs
    names = [weight.name for weight in explanation.importance[:MOST]]
    figure, axes = canvas(
        "Contributions to single predictions", f"adds to the prediction{_in(unit)}", "", (5.8, 1.0 + 0.36 * len(names))
    )
    for line, name in enumerate(names):
        values = found.values[:, found.names.index(name)]
        axes.scatter(values, line + _spread(values), s=5, linewidths=0, c=_colours(inputs, name, len(values)))
    axes.axvline(0, color="black", linewidth=0.8)
    label_rows(axes, [_short(name) for name in names])
    return png(figure)


def _spread(values: np.ndarray) -> np.ndarray:
    """Offsets (n,) within a line, wide where many points lie."""
    low, high = values.min(), values.max()
    places = ((values - low) / (high - low) * (BINS - 1)).astype(int) if high > low else np.zeros(len(values), int)
    order = np.argsort(places, kind="stable")
    starts = np.searchsorted(places[order], np.arange(BINS))
    rank = np.empty(len(values), int)
    rank[order] = np.arange(len(values)) - starts[places[order]]
    side = np.where(rank % 2, 1, -1) * ((rank + 1) // 2)
    return 0.38 * side / max(np.abs(side).max(), 8)


def _colours(inputs: Columns, name: str, count: int) -> np.ndarray | list[str]:
    from matplotlib.colors import LinearSegmentedColormap

    values = inputs.get(name)
    if values is None or values.dtype == object or values.dtype.kind == "M":
        return [GREY] * count
    known = ~np.isnan(values)
    rank = np.searchsorted(np.sort(values[known]), values) / max(int(known.sum()), 1)
    colours = LinearSegmentedColormap.from_list("value", [BLUE, "#b9b4bd", ORANGE])(rank)
    colours[~known] = (0.54, 0.56, 0.6, 1)
    return colours


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def _in(unit: str) -> str:
    return f" ({unit})" if unit else ""
