"""The page on dashboards: its YAML is right, and its plot draws."""

import pytest

from mlops_assets.dashboards.boards import BoardFile
from mlops_assets.dashboards.plots import PLOTS, PlotRequest, load_folder, read_options
from mlops_assets_tests.documents import ROOT, blocks

PAGE = ROOT / "docs" / "dashboards.md"


@pytest.mark.parametrize("text", blocks(PAGE, "yaml"))
def test_the_dashboards_of_the_page_are_right(shop_dashboards, text):
    assert shop_dashboards.library.check(BoardFile("documented", text))


def test_the_plot_of_the_page_draws(shop_dashboards, view, tmp_path):
    [text] = blocks(PAGE, "python")
    (tmp_path / "documented.py").write_text(text)
    load_folder(tmp_path)
    plot = PLOTS.pop("loss_by_duration")
    trials = shop_dashboards.sources["trials"].read().frame
    options = read_options(plot, {"best": 1})
    figure = plot.draw(PlotRequest(trials, options, None, view, shop_dashboards.project, evidence=None))
    assert len(figure["data"][0]["x"]) == 3


def test_every_shipped_page_is_on_it(shop_dashboards):
    text = PAGE.read_text(encoding="utf-8")
    assert [
        page.board.title for page in shop_dashboards.library.page_list().pages if page.board.title not in text
    ] == []
