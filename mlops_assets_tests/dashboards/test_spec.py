"""A chart says what it needs, and what does not fit together is refused by name."""

import pytest
from pydantic import ValidationError

from mlops_assets.dashboards.spec import Board, Chart, Condition, Metric, Size


def chart(**given):
    return Chart(**{"title": "Things", "source": "things", "type": "line"} | given)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"type": "custom"}, "give plot with the type custom"),
        ({"plot": "mine"}, "give plot with the type custom"),
        ({"options": {"a": 1}}, "options are for the type custom"),
        ({"columns": ["kind"]}, "columns are for the type table"),
        ({"type": "histogram"}, "a histogram needs a metric with a column"),
        ({"type": "pie"}, "a pie needs x"),
        ({"type": "heatmap", "x": "kind"}, "a heatmap needs group_by"),
        ({"type": "lines"}, "Input should be 'line'"),
        ({"colour": "red"}, "Extra inputs are not permitted"),
        ({"limit": 0}, "greater than or equal to 1"),
    ],
)
def test_a_chart_whose_keys_do_not_fit_is_refused(given, problem):
    with pytest.raises(ValidationError, match=problem):
        chart(**given)


def test_a_value_or_a_list_is_short_for_one_of():
    filters = chart(filters={"kind": "a", "good": True, "size": {"min": 1}, "time": ["x", "y"]}).filters
    assert filters["kind"] == Condition(one_of=("a",))
    assert filters["good"].one_of == (True,)
    assert filters["time"].one_of == ("x", "y")
    assert filters["size"].min == 1


def test_one_column_can_be_grouped_by_without_a_list():
    assert chart(group_by="kind").group_by == chart(group_by=["kind"]).group_by == ("kind",)


@pytest.mark.parametrize("given", [{"aggregation": "mean"}, {"aggregation": "quantile", "column": "size"}])
def test_a_metric_without_what_it_needs_is_refused(given):
    with pytest.raises(ValidationError):
        Metric(**given)


def test_metrics_name_themselves():
    assert Metric().name == "count"
    assert Metric(aggregation="mean", column="fit_seconds").name == "mean of fit seconds"
    assert Metric(aggregation="quantile", quantile=0.9, column="size").name == "90% quantile of size"
    assert Metric(aggregation="sum", column="size", label="all of it").name == "all of it"


def test_a_chart_does_not_stand_outside_the_grid():
    with pytest.raises(ValidationError, match="x \\+ w must not be more than 12"):
        Size(x=8, w=5)


def test_a_condition_asks_something():
    with pytest.raises(ValidationError, match="give at least one of one_of"):
        Condition()


def test_a_dashboard_has_a_chart():
    with pytest.raises(ValidationError):
        Board(title="Empty", charts={})


def test_defaults_hold_for_every_chart_that_does_not_say_otherwise():
    charts = {"one": {"title": "One"}, "two": {"title": "Two", "type": "line", "filters": {"kind": "b"}}}
    defaults = {"source": "things", "type": "bar", "filters": {"kind": "a"}}
    one, two = Board(title="Both", defaults=defaults, charts=charts).charts.values()
    assert (one.source, one.type, one.filters["kind"].one_of) == ("things", "bar", ("a",))
    assert (two.source, two.type, two.filters["kind"].one_of) == ("things", "line", ("b",))


def test_a_chart_with_a_plot_needs_no_type():
    assert Chart(title="Things", source="things", plot="mine").type == "custom"
