"""What a page shows before its scripts have come: plain HTML with numbers and tables, or what is wrong."""

import pytest
from dash import dcc, html

from mlops_assets.dashboards.app import build_app
from mlops_assets.dashboards.first_look import as_html
from mlops_assets.dashboards.theme import attributes
from mlops_assets.errors import StorageError


def test_components_of_html_stand_as_they_are_and_others_are_left_out():
    style = {"--tone": "#fff", "fontSize": 3}
    link = dcc.Link("a < b", href='/?a="b"', className="current")
    part = html.Div(["1", 2, None, dcc.Store(id="s"), link], hidden=True, style=style, **attributes(aria_label="it"))
    link_said = '<a href="/?a=&quot;b&quot;" class="current">a &lt; b</a>'
    assert as_html(part) == f'<div hidden style="--tone: #fff; font-size: 3" aria-label="it">12{link_said}</div>'
    assert as_html(html.P("x", id={"part": "p"}, n_clicks=None)) == "<p>x</p>"


@pytest.fixture
def first(shop_dashboards):
    """A function that gives the page at an address, as it comes from the server."""
    client = build_app(shop_dashboards).server.test_client()
    return lambda search="": client.get(f"/{search}").text


def test_numbers_and_tables_are_there_and_figures_have_their_places(first):
    text = first("?board=overview")
    head, _, _ = text.partition('id="react-entry-point"')
    assert "<h1" in head and '<div class="figure">' in head and "<td>Ridge</td>" in head
    assert head.count('class="waiting"') == 5
    assert "There is no dashboard named " in first("?board=nowhere")


def test_a_store_that_does_not_answer_is_told_of(first, shop_dashboards, monkeypatch):
    def fail(self):
        raise StorageError("somebody has pulled the plug")

    monkeypatch.setattr(type(shop_dashboards.library), "page_list", fail)
    assert "somebody has pulled the plug" in first()
