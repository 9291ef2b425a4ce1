"""Charts: what each type draws of the same few rows."""

import json

import numpy as np
import pytest
from plotly.utils import PlotlyJSONEncoder

from mlops_assets.dashboards.chart_data import data_of, rows_of
from mlops_assets.dashboards.charts import draw
from mlops_assets.dashboards.format import View
from mlops_assets.dashboards.theme import COLOURS
from mlops_assets_tests.dashboards.conftest import NOW

SIZES = [{"aggregation": "sum", "column": "size", "label": "size"}]


@pytest.fixture
def drawn(make_source, make_chart, view):
    """A function that gives the figure of a chart of the few rows, or of others."""

    def draw_it(type, rows=None, look=None, **given):
        source = make_source(rows) if rows is not None else make_source()
        chart, look = make_chart(type, **given), look or view
        frame = rows_of(chart, source, source.read().frame, look)
        figure = draw(chart, data_of(chart, source, frame, look), look)
        json.dumps(figure, cls=PlotlyJSONEncoder, allow_nan=False)  # what a browser cannot read fails here
        return figure

    return draw_it


def test_a_line_has_a_point_a_step_for_each_series(drawn):
    figure = drawn("line", interval="day", group_by="kind", metrics=SIZES)
    lines = {trace["name"]: dict(zip(trace["x"], trace["y"], strict=True)) for trace in figure["data"]}
    assert lines["a"] == {"2024-03-01T00:00:00": 1, "2024-03-02T00:00:00": 3}
    assert lines["b"] == {"2024-03-01T00:00:00": 2}
    assert lines["none"] == {"2024-03-30T00:00:00": None}


def test_several_metrics_are_several_series(drawn):
    metrics = [*SIZES, {"aggregation": "count", "label": "number"}]
    assert [trace["name"] for trace in drawn("line", metrics=metrics)["data"]] == ["size", "number"]
    assert [trace["name"] for trace in drawn("line", metrics=metrics, group_by="kind")["data"]][:2] == [
        "a, size",
        "a, number",
    ]


def test_bars_stack_or_stand_beside_each_other(drawn):
    stacked, beside = (drawn(type, x="kind", group_by="good") for type in ("stacked bar", "bar"))
    assert (stacked["layout"]["barmode"], beside["layout"]["barmode"]) == ("stack", "group")
    assert {trace["name"] for trace in stacked["data"]} == {"yes", "no"}


def test_bars_come_in_the_order_asked_for_and_only_so_many(drawn):
    rows = [{"time": NOW, "kind": kind, "size": size} for kind, size in zip("abcd", (3, 1, 9, 5), strict=True)]
    figure = drawn("bar", rows, x="kind", metrics=SIZES, order="-size", limit=3, horizontal=True)
    assert figure["data"][0]["y"] == ["c", "d", "a"]
    assert figure["data"][0]["x"] == [9, 5, 3]


def test_periods_are_drawn_to_scale_and_other_names_are_not(drawn):
    rows = [{"time": NOW, "kind": kind, "size": 1} for kind in ("2024-01", "2024-03")]
    assert drawn("bar", rows, x="kind")["layout"]["xaxis"]["type"] == "date"
    assert drawn("bar", x="kind")["layout"]["xaxis"]["type"] == "category"


def test_a_histogram_counts_every_number_and_sends_bins(drawn):
    rows = [{"time": NOW, "size": float(size)} for size in range(1_000)]
    (trace,) = drawn("histogram", rows, metrics=SIZES)["data"]
    assert sum(trace["y"]) == 1_000
    assert len(trace["y"]) <= 40


def test_a_wild_value_does_not_push_all_others_into_one_bin(drawn):
    rows = [{"time": NOW, "size": size} for size in [*np.linspace(1, 2, 99), 1e9]]
    (trace,) = drawn("histogram", rows, metrics=SIZES)["data"]
    assert sum(trace["y"]) == 100
    assert np.count_nonzero(trace["y"]) > 5


