"""The dashboards that ship: every chart of every page draws real stores, without an error."""

import json
from datetime import UTC, datetime

import pytest
from plotly.utils import PlotlyJSONEncoder

from mlops_assets.dashboards.boards import parse, read_files

ALL_PAGES = [page for file in read_files(None).values() for page in parse(file)]
PAGES = [page for page in ALL_PAGES if page.board.predicts != "classes"]
CHARTS = [(page.slug, name) for page in PAGES for name in page.board.charts]
# What a shop that was run once by hand, and asked nothing, has nothing to show of.
EMPTY = {
    "kept",
    "coverage",
    "ticks",
    "asked",
    "speed",
    "rate",
    "requests",
    "latency",
    "answers",
    "widths",
    "drift",
    "drifted",
    "dropped",
    "runs_by_trigger",
    "parallel",
    "importance",
}

EMPTY_PAGES = ("xgboost-training", "retraining", "prediction", "backtest")


def test_the_pages_are_those_of_the_navigation(shop_dashboards):
    page_list = shop_dashboards.library.page_list()
    assert page_list.problems == {}
    assert [page.slug for page in page_list.pages] == [
        "overview",
        "data-preparation",
        "sklearn-training",
        "xgboost-training",
        "retraining",
        "prediction",
        "model",
        "data",
        "predictions",
        "backtest",
    ]


@pytest.mark.parametrize(("slug", "name"), CHARTS, ids=lambda value: value)
def test_every_chart_draws_or_says_what_to_do(shop_dashboards, slug, name):
    chart = shop_dashboards.chart(slug, name)
    view = shop_dashboards.view("dark", "all", datetime.now(UTC))
    while not (drawn := shop_dashboards.renderer.render(chart, view)).complete:
        pass
    shown = json.dumps(drawn.body, cls=PlotlyJSONEncoder, allow_nan=False)
    assert "message wrong" not in shown, shown
    is_empty = '"className": "message"' in shown
    assert not is_empty or name in EMPTY or slug in EMPTY_PAGES, shown
    assert shop_dashboards.renderer.csv(chart, view)
    if not is_empty:
        figure = shop_dashboards.renderer.picture(chart, view, drawn.choice)
        json.dumps(figure, cls=PlotlyJSONEncoder, allow_nan=False)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.slug)
def test_charts_stand_where_they_are_written(page):
    """So that what the grid makes of a layout is what the file says."""
    from mlops_assets.dashboards.grid import places_of

    for name, place in places_of(page.board, {})["wide"].items():
        size = page.board.charts[name].size
        assert (place.x, place.y, place.w, place.h) == (size.x, size.y, size.w, size.h), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.slug)
def test_what_is_not_obvious_is_explained(page):
    assert page.board.description
    assert all(chart.description for chart in page.board.charts.values() if chart.plot)
