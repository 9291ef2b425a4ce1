"""Pictures of what a model goes by: weights and coefficients as bars, and the contributions to single predictions.

Contributions are drawn of all sampled rows as a swarm, of some rows step by step, and by the value of a feature.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mlops_assets.core.explain.importance import Explanation, Weight
from mlops_assets.core.report.drawing import BLUE, GREY, ORANGE, Panel, picture, picture_of_rows
from mlops_assets.core.types import Array, FloatArray

if TYPE_CHECKING:
    from mlops_assets.core.columns import Columns

MOST = 15
LONGEST_NAME = 40
BINS = 60
RAMP = (BLUE, *"#5f7da7 #8393aa #a8a3ad #b99d92 #c49867 #cf8f4a".split(), ORANGE)  # from a low value to a high one
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
    panel = Panel(title, about, rows=[short(weight.name) for weight in weights])
    values = [weight.value for weight in weights]
    panel.bars(values, _by_sign(values))
    return picture_of_rows(panel)


def _by_sign(values: Iterable[float]) -> list[str]:
    return [BLUE if value >= 0 else ORANGE for value in values]


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
    about = f"adds to the prediction{in_unit(unit)}"
    panel = Panel("Contributions to single predictions", about, rows=[short(name) for name in names])
    for line, name in enumerate(names):
        values = contributions.values[:, contributions.names.index(name)]
        places, colours = line + _spread(values), _colours(inputs.get(name), len(values))
        for colour in (GREY, *RAMP):
            panel.dots(values[colours == colour], places[colours == colour], colour, size=2.5)
    panel.rule(0)
    return picture_of_rows(panel, 32)


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


def _colours(values: Array | None, count: int) -> Array:
    """A colour of the ramp (n,) by the rank of each value; grey is no number."""
    if values is None or values.dtype == object or values.dtype.kind == "M":
        return np.full(count, GREY)
    is_number = ~np.isnan(values)
    rank = np.searchsorted(np.sort(values[is_number]), values) / max(int(is_number.sum()), 1)
    return np.where(is_number, np.array(RAMP)[(rank * len(RAMP)).astype(int).clip(max=len(RAMP) - 1)], GREY)


def waterfalls(explanation: Explanation, unit: str = "") -> bytes:
    """How three sampled rows come from the base to their prediction, the largest contributions first."""
    contributions = explanation.exact_contributions()
    prediction = contributions.base + contributions.values.sum(axis=1)
    order = np.argsort(prediction, kind="stable")
    rows = [order[round(share * (len(order) - 1))] for share in CHOSEN.values()]
    titles = [f"{name}: {prediction[row]:.4g} {unit}" for name, row in zip(CHOSEN, rows, strict=True)]
    panels = [_waterfall(title, explanation, row) for title, row in zip(titles, rows, strict=True)]
    return picture(panels, (420, 60 + 26 * STEPS), columns=3)


def _waterfall(title: str, explanation: Explanation, row: int) -> Panel:
    contributions, inputs = explanation.exact_contributions(), explanation.inputs
    names, values, base = contributions.names, contributions.values[row], float(contributions.base[row])
    largest = np.argsort(-np.abs(values), kind="stable")
    first, others = largest[: STEPS - 1], largest[STEPS - 1 :]
    labels = [_with_value(names[place], inputs, row) for place in first]
    steps = values[first]
    if len(others):
        labels, steps = [*labels, f"{len(others)} others"], np.append(steps, values[others].sum())
    panel = Panel(title, rows=labels)
    panel.bars(steps, _by_sign(steps), base + np.concatenate([[0.0], np.cumsum(steps)[:-1]]))
    panel.rule(base, dash="2 3")
    return panel


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
    added = {name: contributions.values[:, contributions.names.index(name)] for name in names}
    panels = [_by_value(Panel(short(name), y=f"adds{in_unit(unit)}"), inputs[name], added[name]) for name in names]
    return picture(panels, (340, 250), columns=2) if panels else None


def _by_value(panel: Panel, values: Array, added: FloatArray) -> Panel:
    """Points at the values of a number or the hours of a time, and at the most frequent categories side by side."""
    if values.dtype.kind == "M":
        is_time = ~np.isnat(values)
        hours = (values[is_time] - values[is_time].astype("datetime64[D]")) / np.timedelta64(1, "h")
        panel.x = "hour of the day"
        panel.dots(hours, added[is_time], size=3)
    elif values.dtype == object:
        import pandas as pd

        codes, labels = pd.factorize(values)
        common = np.argsort(-np.bincount(codes[codes >= 0], minlength=len(labels)), kind="stable")[:MOST_CATEGORIES]
        panel.columns = [str(labels[code]) for code in common]
        for place, code in enumerate(common):
            points = added[codes == code]
            panel.dots(place + _spread(points), points, size=3)
    else:
        panel.dots(values, added, size=3)
    panel.rule(y=0)
    return panel
