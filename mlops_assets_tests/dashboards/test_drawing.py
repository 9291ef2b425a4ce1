"""The renderer: what a card shows when there is something, nothing, an error, or a choice."""

import json

import pytest
from plotly.utils import PlotlyJSONEncoder

from mlops_assets.dashboards.format import View
from mlops_assets.dashboards.plots import PLOTS, Empty, Options, plot
from mlops_assets.dashboards.render import ChartRenderer
from mlops_assets.dashboards.sources.source import Reading
from mlops_assets.errors import TrackingError
from mlops_assets_tests.dashboards.conftest import NOW


@pytest.fixture
def renderer(make_source, new_home):
    """A function that gives a renderer of the source `things` with these changes."""
    project = new_home(MLOPS_DATASET="nyc_flights").project()
    return lambda **changes: ChartRenderer({"things": make_source(**changes)}, project, evidence=None)


@pytest.fixture
def register():
    """A function that registers a plot for one test."""
    names = []

    def add(name, draw, **given):
        names.append(name)
        plot(name, "A plot.", **given)(draw)

    yield add
    for name in names:
        PLOTS.pop(name)


def told(drawn):
    """Everything that a card shows, as text."""
    return json.dumps(drawn.body, cls=PlotlyJSONEncoder)


def test_a_number_counts_nothing_as_zero(renderer, make_chart, view):
    drawn = renderer().render(make_chart("number", filters={"kind": "c"}), view)
    assert '"0"' in told(drawn)


def test_a_number_of_nothing_to_measure_says_so(renderer, make_chart, view):
    chart = make_chart("number", filters={"kind": "c"}, metrics=[{"aggregation": "mean", "column": "size"}])
    assert "No row passes the filters" in told(renderer().render(chart, view))


def test_an_empty_source_says_what_to_do(renderer, make_chart, view):
    chart = make_chart(filters={"kind": "c"}, empty="No c is good news.")
    assert "Make things." in told(renderer(rows=[]).render(chart, view))
    assert "No c is good news." in told(renderer().render(chart, view))


def test_an_empty_time_range_says_to_choose_a_longer_one(renderer, make_chart):
    hour = View("light", "1h", NOW)
    assert "choose a longer one" in told(renderer().render(make_chart(), hour))


def test_an_error_is_told_without_hidden_names(renderer, make_chart, view, monkeypatch):
    def fail():
        raise TrackingError("MLflow at somewhere-secret is away")

    drawer = renderer(read=fail)
    drawer.project.spec._hidden["somewhere-secret"] = "${PLACE}"
    assert "MLflow at ${PLACE} is away" in told(drawer.render(make_chart(), view))


def test_an_unexpected_error_goes_to_the_log_and_not_to_the_page(renderer, make_chart, view, caplog):
    def fail():
        raise ZeroDivisionError("column salary")

    shown = told(renderer(read=fail).render(make_chart(), view))
    assert "ZeroDivisionError" in shown and "salary" not in shown
    assert "salary" in caplog.text


def test_what_was_last_read_is_shown_with_a_note_while_a_store_is_away(renderer, make_chart, view, make_source):
    frame = make_source().read().frame
    away = renderer(read=lambda: Reading(frame, failure=TrackingError("away")))
    shown = told(away.render(make_chart("table", columns=["kind", "size"]), view))
    assert "this is what was last read" in shown and "<b" not in shown and '"a"' in shown


def test_a_chart_of_which_not_all_is_read_asks_again(renderer, make_chart, view, make_source):
    frame = make_source().read().frame
    drawn = renderer(read=lambda: Reading(frame, complete=False)).render(make_chart(), view)
    assert not drawn.complete
    drawn = renderer(read=lambda: Reading(frame.head(0), complete=False)).render(make_chart(), view)
    assert "Reading" in told(drawn) and not drawn.complete


def test_a_registered_plot_is_drawn_with_its_rows_options_and_choice(renderer, make_chart, view, register):
    class Named(Options):
        name: str = "x"

    def draw(request):
        bars = {"type": "bar", "y": list(request.rows["size"])}
        return {"data": [bars], "layout": {"title": [request.options.name, request.choice]}}

    register("mine", draw, options=Named, choices=lambda request: ["one", "two"])
    chart = make_chart("custom", plot="mine", options={"name": "y"}, filters={"kind": "a"})
    drawn = renderer().render(chart, view, "two")
    assert (drawn.choices, drawn.choice) == (("one", "two"), "two")
    assert '"y": [1.0, 3.0]' in told(drawn) and '["y", "two"]' in told(drawn)
    assert renderer().render(chart, view, "gone").choice == "one"


def test_a_plot_may_give_plotlys_own_figure(renderer, make_chart, view, register):
    go = pytest.importorskip("plotly.graph_objects")
    register("own", lambda request: go.Figure(go.Bar(y=[1])))
    assert '"type": "bar"' in told(renderer().render(make_chart("custom", plot="own"), view))


def test_a_plot_with_nothing_to_draw_says_what_to_do(renderer, make_chart, view, register):
    def draw(request):
        raise Empty("Do `this`.")

    register("nothing", draw)
    assert "this" in told(renderer().render(make_chart("custom", plot="nothing"), view))


def test_csv_has_what_is_drawn(renderer, make_chart, view):
    chart = make_chart("bar", x="kind", metrics=[{"aggregation": "sum", "column": "size", "label": "size"}])
    assert renderer().csv(chart, view).splitlines() == ["kind,size", "a,4.0", "b,2.0", "none,"]


def test_csv_of_a_table_has_every_column_that_is_shown(renderer, make_chart, view):
    chart = make_chart("table", columns=["kind", "good"], order="kind")
    assert renderer().csv(chart, view).splitlines()[0] == "kind,good"


@pytest.mark.parametrize(
    "given",
    [
        {"type": "line"},
        {"type": "table", "columns": ["kind", "size", "good", "time"]},
        {"type": "number"},
        {"type": "histogram", "metrics": [{"aggregation": "mean", "column": "size"}]},
    ],
)
def test_every_kind_of_chart_is_a_picture_with_its_title(renderer, make_chart, view, given):
    figure = renderer().picture(make_chart(**given), view, None)
    assert figure["layout"]["title"]["text"] == "Things"
    assert figure["layout"]["paper_bgcolor"] == "#ffffff"
    json.dumps(figure, cls=PlotlyJSONEncoder, allow_nan=False)
