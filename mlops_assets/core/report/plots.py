"""Small plots as PNG bytes, made without a display; the same input gives the same bytes."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Protocol

import numpy as np

from mlops_assets.core.metrics import Interval
from mlops_assets.core.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREY = "#3b6ea5", "#d9822b", "#8a8f98"


class _PngCanvas(Protocol):
    """What Matplotlib gives no type of."""

    def print_png(self, filename_or_obj: BytesIO, *, metadata: Mapping[str, str | None]) -> None: ...


def canvas(title: str, x: str, y: str, size: tuple[float, float] = (5, 3)) -> tuple[Figure, Axes]:
    """A figure with one pair of axes; `size` in inches."""
    figure, (axes,) = panels([title], size)
    axes.set_xlabel(x, fontsize=9)
    axes.set_ylabel(y, fontsize=9)
    return figure, axes


def panels(titles: Sequence[str], size: tuple[float, float], columns: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure with a pair of axes for each title, so many in a row; `size` in inches is that of each."""
    from matplotlib.figure import Figure  # no pyplot: it keeps global state and looks for a display

    columns = min(columns, len(titles))
    rows = -(-len(titles) // columns)
    figure = Figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
    grid = np.ravel(figure.subplots(rows, columns, squeeze=False))
    for axes, title in zip(grid, titles, strict=False):
        axes.set_title(title, fontsize=10, loc="left")
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in grid[len(titles) :]:
        axes.remove()
    return figure, list(grid[: len(titles)])


def label_rows(axes: Axes, labels: Sequence[str]) -> None:
    """One row a label, in the given order from the top."""
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()


def png(figure: Figure) -> bytes:
    """The picture, drawn once: `savefig` draws twice where a layout is computed."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = BytesIO()
    agg: _PngCanvas = FigureCanvasAgg(figure)
    agg.print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()


def markdown_image(picture: bytes, alt: str = "plot") -> str:
    """The picture as Markdown with its bytes inside, as Dagster's pages show it."""
    return f"![{alt}](data:image/png;base64,{base64.b64encode(picture).decode()})"


def search_history(losses: Sequence[float | None]) -> bytes:
    """Loss of each trial in order, and the best so far; a failed trial (None) is a cross on the axis."""
    from matplotlib.ticker import MaxNLocator

    loss = np.array([np.nan if value is None else value for value in losses], dtype=float)
    number = np.arange(1, len(loss) + 1)
    failed = ~np.isfinite(loss)
    figure, axes = canvas("Trials", "trial", "loss")
    axes.plot(number[~failed], loss[~failed], "o", color=BLUE, markersize=4, label="trial")
    if not failed.all():
        best = np.minimum.accumulate(np.where(failed, np.inf, loss))
        axes.step(number, np.where(np.isfinite(best), best, np.nan), where="post", color=ORANGE, label="best so far")
    if failed.any():
        bottom = np.zeros(int(failed.sum()))
        axes.plot(
            number[failed],
            bottom,
            "x",
            color=GREY,
            label="failed",
            transform=axes.get_xaxis_transform(),
            clip_on=False,
        )
    if len(loss):
        axes.legend(frameon=False, fontsize=8)
    if isinstance(locator := axes.xaxis.get_major_locator(), MaxNLocator):
        locator.set_params(integer=True)
    return png(figure)


def predicted_against_true(y: FloatArray, prediction: FloatArray, unit: str = "") -> bytes:
    """How predictions (n,) lie about the truth (n,): density of rows in hexagons, log colours."""
    suffix = f" ({unit})" if unit else ""
    figure, axes = canvas("Predicted against true", f"true{suffix}", f"predicted{suffix}", size=(4, 3.6))
    y, prediction = _finite(y, prediction)
    if len(y):
        # A few wild predictions must not shrink all others into one hexagon.
        low, high = np.quantile(np.concatenate([y, prediction]), [0.001, 0.999])
        ends = (low, high) if low < high else (low - 0.5, low + 0.5)
        hexagons = axes.hexbin(
            y, prediction, gridsize=32, bins="log", mincnt=1, extent=(*ends, *ends), cmap="Blues", linewidths=0
        )
        hexagons.set_antialiased(False)
        axes.plot(ends, ends, color=ORANGE, linewidth=1)
        axes.set(xlim=ends, ylim=ends)
    return png(figure)


def leaderboard_bars(
    names: Sequence[str],
    rmse: Sequence[float],
    intervals: Sequence[Interval | None] = (),
    baselines: Mapping[str, float] | None = None,
    unit: str = "",
    title: str = "RMSE by model",
) -> bytes:
    """RMSE by model with its interval, in the given order from the top, and baselines as dashed lines.

    A baseline far beyond the models stands in the legend alone: it would shrink all bars to the same length.
    """
    figure, axes = canvas(title, f"RMSE ({unit})" if unit else "RMSE", "", size=(5, 1.3 + 0.32 * len(names)))
    axes.barh(range(len(names)), rmse, color=BLUE, height=0.6)
    for row, interval in enumerate(intervals):
        if interval is not None:
            axes.plot([interval.low, interval.high], [row, row], color="black", linewidth=1.5)
    for line, (name, value) in enumerate((baselines or {}).items()):
        label = f"{name} ({value:.4g})"
        axes.axvline(value, color=ORANGE, linestyle=("--", ":", "-.")[line % 3], linewidth=1.2, label=label)
    if len(rmse):
        axes.set_xlim(0, 1.4 * max([*rmse, *(interval.high for interval in intervals if interval)]))
    if baselines:
        figure.legend(frameon=False, fontsize=8, loc="outside lower center", ncols=3)
    label_rows(axes, names)
    return png(figure)


def coverage_bars(names: Sequence[str], shares: Sequence[float], promised: float | None, title: str) -> bytes:
    """Shares of truths that lay within their interval, from the top, and the promised one as a line."""
    figure, axes = canvas(title, "share of truths", "", size=(5, 1.3 + 0.32 * len(names)))
    axes.barh(range(len(names)), shares, color=BLUE, height=0.6)
    if promised is not None:
        axes.axvline(promised, color=ORANGE, linestyle="--", linewidth=1.2, label=f"promised ({promised:.0%})")
        figure.legend(frameon=False, fontsize=8, loc="outside lower center")
    axes.set_xlim(min(0.5, *shares), 1)
    label_rows(axes, names)
    return png(figure)


def gain_histogram(differences: FloatArray, rival: str = "the champion") -> bytes:
    """What the rival's RMSE minus the challenger's could be; what lies right of zero speaks for the challenger."""
    figure, axes = canvas(f"Gain over {rival}", "its RMSE minus the challenger's", "as likely")
    axes.hist(_finite(differences)[0], bins=25, color=BLUE)
    axes.axvline(0, color=ORANGE, linewidth=1.5)
    return png(figure)


def bars(labels: Sequence[str], values: Sequence[float], title: str) -> bytes:
    """One horizontal bar a label, in the given order from the top, such as rows by month."""
    figure, axes = canvas(title, "", "", size=(5, 1.0 + 0.28 * len(labels)))
    drawn = axes.barh(range(len(labels)), values, color=BLUE, height=0.65)
    axes.bar_label(drawn, labels=[f"{value:,.6g}" for value in values], padding=3, fontsize=8)
    axes.margins(x=0.15)
    label_rows(axes, labels)
    return png(figure)


def histogram(values: FloatArray, title: str, unit: str = "") -> bytes:
    """How often each value occurs; values beyond the outermost thousandth are left out."""
    figure, axes = canvas(title, unit, "rows")
    values = _finite(values)[0]
    if len(values):
        axes.hist(values, bins=50, range=tuple(np.quantile(values, [0.001, 0.999])), color=BLUE)
    return png(figure)


def _finite(*columns: FloatArray) -> list[FloatArray]:
    """The columns (n,) without the rows in which one is not a number."""
    arrays = [np.asarray(column, dtype=float) for column in columns]
    keep = np.logical_and.reduce([np.isfinite(array) for array in arrays])
    return [array[keep] for array in arrays]
