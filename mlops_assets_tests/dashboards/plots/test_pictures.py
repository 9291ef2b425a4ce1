"""Pictures of a kind of target become figures: every mark is drawn, in the theme's colours, between the same axes."""

import json
from datetime import UTC, datetime

import numpy as np
import pytest

from mlops_assets.core.targets.kinds import target_of
from mlops_assets.dashboards.format import View
from mlops_assets.dashboards.plots.pictures import figure_of
from mlops_assets.dataset.target import Target

RNG = np.random.default_rng(7)
SAID = RNG.dirichlet([1, 1, 1], 300)
CODES = np.array([RNG.choice(3, p=row) for row in SAID], np.float64)
TWO = np.stack([1 - SAID[:, 0], SAID[:, 0]], axis=1)
THREE = target_of(Target(column="y", classes=("a", "b", "c")))
PICTURES = {
    **target_of(Target(column="y", kind="binary")).plots((CODES == 0).astype(float), TWO),
    **{
        f"{name} of three": draw
        for name, draw in target_of(Target(column="y", classes=("a", "b", "c"))).plots(CODES, SAID).items()
    },
    **target_of(Target(column="y")).plots(CODES, CODES + SAID[:, 0]),
}


@pytest.mark.parametrize("title", PICTURES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_each_picture_is_a_figure_with_all_its_marks_in_the_themes_colours(title, scheme):
    drawing, view = PICTURES[title](), View(scheme, "all", datetime.now(UTC))
    figure = figure_of(drawing, view)
    json.dumps(figure, allow_nan=False)
    notes = [trace for trace in figure["data"] if trace.get("mode") == "text"]
    drawn = len(figure["data"]) - len(notes) + len(figure["layout"]["shapes"])
    assert drawn == sum(len(panel.marks) for panel in drawing.panels)
    assert sum(f"xaxis{place}" in figure["layout"] for place in ("", 2)) == len(drawing.panels)
    colours = {trace["line"]["color"] for trace in figure["data"] if "color" in trace.get("line", {})}
    assert colours <= set(view.palette)


def test_a_matrix_of_classes_is_read_from_the_top():
    figure = figure_of(PICTURES["confusion matrix of three"](), View("light", "all", datetime.now(UTC)))
    assert figure["layout"]["yaxis"]["range"] == [2.5, -0.5] and figure["layout"]["yaxis"]["ticktext"] == [
        "a",
        "b",
        "c",
    ]
    assert sum(int(text) for text in figure["data"][-1]["text"]) == len(CODES)
