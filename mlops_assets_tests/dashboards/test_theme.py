"""The look that all pages share."""

import json

import pytest

from mlops_assets.dashboards.theme import COLOURS, NAVIGATION, shell, template


def links(active):
    page = json.loads(json.dumps(shell("Title", active, []), default=lambda component: component.to_plotly_json()))
    top = page["props"]["children"][0]["props"]["children"]["props"]["children"]
    return {each["props"]["href"]: each["props"] for each in top[1]["props"]["children"]}


@pytest.mark.parametrize("active", [address for address, _ in NAVIGATION])
def test_the_header_links_all_pages_and_marks_the_one_that_is_shown(active):
    marked = {href: "aria-current" in props for href, props in links(active).items()}
    assert marked == {address: address == active for address, _ in NAVIGATION}


@pytest.mark.parametrize("scheme", COLOURS)
def test_a_template_is_valid_and_readable_on_its_own_background(scheme):
    import plotly.graph_objects as go

    layout = template(scheme)["layout"]
    assert go.Figure(layout={"template": template(scheme)}).layout.template.layout.dragmode is False
    text = layout["font"]["color"]
    assert (int(text[1:3], 16) > 128) == (scheme == "dark")
    assert len(set(COLOURS[scheme])) == len(COLOURS["light"])
