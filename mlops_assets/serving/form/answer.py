"""The answers as cards side by side: prediction, interval, what to be careful with, and what moved it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dash_mantine_components as dmc
from dash import html

from mlops_assets.core.features.signature import Input
from mlops_assets.serving.form.ask import Asked, Told
from mlops_assets.serving.form.wording import decimals, number, seen, signed, value_text, words

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


def answer_cards(asked: Asked) -> Component:
    """`data-` attributes hold the numbers with all their digits."""
    champion = asked.told[0]
    scale = _scale(asked.told)
    cards = [_card(told, champion, asked, scale) if told.version else _problem(told) for told in asked.told]
    return html.Div(cards, className="answers", **{"data-request-id": asked.request_id})


def _scale(answers: tuple[Told, ...]) -> Scale:
    given = [told.answer for told in answers if told.version]
    points = [point for answer in given for point in _points(answer)]
    added = [value for answer in given for value in answer["contributions"]["features"].values()]
    spans = [answer["interval"]["high"] - answer["interval"]["low"] for answer in given if answer["interval"]]
    places = decimals(min(spans) if spans else max(map(abs, points)) / 4)
    return Scale(min(points), max(points), min([0.0, *added]), max([0.0, *added]), places)


def _points(answer: dict[str, Any]) -> tuple[float, ...]:
    interval = answer["interval"]
    return (answer["prediction"], *((interval["low"], interval["high"]) if interval else ()))


def _card(told: Told, champion: Told, asked: Asked, scale: Scale) -> Component:
    answer, model = told.answer, told.version.model
    interval = answer["interval"]
    parts = [_heading(told, is_champion=told is champion), _number(told, champion, scale)]
    if interval:
        share = f"{model.coverage:.0%} interval"
        parts.append(interval_line(answer["prediction"], interval, scale, share))
    if notes := _notes(told, asked):
        items = [html.Li(note) for note in notes]
        parts.append(dmc.Alert(html.Ul(items), color="accent", variant="light", className="notes"))
    parts.append(bars(answer, asked.query.values, scale))
    exact = {"data-prediction": repr(answer["prediction"]), "data-version": told.number}
    exact |= {f"data-{end}": repr(value) for end, value in (interval or {}).items()}
    return html.Section(parts, className="card answer", **exact)


def _heading(told: Told, *, is_champion: bool) -> Component:
    card = told.version.card
    links = [("MLflow", card["mlflow_run"]), ("Dagster", card["dagster_run"])]
    title = [html.Span(f"Version {told.number}", className="version"), html.Span(card["type"], className="dim")]
    if is_champion:
        title.append(dmc.Badge("champion", size="sm", variant="light"))
    pages = [
        html.A(name, href=url, target="_blank", rel="noreferrer", title=f"The run that made it, in {name}")
        for name, url in links
        if url
    ]
    return html.Div([html.H2(title), html.Div(pages, className="links")], className="answer-head")


def _number(told: Told, champion: Told, scale: Scale) -> Component:
    prediction = told.answer["prediction"]
    shown = [html.Span(number(prediction, scale.places), className="big"), html.Span(told.version.unit)]
    if told is not champion:
        difference = signed(prediction - champion.answer["prediction"], scale.places)
        shown.append(html.Span(f"{difference} vs champion", className="dim difference"))
    return html.Div(shown, className="number", title=repr(prediction))


def _notes(told: Told, asked: Asked) -> list[str]:
    answer, model = told.answer, told.version.model
    inputs = {item.name: item for item in model.signature}
    values = asked.query.values
    notes = [_outside(inputs[name]) for name in answer["out_of_range"]]
    notes += [f"{words(name)} {values[name]} was not among the training rows" for name in answer["unseen"]]
    if left_out := [words(name) for name in inputs if name not in values]:
        notes.append(f"left empty, so taken as missing: {', '.join(left_out)}")
    if told.ignored:
        notes.append(f"not an input of this version, so ignored: {', '.join(map(words, told.ignored))}")
    return notes


def _outside(item: Input) -> str:
    if item.type == "time":
        return f"{words(item.name)} is before the training rows, or more than a year after them: {seen(item)}"
    return f"{words(item.name)} is outside the range of the training rows: {seen(item)}"


def _problem(told: Told) -> Component:
    text = dmc.Alert(told.problem, color="red", variant="light")
    return html.Section([html.Div(html.H2(f"Version {told.number}"), className="answer-head"), text], className="card")
