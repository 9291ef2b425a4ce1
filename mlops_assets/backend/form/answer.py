"""The answers as cards side by side: prediction, interval, what to be careful with, and what moved it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dash_mantine_components as dmc
from dash import html

from mlops_assets.backend.form.ask import Asked, Told
from mlops_assets.backend.form.bars import Scale, bars, interval_line
from mlops_assets.backend.form.wording import decimals, number, seen, signed, words
from mlops_assets.core.signature import Input

if TYPE_CHECKING:
    from dash.development.base_component import Component


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
