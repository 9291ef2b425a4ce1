"""The pictures of the assets' metadata, as SVG; the same input gives the same bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mlops_assets.core.metrics import Interval
from mlops_assets.core.report.document import Picture
from mlops_assets.core.report.drawing import GREY, INK, LARGEST, ORANGE, Drawing, Panel, apart, picture, picture_of_rows
from mlops_assets.core.types import FloatArray

SHADES = 6


def markdown_image(svg: bytes, alt: str = "plot") -> str:
    """The picture as Markdown with its bytes inside, as Dagster's pages show it."""
    return Picture(svg, alt).markdown()


def search_history(losses: Sequence[float | None]) -> bytes:
    """Loss of each trial in order, and the best so far; a failed trial (None) is a grey dot on the axis."""
    loss = np.array([np.nan if value is None else value for value in losses], dtype=float)
    number = np.arange(len(loss))
    failed = ~np.isfinite(loss)
    panel = Panel("Trials", "trial", "loss", columns=[str(place + 1) for place in number])
    panel.dots(number[~failed], loss[~failed], label="trial")
    if not failed.all():
        best = np.minimum.accumulate(np.where(failed, np.inf, loss))
        known = np.isfinite(best)
        panel.line(np.repeat(number[known], 2)[1:], np.repeat(best[known], 2)[:-1], ORANGE, "best so far")
    if failed.any():
        panel.dots(number[failed], np.full(failed.sum(), -np.inf), GREY, "failed")
    return picture([panel])


def predicted_against_true(y: FloatArray, prediction: FloatArray, unit: str = "") -> Drawing:
    """How predictions (n,) lie about the truth (n,): density of rows in squares, in shades by its logarithm."""
    suffix = f" ({unit})" if unit else ""
    panel = Panel("Predicted against true", f"true{suffix}", f"predicted{suffix}")
    y, prediction = finite(y, prediction)
    if len(y):
        # A few wild predictions must not shrink all others into one square.
        ends = apart(*np.quantile(np.concatenate([y, prediction]), [0.001, 0.999]))
        counts, edges, _ = np.histogram2d(y, prediction, bins=32, range=[ends, ends])
        shades = np.ceil(SHADES * np.log1p(counts) / np.log1p(counts.max()))
        for shade in range(1, SHADES + 1):
            x, y = (edges[places[:, None] + [0, 1]] for places in np.nonzero(shades == shade))
            panel.boxes(x, y, opacity=0.999 * shade / SHADES)
        panel.line(ends, ends, ORANGE)
        panel.x_ends = panel.y_ends = ends
    return Drawing((panel,), (400, 360))


def leaderboard_bars(
    names: Sequence[str],
    losses: Sequence[float],
    intervals: Sequence[Interval | None] = (),
    baselines: Mapping[str, float] | None = None,
    heading: str = "RMSE",
    title: str = "RMSE by model",
) -> bytes:
    """The metric by model with its interval, in the given order from the top, and baselines as dashed lines.

    A baseline far beyond the models stands in the legend alone: it would shrink all bars to the same length.
    """
    known = {row: interval for row, interval in enumerate(intervals) if interval is not None}
    ends = finite(np.array([0.0, *losses, *(interval.high for interval in known.values())]))[0]  # of one row: no end
    most = 1.4 * float(ends.max())
    panel = Panel(title, heading, rows=names, x_ends=(0, most) if most > 0 else None)
    panel.bars(losses)
    for row, interval in known.items():
        panel.line([interval.low, interval.high], [row, row], INK)
    for line, (name, value) in enumerate((baselines or {}).items()):
        dash = ("5 3", "2 3", "8 3 2 3")[line % 3]
        panel.rule(value if value <= most else np.nan, colour=ORANGE, label=f"{name} ({value:.4g})", dash=dash)
    return picture_of_rows(panel)


def coverage_bars(names: Sequence[str], shares: Sequence[float], promised: float | None, title: str) -> bytes:
    """Shares of truths that lay within their interval, from the top, and the promised one as a line."""
    panel = Panel(title, "share of truths", rows=names, x_ends=(min([0.5, *shares]), 1))
    panel.bars(shares)
    if promised is not None:
        panel.rule(promised, colour=ORANGE, label=f"promised ({promised:.0%})", dash="5 3")
    return picture_of_rows(panel)


def gain_histogram(differences: FloatArray, rival: str = "the champion", label: str = "RMSE") -> bytes:
    """What the rival's loss minus the challenger's could be; what lies right of zero speaks for the challenger."""
    panel = Panel(f"Gain over {rival}", f"its {label} minus the challenger's", "as likely")
    panel.stairs(*counted(finite(differences)[0], 25))
    panel.rule(0, colour=ORANGE)
    return picture([panel])


def bars(labels: Sequence[str], values: Sequence[float], title: str) -> bytes:
    """One horizontal bar a label, in the given order from the top, such as rows by period."""
    panel = Panel(title, rows=labels, room=0.2)
    panel.bars(values)
    panel.notes = [(float(np.fmax(value, 0)), row, f"{value:,.6g}") for row, value in enumerate(values)]
    return picture_of_rows(panel)


def histogram(values: FloatArray, title: str, unit: str = "") -> bytes:
    """How often each value occurs; values beyond the outermost thousandth are left out."""
    panel = Panel(title, unit, "rows")
    panel.stairs(*counted(finite(values)[0], 50, 0.001))
    return picture([panel])


def counted(values: FloatArray, bins: int, left_out: float = 0) -> tuple[FloatArray, FloatArray]:
    """How many values lie in each of the bins, and their edges; a share at either end may be left out."""
    ends = apart(*np.quantile(values, [left_out, 1 - left_out])) if len(values) else (0, 1)
    counts, edges = np.histogram(values, bins, ends)
    return counts.astype(float), edges


def finite(*columns: FloatArray) -> list[FloatArray]:
    """The columns (n,) without the rows in which one is not a number."""
    arrays = [np.asarray(column, dtype=float) for column in columns]
    keep = np.logical_and.reduce([np.isfinite(array) for array in arrays])
    return [np.clip(array[keep], -LARGEST, LARGEST) for array in arrays]
