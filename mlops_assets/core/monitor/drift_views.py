"""How a drift report looks: rows for a table or a chart, Markdown, and two small plots."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlops_assets.core.monitor.drift import DriftReport, Sample, Shift, Variable
from mlops_assets.core.report.drawing import BLUE, GREY, ORANGE, PALE, Panel, apart, picture, picture_of_rows
from mlops_assets.core.report.plots import finite

MOST_BARS = 20
MOST_PANELS = 4
MOST_CATEGORIES = 8
BINS = 40


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
    colours = [ORANGE if shift.drifted else GREY if shift.is_seasonal else BLUE for shift in shifts]
    panel = Panel(title, "effect, in units of its limit", rows=[shift.name for shift in shifts])
    panel.bars([shift.strongest.strength for shift in shifts], colours)
    panel.rule(1, dash="5 3")
    return picture_of_rows(panel)


def distributions(report: DriftReport, current: Sample, reference: Sample) -> bytes | None:
    """The variables that moved most, before in grey and now in blue; None where none has values to draw."""
    before = {(variable.role, variable.name): variable for variable in reference.variables}
    after = {(variable.role, variable.name): variable for variable in current.variables}
    keys = [(shift.role, shift.name) for shift in report.shifts if (shift.role, shift.name) in after][:MOST_PANELS]
    if not keys:
        return None
    return picture([_distribution(before[key], after[key]) for key in keys], (340, 220), columns=2)


def _distribution(before: Variable, after: Variable) -> Panel:
    if after.kind != "number":
        return _categories(before, after)
    panel = Panel(after.name)
    old, new = (finite(variable.values)[0] for variable in (before, after))
    if len(old) and len(new):
        edges = np.linspace(*apart(*np.quantile(np.concatenate([old, new]), [0.005, 0.995])), BINS + 1)
        panel.stairs(np.histogram(old, edges)[0] / len(old), edges, PALE, "before")
        panel.stairs(np.histogram(new, edges)[0] / len(new), edges, BLUE, "now", fill=False)
    return panel


def _categories(before: Variable, after: Variable) -> Panel:
    import pandas as pd

    counted = [pd.Series(variable.values).value_counts(normalize=True) for variable in (before, after)]
    shares = pd.concat(counted, axis=1, keys=["before", "now"]).fillna(0)
    moved = (shares["now"] - shares["before"]).abs().nlargest(MOST_CATEGORIES).index.sort_values()
    names = [f"{value:g}" if isinstance(value, float) else str(value) for value in moved]
    panel = Panel(after.name, columns=names)
    panel.bars(shares["before"][moved], PALE, sides=(-0.4, 0), label="before")
    panel.bars(shares["now"][moved], BLUE, sides=(0, 0.4), label="now")
    return panel
