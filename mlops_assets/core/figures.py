"""What all plots share: a small canvas without a display, labelled rows, and bytes that depend on the plot alone."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREY = "#3b6ea5", "#d9822b", "#8a8f98"


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
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()
