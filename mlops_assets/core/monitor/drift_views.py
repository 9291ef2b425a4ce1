"""How a drift report looks: rows for a table or a chart, Markdown, and two small plots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlops_assets.core.monitor.drift import DriftReport, Sample, Shift, Variable
from mlops_assets.core.report.plots import BLUE, GREY, ORANGE, canvas, label_rows, panels, png

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_BARS = 20
MOST_PANELS = 4
MOST_CATEGORIES = 8
BINS = 40
LIGHT = "#c4c6ca"


def rows(report: DriftReport) -> list[dict[str, Any]]:
    """Every effect of every variable, as JSON can hold it."""
    return [
        {
            "variable": shift.name,
            "role": shift.role,
            "verdict": verdict(shift),
            "measure": effect.measure,
            "value": effect.value,
            "limit": effect.limit,
            "last_year": old.value if (old := shift.before(effect)) else None,
            "told": effect.words,
        }
        for shift in report.shifts
        for effect in shift.effects
    ]


def verdict(shift: Shift) -> str:
    return "drifted" if shift.drifted else "as each year" if shift.is_seasonal else "as before"


def table(report: DriftReport) -> str:
    """Markdown: the strongest effect of each variable."""
    lines = [
        "| variable | is | verdict | measure | effect | limit | a year before | what moved |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for shift in report.shifts:
        effect = shift.strongest
        old = shift.before(effect)
        name = f"**{shift.name}**" if shift.drifted else shift.name
        cells = [name, shift.role, verdict(shift), effect.measure, f"{effect.value:.3f}", f"{effect.limit:.3f}"]
        cells += [f"{old.value:.3f}" if old else "", effect.words]
        lines.append("| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |")
    return "\n".join(lines)


def sentence(report: DriftReport) -> str:
    """What drifted, in a line."""
    drifted = "; ".join(_clause(shift) for shift in report.drifted) or "nothing has drifted"
    season = ", ".join(shift.name for shift in report.seasonal)
    return f"{drifted}; as each year: {season}" if season else drifted


def _clause(shift: Shift) -> str:
    effect = shift.strongest
    return f"{shift.name}: {effect.words} ({effect.measure} {effect.value:.2f}, limit {effect.limit:.2f})"


def strengths(report: DriftReport, title: str) -> bytes:
    """The strongest effect of each variable in units of its limit; what reaches the line has changed."""
    shifts = report.shifts[:MOST_BARS]
    figure, axes = canvas(title, "effect, in units of its limit", "", size=(5, 1.0 + 0.26 * len(shifts)))
    colours = [ORANGE if shift.drifted else GREY if shift.is_seasonal else BLUE for shift in shifts]
    axes.barh(range(len(shifts)), [shift.strongest.strength for shift in shifts], color=colours, height=0.6)
    axes.axvline(1, color="black", linewidth=1, linestyle="--")
    label_rows(axes, [shift.name for shift in shifts])
    return png(figure)


def distributions(report: DriftReport, current: Sample, reference: Sample) -> bytes | None:
    """The variables that moved most, before in grey and now in blue; None where none has values to draw."""
    before = {(variable.role, variable.name): variable for variable in reference.variables}
    after = {(variable.role, variable.name): variable for variable in current.variables}
    keys = [(shift.role, shift.name) for shift in report.shifts if (shift.role, shift.name) in after][:MOST_PANELS]
    if not keys:
        return None
    figure, grid = panels([name for _, name in keys], (3.4, 2.2), columns=2)
    for axes, key in zip(grid, keys, strict=True):
        draw = _numbers if after[key].kind == "number" else _categories
        draw(axes, before[key], after[key])
    figure.legend(*grid[0].get_legend_handles_labels(), frameon=False, fontsize=8, loc="outside lower center", ncols=2)
    return png(figure)


def _numbers(axes: Axes, before: Variable, after: Variable) -> None:
    old, new = (variable.values[~np.isnan(variable.values)] for variable in (before, after))
    if not len(old) or not len(new):
        return
    low, high = np.quantile(np.concatenate([old, new]), [0.005, 0.995])
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    axes.stairs(np.histogram(old, edges)[0] / len(old), edges, fill=True, color=LIGHT, label="before")
    axes.stairs(np.histogram(new, edges)[0] / len(new), edges, color=BLUE, label="now")


def _categories(axes: Axes, before: Variable, after: Variable) -> None:
    import pandas as pd

    counted = [pd.Series(variable.values).value_counts(normalize=True) for variable in (before, after)]
    shares = pd.concat(counted, axis=1, keys=["before", "now"]).fillna(0)
    moved = (shares["now"] - shares["before"]).abs().nlargest(MOST_CATEGORIES).index.sort_values()
    place = np.arange(len(moved))
    axes.bar(place - 0.2, shares["before"][moved], 0.4, color=LIGHT, label="before")
    axes.bar(place + 0.2, shares["now"][moved], 0.4, color=BLUE, label="now")
    axes.set_xticks(place, [f"{value:g}" if isinstance(value, float) else str(value)[:8] for value in moved])
