"""The editor of a dashboard's YAML: checked while one writes, and previewed, before it is saved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import dash_mantine_components as dmc
from dash import html

from mlops_assets.dashboards.boards import Page
from mlops_assets.dashboards.components import attributes
from mlops_assets.dashboards.grid import grid, places_of, still
from mlops_assets.dashboards.render import RenderedChart
from mlops_assets.dashboards.sources.source import Source

if TYPE_CHECKING:
    from dash.development.base_component import Component


DEBOUNCE_MILLISECONDS = 600
NEW = """\
title: My dashboard
description: What it is for.
position: 60
time_range: 90d
charts:
  runs_by_day:
    title: Runs by day
    source: runs
    type: stacked bar
    interval: day
    group_by: status
    metrics: [{aggregation: count}]
    size: {x: 0, y: 0, w: 6, h: 7}
"""


def editor(sources: Mapping[str, Source]) -> Component:
    """The dialog; closed at first."""
    text = dmc.Textarea(
        id="yaml",
        debounce=DEBOUNCE_MILLISECONDS,
        autosize=False,
        className="yaml",
        **attributes(aria_label="YAML of the dashboard"),
    )
    left = [
        dmc.TextInput(id="name", label="Name", size="xs", description="Its address: small letters, digits and -."),
        text,
        html.Details(
            [html.Summary("Sources and their columns"), html.Pre(described(sources.values()))], className="known"
        ),
    ]
    buttons = [
        dmc.Button("Save", id="save", size="xs"),
        dmc.Button("Back to the file", id="reset", size="xs", variant="default", color="red"),
    ]
    right = [html.Div(id="verdict", role="status"), html.Div(id="preview")]
    return dmc.Modal(
        html.Div([html.Div(left, className="write"), html.Div(right, className="read")], className="editor"),
        id="editor",
        title=html.Div([html.B("Edit dashboard"), html.Div(buttons, className="buttons")], className="editor-head"),
        size="96%",
        yOffset="2vh",
        opened=False,
        closeOnClickOutside=False,
        className="editor-box",
    )


def verdict(pages: Sequence[Page]) -> Component:
    count = len(pages[0].board.charts)
    text = f"This is right: {count} chart{'s' if count > 1 else ''}"
    text += f" on each of {len(pages)} pages; the first is shown." if len(pages) > 1 else "."
    return html.Div(text, className="right-verdict")


def wrong(text: str) -> Component:
    return html.Div(text, className="wrong-verdict")


def preview(page: Page, charts: Mapping[str, RenderedChart]) -> Component:
    """The charts where they will stand, without what moves or downloads them."""
    cards = {}
    for name, chart in page.board.charts.items():
        head = html.Div(html.H2(chart.title), className="card-head")
        body = html.Div(charts[name].body, className="card-body")
        cards[name] = html.Section([head, body], className="card chart-card")
    return still(grid(page.slug, cards, places_of(page.board, {})))


def described(sources: Iterable[Source]) -> str:
    """Every source with its columns, as plain text."""
    parts = []
    for source in sources:
        columns = [column for column in source.columns if column.kind != "mapping"]
        lines = [f"  {column.name} ({column.kind}): {column.description}" for column in columns]
        parts.append("\n".join([f"{source.name}: {source.description}", *lines]))
    return "\n\n".join(parts)
