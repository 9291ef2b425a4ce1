"""How a backtest looks: a table of policies, and error and cost by month."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlops_assets.core.backtest import Step, Summary, summarise
from mlops_assets.core.document import table as document_table
from mlops_assets.core.figures import panels, png

COLOURS = ("#3b6ea5", "#d9822b", "#4f9d69", "#b0495d", "#7a5ea8", "#8a8f98", "#2f9da3")
HEADER = ("policy", "fits anew", "mean RMSE", "worst month", "fitted anew", "fits", "CPU s")


def table(steps: Sequence[Step]) -> str:
    """Markdown: a line a policy, the lowest mean RMSE first."""
    return document_table(HEADER, [cells(summary) for summary in summarise(steps)]).markdown()


def cells(summary: Summary) -> tuple[str, ...]:
    """A policy as the cells of a table."""
    policy, worst = summary.policy, f"{summary.worst:.4g} ({summary.worst_month})"
    counts = str(summary.retrained), str(summary.fits), f"{summary.cpu_seconds:.0f}"
    return policy.name, policy.description, f"{summary.rmse:.4g}", worst, *counts


def by_month(steps: Sequence[Step], unit: str) -> bytes:
    """RMSE of each month, and CPU seconds up to it, a line a policy; a dot where it was fitted anew."""
    months = sorted({step.month for step in steps})
    places = {month: place for place, month in enumerate(months)}
    titles = [f"RMSE{f' ({unit})' if unit else ''}", "CPU seconds up to the month"]
    figure, (error, cost) = panels(titles, (4.6, 3.2), columns=2)
    for number, summary in enumerate(summarise(steps)):
        own = sorted((step for step in steps if step.policy == summary.policy.name), key=lambda step: step.month)
        x = [places[step.month] for step in own]
        look = {"color": COLOURS[number % len(COLOURS)], "linewidth": 1.4}
        fresh = [place for place, step in enumerate(own) if step.retrained]
        dots = {"marker": "o", "markersize": 3.5, "markevery": fresh}
        error.plot(x, [step.score.rmse for step in own], label=summary.policy.name, **look, **dots)
        cost.plot(x, np.cumsum([step.cpu_seconds for step in own]), **look, **dots)
    shown = range(0, len(months), max(1, len(months) // 6))
    for axes in (error, cost):
        axes.set_xticks(list(shown), [months[place] for place in shown])
    cost.set_ylim(bottom=0)
    figure.legend(frameon=False, fontsize=8, loc="outside lower center", ncols=4)
    return png(figure)
