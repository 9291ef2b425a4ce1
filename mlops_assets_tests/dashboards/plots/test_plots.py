"""Plots in Python: those that ship, on a champion of the shop; and those of a user's folder."""

import json

import numpy as np
import pytest

from mlops_assets.dashboards.plots import PLOTS, Empty, PlotRequest, load_folder, read_options
from mlops_assets.dashboards.plots.search import explained
from mlops_assets.dashboards.sources.mlflow import TRIALS
from mlops_assets.dashboards.sources.source import as_frame
from mlops_assets.errors import SpecError

rng = np.random.default_rng(0)


@pytest.fixture
def request_of(shop_dashboards, view):
    """A function that gives what a plot is asked for, with its default options and first choice."""

    def make(name, rows=None, choice=None, **options):
        chosen, renderer = PLOTS[name], shop_dashboards.renderer
        rows = shop_dashboards.sources["promotions"].read().frame if rows is None else rows
        asked = PlotRequest(rows, read_options(chosen, options), None, view, renderer.project, renderer.evidence)
        choices = chosen.choices(asked) if chosen.choices else [None]
        return PlotRequest(rows, asked.options, choice or choices[0], view, renderer.project, renderer.evidence)

    return make


@pytest.fixture
def draw(request_of):
    return lambda name, rows=None, choice=None, **options: PLOTS[name].draw(request_of(name, rows, choice, **options))


def trials(count=20):
    """A search whose loss follows `alpha`, and nothing else."""
    rows = []
    for number in range(1, count + 1):
        alpha = float(rng.random())
        parameters = {"alpha": str(alpha), "beta": str(float(rng.random())), "kind": '"a"' if number % 2 else '"b"'}
        told = {"search": "Ridge 2024", "trial": number, "loss": 5 + alpha, "status": "succeeded"}
        rows.append(told | {"time": f"2024-01-{number:02}", "parameters": json.dumps(parameters)})
    return as_frame(rows, TRIALS.columns)


def test_contributions_of_the_champion_add_up_in_the_waterfall(draw, request_of):
    (trace,) = draw("waterfall")["data"]
    expected, *steps, _ = trace["x"]
    told = request_of("waterfall").choice
    assert expected + sum(steps) == pytest.approx(float(told.split(": ")[1].split(",")[0]), rel=1e-3)


def test_every_row_that_can_be_chosen_is_explained(draw, request_of):
    choices = PLOTS["waterfall"].choices(request_of("waterfall"))
    names = {choice.partition(":")[0] for choice in choices}
    assert names == {"typical", "highest", "lowest", "high", "low", "too high", "too low"}
    assert all(draw("waterfall", choice=choice)["data"] for choice in choices)


def test_what_matters_most_stands_on_top(draw):
    (bars,) = draw("contribution_bars")["data"]
    assert bars["y"][-1] == "size"  # the price follows it
    assert bars["x"] == sorted(bars["x"])


def test_the_swarm_has_a_point_for_each_row_and_feature(draw):
    figure = draw("beeswarm", features=2)
    assert sum(len(trace["x"]) for trace in figure["data"]) == 2 * 300


@pytest.mark.parametrize("name", ["size", "zone"])
def test_dependence_is_of_the_chosen_input(draw, name):
    figure = draw("partial_dependence", choice=name)
    mean = figure["data"][-1]
    assert figure["layout"]["xaxis"]["title"]["text"] == name
    assert mean["y"][-1] > mean["y"][0]  # both raise the price


def test_errors_are_of_rows_that_were_not_learnt_from(draw):
    names = [trace["x"][0] for trace in draw("residuals_by_segment")["data"]]
    assert names[:3] == ["low third", "middle third", "high third"]
    assert any(name.startswith("zone ") for name in names[3:])


def test_intervals_are_calibrated_about_as_promised(draw):
    realised, promised = draw("interval_calibration", bins=4)["data"]
    assert promised["y"] == [0.9, 0.9]
    assert np.mean(realised["y"]) == pytest.approx(0.9, abs=0.1)


def test_the_importance_is_that_of_the_parameter_that_the_loss_follows(draw):
    (bars,) = draw("parameter_importance", rows=trials())["data"]
    shares = dict(zip(bars["y"], bars["x"], strict=True))
    assert shares["alpha"] > 0.7
    assert max(shares["beta"], shares["kind"]) < 0.4


def test_a_parameter_that_says_nothing_explains_nothing():
    y = rng.random(400)
    assert explained(list(rng.random(400)), y) < 0.05
    assert explained(list(y), y) > 0.9
    assert explained(["a", "b"] * 200, np.array([0.0, 1.0] * 200)) == pytest.approx(1)


def test_parallel_lines_cross_an_axis_for_each_parameter_and_the_loss(draw):
    figure = draw("parallel_coordinates", rows=trials())
    headings = {note["text"] for note in figure["layout"]["annotations"] if note["text"].startswith("<b>")}
    assert headings == {"<b>alpha</b>", "<b>beta</b>", "<b>kind</b>", "<b>loss</b>"}
    drawn = sum(trace["x"].count(None) for trace in figure["data"])
    assert drawn == 20


def test_too_few_trials_say_what_to_set(draw):
    with pytest.raises(Empty, match="MLOPS_MAX_TRIALS"):
        draw("parallel_coordinates", rows=trials(3))


def test_a_column_is_compared_with_the_periods_before(draw, shop_dashboards):
    rows = shop_dashboards.sources["profiles"].read().frame
    now, before = draw("distributions", rows=rows[rows["table"] == "clean_data"], choice="size")["data"]
    assert (now["name"], before["name"]) == ("2024-03", "2024-01 to 2024-02")
    assert sum(now["y"]) == pytest.approx(1, abs=0.02)


def test_an_option_that_is_wrong_is_named():
    with pytest.raises(
        SpecError, match="options.features: .*less than or equal to 40, not .99. .*options of beeswarm: features"
    ):
        read_options(PLOTS["beeswarm"], {"features": 99})


def test_python_files_of_a_folder_register_plots(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from mlops_assets.dashboards.plots import plot\n"
        "@plot('mine', 'My plot.')\n"
        "def mine(request):\n    return {'data': [], 'layout': {}}\n"
    )
    load_folder(tmp_path)
    assert PLOTS.pop("mine").description == "My plot."


def test_a_python_file_that_fails_is_named(tmp_path):
    (tmp_path / "broken.py").write_text("1 / 0")
    with pytest.raises(SpecError, match="broken.py cannot be run: ZeroDivisionError"):
        load_folder(tmp_path)
