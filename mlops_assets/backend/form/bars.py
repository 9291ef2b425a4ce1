"""Charts of an answer made of plain elements: they follow the scheme and the screen's width without being drawn again,
and spare the page a plotting library of several megabytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dash import html

from mlops_assets.backend.form.wording import number, signed, value_text, words

if TYPE_CHECKING:
    from dash.development.base_component import Component

MOST_BARS = 12  # the rest is summed up in one
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Scale:
    """What all cards share, so that they can be compared by eye: ends of the line, length of the bars, decimals."""

    low: float
    high: float
    least: float
    most: float
    places: int


def interval_line(prediction: float, interval: Mapping[str, float], scale: Scale, share: str) -> Component:
    """The interval as a band with the prediction as a dot, on a line that all cards share."""
    width = (scale.high - scale.low) or 1.0
    place = {name: 100 * (value - scale.low) / width for name, value in interval.items()}
    low, high = number(interval["low"], scale.places), number(interval["high"], scale.places)
    band = html.Div(className="band", style=_extent(place["low"], place["high"]))
    dot = html.Div(className="dot", style={"left": f"{100 * (prediction - scale.low) / width:.2f}%"})
    ends = html.Div([html.Span(low), html.Span(share, className="dim"), html.Span(high)], className="ends")
    return html.Div([html.Div([band, dot], className="line"), ends], className="interval")


def bars(answer: Mapping[str, Any], values: Mapping[str, Any], scale: Scale) -> Component:
    """What each feature adds to the base, the largest first, and what they sum to."""
    told = answer["contributions"]
    largest = list(told["features"].items())[:MOST_BARS]
    rest = list(told["features"].values())[MOST_BARS:]
    if rest:
        largest.append((f"{len(rest)} others", sum(rest)))
    rows = [html.Span("base"), html.Span(className="track"), html.Span(number(told["base"], scale.places))]
    for name, value in largest:
        rows += [_name(name, values), _track(value, scale), html.Span(signed(value, scale.places))]
    total = told["base"] + sum(told["features"].values())
    if abs(total - answer["prediction"]) > _ROUNDING * max(1.0, abs(total)):
        limit = answer["prediction"] - total
        rows += [html.Span("limit of the target"), _track(limit, scale), html.Span(signed(limit, scale.places))]
    rows += [
        html.Span("prediction"),
        html.Span(className="track"),
        html.Span(number(answer["prediction"], scale.places)),
    ]
    return html.Div([html.H3("What moved the prediction"), html.Div(rows, className="bars")])


def _name(name: str, values: Mapping[str, Any]) -> Component:
    shown = [words(name)]
    if name in values:
        shown.append(html.Span(f" {value_text(values[name])}", className="dim"))
    return html.Span(shown)


def _track(value: float, scale: Scale) -> Component:
    """A bar from zero to the right for what adds, to the left for what takes away."""
    width = (scale.most - scale.least) or 1.0
    zero, end = (100 * (min(max(x, scale.least), scale.most) - scale.least) / width for x in (0.0, value))
    bar = html.Span(className="bar more" if value > 0 else "bar less", style=_extent(min(zero, end), max(zero, end)))
    return html.Span([html.Span(className="zero", style={"left": f"{zero:.2f}%"}), bar], className="track")


def _extent(start: float, end: float) -> dict[str, str]:
    return {"left": f"{start:.2f}%", "width": f"{end - start:.2f}%"}
