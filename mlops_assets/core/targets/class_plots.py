"""Pictures of classes: decided beside true, ROC, precision and recall, reliability, costs by threshold, scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from mlops_assets.core.report.drawing import BLUE, GREY, ORANGE, PALE, Drawing, Panel
from mlops_assets.core.targets.metrics import SMALLEST
from mlops_assets.core.types import FloatArray, IntArray

if TYPE_CHECKING:
    from mlops_assets.core.targets.class_answers import ClassAnswers

POINTS = 200  # of a curve
BINS = 10
LEVELS = 5
MOST_CLASSES = 6  # with a curve of their own
COLOURS = (BLUE, ORANGE, "#4f9d69", "#b0495d", "#7a5ea8", "#2f9da3")
UNIT = (0.0, 1.0)


def class_plots(
    y: FloatArray, output: FloatArray, said: ClassAnswers, costs: tuple[tuple[float, ...], ...]
) -> dict[str, Callable[[], Drawing]]:
    """Pictures by title of an output (n, k), made when called; the threshold is drawn for two classes alone."""
    code = y.astype(np.int64)
    plots: dict[str, Callable[[], Drawing]] = {
        "confusion matrix": lambda: confusion(code, said),
        "ROC": lambda: _curves(code, output, said.labels, _roc),
        "precision and recall": lambda: _curves(code, output, said.labels, _precision_recall),
        "reliability": lambda: _curves(code, output, said.labels, _reliability),
        "scores by class": lambda: scores_by_class(code, output, said),
    }
    if said.threshold is not None:
        plots["threshold"] = lambda: threshold_curves(code, output[:, 1], said.threshold or 0.0, costs)
    return plots


def confusion(code: IntArray, said: ClassAnswers) -> Drawing:
    """Rows by true class (from the top) and decided class; shades by the share of the true class."""
    labels = said.labels
    counts = np.zeros((len(labels), len(labels)))
    np.add.at(counts, (code, said.decision), 1)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    panel = Panel("Decided against true", "decided", "true", rows=labels, columns=labels)
    for level in range(1, LEVELS + 1):
        row, column = np.nonzero(np.ceil(share * LEVELS) == level)
        panel.boxes(column[:, None] + [-0.5, 0.5], row[:, None] + [-0.5, 0.5], opacity=0.7 * level / LEVELS)
    panel.notes = [(float(c) - 0.3, r, f"{counts[r, c]:,.0f}") for r in range(len(labels)) for c in range(len(labels))]
    return Drawing((panel,), (max(320, 90 * len(labels) + 120), max(240, 50 * len(labels) + 90)))


def _curves(
    code: IntArray, output: FloatArray, labels: tuple[str, ...], draw: Callable[[FloatArray, FloatArray], Panel | None]
) -> Drawing:
    """A curve a class; of two classes that of the positive one."""
    positive = [1] if len(labels) == 2 else list(range(min(len(labels), MOST_CLASSES)))
    whole: Panel | None = None
    for colour, place in zip(COLOURS, positive, strict=False):
        if (panel := draw((code == place).astype(float), output[:, place])) is None:
            continue
        whole = whole or Panel(panel.title, panel.x, panel.y, x_ends=UNIT, y_ends=UNIT)
        for mark in panel.marks:
            x, y = mark.x.reshape(-1), mark.y.reshape(-1)
            whole.line(x, y, colour, labels[place])
    whole = whole or Panel("One class alone")
    if whole.x != "recall":
        whole.line(UNIT, UNIT, GREY, dash="4 3")
    return Drawing((whole,), (380, 340))


def _ordered(came: FloatArray, said: FloatArray) -> tuple[FloatArray, FloatArray] | None:
    """Hits and alarms, as more and more rows count as positive; none where one side is empty."""
    if not 0 < came.sum() < len(came):
        return None
    order = np.argsort(-said, kind="stable")
    hits, alarms = np.cumsum(came[order]), np.cumsum(1 - came[order])
    ends = np.r_[np.flatnonzero(np.diff(said[order])), len(said) - 1]  # equal scores are one step
    some = ends[np.linspace(0, len(ends) - 1, min(POINTS, len(ends))).astype(int)]
    return hits[some], alarms[some]


def _roc(came: FloatArray, said: FloatArray) -> Panel | None:
    panel = Panel("ROC", "false alarms", "hits")
    if found := _ordered(came, said):
        panel.line(np.r_[0, found[1] / found[1][-1]], np.r_[0, found[0] / found[0][-1]])
    return panel if found else None


def _precision_recall(came: FloatArray, said: FloatArray) -> Panel | None:
    panel = Panel("Precision and recall", "recall", "precision")
    if found := _ordered(came, said):
        panel.line(found[0] / found[0][-1], found[0] / (found[0] + found[1]))
    return panel if found else None


def _reliability(came: FloatArray, said: FloatArray) -> Panel | None:
    order, place = np.argsort(said, kind="stable"), np.arange(len(said)) * BINS // max(len(said), 1)
    rows = np.maximum(np.bincount(place), 1)
    panel = Panel("Reliability", "said", "came true")
    x, y = (np.bincount(place, weights=values[order]) / rows for values in (said, came))
    panel.line(x, y)
    return panel


def scores_by_class(code: IntArray, output: FloatArray, said: ClassAnswers) -> Drawing:
    """How the probability of the positive class, or of the true one, is spread over the rows of each class."""
    edges = np.linspace(0, 1, 41)
    two = len(said.labels) == 2
    panel = Panel(
        "Scores by true class", f"probability of {said.labels[1] if two else 'the true class'}", "share of rows"
    )
    for colour, place in zip(COLOURS, range(len(said.labels)), strict=False):
        scores = output[code == place, 1 if two else place]
        if len(scores):
            panel.stairs(np.histogram(scores, edges)[0] / len(scores), edges, colour, said.labels[place], fill=False)
    if said.threshold is not None:
        panel.rule(said.threshold, colour=GREY, label=f"threshold {said.threshold:.3g}", dash="4 3")
    return Drawing((panel,))


def threshold_curves(
    code: IntArray, positive: FloatArray, threshold: float, costs: tuple[tuple[float, ...], ...]
) -> Drawing:
    """Precision, recall and the mean cost by threshold; without costs an alarm and a miss cost the same."""
    (right_no, alarm), (miss, right_yes) = costs or ((0.0, 1.0), (1.0, 0.0))
    order = np.argsort(positive, kind="stable")
    limits = np.linspace(0, 1, POINTS + 1)
    below = positive[order].searchsorted(limits)
    of_yes = np.r_[0, np.cumsum(code[order])]
    misses, hits = of_yes[below], of_yes[-1] - of_yes[below]
    alarms = len(code) - below - hits
    rejected = below - misses
    spent = (right_no * rejected + alarm * alarms + miss * misses + right_yes * hits) / max(len(code), 1)
    shares, cost = Panel("By threshold", "threshold", "share", y_ends=UNIT), Panel("Cost", "threshold", "mean cost")
    shares.line(limits, hits / np.maximum(of_yes[-1], SMALLEST), BLUE, "recall")
    decided = hits + alarms
    shares.line(limits[decided > 0], (hits / np.maximum(decided, 1))[decided > 0], ORANGE, "precision")
    cost.line(limits, spent)
    for panel in (shares, cost):
        panel.rule(threshold, colour=PALE, label=f"threshold {threshold:.3g}", dash="4 3")
    return Drawing((shares, cost), (340, 280), columns=2)
