import subprocess
from base64 import b64decode
from xml.etree import ElementTree

import numpy as np
import pytest

from mlops_assets.core.metrics import Interval
from mlops_assets.core.report import plots
from mlops_assets_tests.warm import TRUE_PYTHON

RNG = np.random.default_rng(0)
TRUE = RNG.gamma(2, 6, size=20_000)
PREDICTED = TRUE * RNG.normal(1, 0.2, size=20_000)

PLOTS = {
    "search history": lambda: plots.search_history([5.0, None, 4.2, float("nan"), 4.5, 3.9]),
    "predicted against true": lambda: plots.predicted_against_true(TRUE, PREDICTED, "minutes").svg(),
    "leaderboard": lambda: plots.leaderboard_bars(
        ["XGBoost", "Ridge"],
        [3.8, 5.2],
        [Interval(3.7, 3.9), None],
        {"mean": 9.1, "pair mean": 6.0},
        "minutes",
    ),
    "bootstrap": lambda: plots.gain_histogram(PREDICTED - TRUE),
    "bars": lambda: plots.bars([f"2023-{period:02}" for period in range(1, 13)], range(50_000, 62_000, 1_000), "Rows"),
    "histogram": lambda: plots.histogram(TRUE, "Target", "minutes"),
}
EMPTY = {
    "no trials": lambda: plots.search_history([]),
    "only failed trials": lambda: plots.search_history([None, None]),
    "no predictions": lambda: plots.predicted_against_true(np.array([]), np.array([])).svg(),
    "one constant": lambda: plots.predicted_against_true(np.ones(3), np.ones(3)).svg(),
    "one row": lambda: plots.leaderboard_bars(["Ridge"], [5.0], [Interval(0.0, float("inf"))]),
    "no models": lambda: plots.leaderboard_bars([], []),
    "no difference": lambda: plots.gain_histogram(np.zeros(100)),
    "no bars": lambda: plots.bars([], [], "Rows dropped by rule"),
    "no numbers": lambda: plots.histogram(np.array([np.nan]), "Target"),
    "no shares": lambda: plots.coverage_bars([], [], None, "Held"),
    "no gain": lambda: plots.gain_histogram(np.array([])),
}


def size_of(svg: bytes) -> tuple[float, float]:
    root = ElementTree.fromstring(svg)
    return float(root.get("width")), float(root.get("height"))


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_is_a_small_picture(name):
    svg = PLOTS[name]()
    assert len(svg) <= 20_000
    assert all(90 <= side <= 800 for side in size_of(svg))


@pytest.mark.parametrize("name", PLOTS)
def test_the_same_input_gives_the_same_bytes(name):
    assert PLOTS[name]() == PLOTS[name]()


@pytest.mark.parametrize("name", EMPTY)
def test_too_little_to_draw_is_still_a_picture(name):
    size_of(EMPTY[name]())


def test_wild_values_do_not_break_a_plot():
    wild = np.array([1.0, 2.0, 1e12, np.inf, np.nan])
    size_of(plots.predicted_against_true(wild, wild[::-1]).svg())
    size_of(plots.histogram(wild, "Distance"))
    size_of(plots.histogram(np.array([-1.7e308, 1.7e308]), "Ends of what a number holds"))
    size_of(plots.histogram(1e17 + np.arange(0.0, 99.0, 16.0), "Nearly equal"))
    assert b"nan" not in plots.bars(["a", "b"], [np.nan, np.inf], "Rows").replace(b">nan<", b"")


def test_a_plot_shows_its_data():
    assert plots.bars(["a"], [1], "Rows") != plots.bars(["a"], [2], "Rows")
    assert plots.search_history([1.0, 2.0]) != plots.search_history([2.0, 1.0])


def test_markdown_holds_the_picture_itself():
    svg = PLOTS["bars"]()
    start, _, rest = plots.markdown_image(svg, "rows").partition("base64,")
    assert start == "![rows](data:image/svg+xml;"
    assert b64decode(rest.removesuffix(")")) == svg


def test_a_baseline_far_beyond_the_models_stands_in_the_legend_alone():
    near, far = (plots.leaderboard_bars(["Ridge"], [5.0], (), {"mean": mean}) for mean in (6.0, 90.0))
    assert b"mean (90)" in far and b'd=""' in far
    assert b"mean (6)" in near and b'd=""' not in near


def test_plots_load_no_library_for_them():
    code = "import sys; from mlops_assets.core.report import plots; plots.bars(['a'], [1], 'Rows')"
    code += "; sys.exit(bool({'matplotlib', 'pandas', 'scipy'} & sys.modules.keys()))"
    assert subprocess.run([TRUE_PYTHON, "-c", code]).returncode == 0