def test_a_box_has_the_quartiles_of_its_series(drawn):
    rows = [{"time": NOW, "kind": "a", "size": size} for size in (1, 2, 3, 4, 5)]
    (trace,) = drawn("box", rows, group_by="kind", metrics=SIZES)["data"]
    assert (trace["q1"], trace["median"], trace["q3"], trace["upperfence"]) == ([2], [3], [4], [5])


def test_a_scatter_of_very_many_points_is_thinned_evenly(drawn):
    rows = [{"time": NOW, "size": float(place)} for place in range(10_000)]
    (trace,) = drawn("scatter", rows, x="time", metrics=SIZES)["data"]
    assert 2_000 < len(trace["y"]) <= 3_000
    assert trace["y"][-1] > 9_900


def test_a_heatmap_has_a_row_a_group_and_gaps_where_nothing_is(drawn):
    (trace,) = drawn("heatmap", x="good", group_by="kind", metrics=SIZES)["data"]
    assert (trace["x"], trace["y"]) == (["no", "yes"], ["a", "b", "none"])
    assert trace["z"] == [[None, 4], [2, None], [None, None]]


def test_a_heatmap_has_more_rows_than_there_are_colours(drawn):
    rows = [{"time": NOW, "kind": f"kind {number:02}", "good": True} for number in range(30)]
    (trace,) = drawn("heatmap", rows, x="good", group_by="kind")["data"]
    assert len(trace["y"]) == 30
    assert len(drawn("bar", rows, x="good", group_by="kind")["data"]) == 12


def test_parts_of_a_histogram_add_up(drawn):
    rows = [{"time": NOW, "kind": kind, "size": size} for size in range(50) for kind in "ab"]
    figure = drawn("histogram", rows, group_by="kind", metrics=SIZES)
    assert figure["layout"]["barmode"] == "stack"
    assert [sum(trace["y"]) for trace in figure["data"]] == [50, 50]


def test_a_single_time_is_named_once(drawn):
    axis = drawn("line", [{"time": NOW, "size": 1}], interval="minute", metrics=SIZES)["layout"]["xaxis"]
    assert axis["tickvals"] == ["2024-03-31T12:00:00"]


def test_few_rows_are_counted_in_whole_numbers(drawn):
    figure = drawn("bar", x="kind", horizontal=True)
    assert figure["layout"]["xaxis"]["dtick"] == 1


def test_a_single_group_is_named(drawn):
    assert drawn("stacked bar", filters={"kind": "a"}, group_by="kind")["layout"]["showlegend"]
    assert not drawn("stacked bar", filters={"kind": "a"})["layout"]["showlegend"]


def test_a_pie_has_a_slice_for_each_value(drawn):
    (trace,) = drawn("pie", x="kind")["data"]
    assert dict(zip(trace["labels"], trace["values"], strict=True)) == {"a": 2, "b": 1, "none": 1}


def test_colours_mean_the_same_everywhere():
    view = View("dark", "all", NOW, known=("Ridge", "Lasso"))
    dark = COLOURS["dark"]
    assert view.colours(["Lasso"])["Lasso"] == view.colours(["Lasso", "Ridge"])["Lasso"] == dark[1]
    assert view.colours(["failed", "succeeded"]) == {"failed": dark[4], "succeeded": dark[2]}
    assert len(set(view.colours(list("abcdefgh")).values())) == 8


def test_light_and_dark_differ(drawn, view):
    dark = View("dark", "all", NOW)
    light = drawn("line", look=view)["layout"]["template"]
    assert light != drawn("line", look=dark)["layout"]["template"]


def test_a_unit_may_be_that_of_the_target(drawn):
    assert drawn("line", unit="target")["layout"]["yaxis"]["title"]["text"] == "euros"
    assert drawn("line", unit="%")["layout"]["yaxis"]["tickformat"] == ".0%"


def test_only_rows_of_the_time_range_are_drawn(drawn):
    week = View("light", "7d", NOW)
    assert sum(drawn("line", look=week, metrics=[{}])["data"][0]["y"]) == 1
    assert sum(drawn("line", look=week, all_time=True, metrics=[{}])["data"][0]["y"]) == 4
