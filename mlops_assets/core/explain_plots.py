"""Pictures of what a model goes by as a whole: weights and coefficients as bars."""

from __future__ import annotations

from collections.abc import Sequence

from mlops_assets.core.explain import Explanation, Weight
from mlops_assets.core.figures import BLUE, ORANGE, canvas, label_rows, png

MOST = 15
LONGEST_NAME = 40


def importance_bars(explanation: Explanation, unit: str = "") -> bytes:
    """The most important features, largest at the top."""
    return _bars(explanation.importance, "What the model goes by", f"{explanation.method}{in_unit(unit)}")


def coefficient_bars(coefficients: Sequence[Weight], unit: str = "") -> bytes:
    """The coefficients of a linear model that matter most: to the right they add, to the left they take away."""
    return _bars(coefficients, "Coefficients", f"coefficient{in_unit(unit)}")


def _bars(weights: Sequence[Weight], title: str, about: str) -> bytes:
    shown = weights[:MOST]
    figure, axes = canvas(title, about, "", size=(5.4, 1.0 + 0.28 * len(shown)))
    colours = [BLUE if weight.value >= 0 else ORANGE for weight in shown]
    axes.barh(range(len(shown)), [weight.value for weight in shown], color=colours, height=0.65)
    label_rows(axes, [short(weight.name) for weight in shown])
    return png(figure)


def short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def in_unit(unit: str) -> str:
    return f" ({unit})" if unit else ""
