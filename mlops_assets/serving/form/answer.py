"""The answers as cards side by side: prediction, interval, what to be careful with, and what moved it.

The cards share a `Scale`, so that they can be compared by eye.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dash_mantine_components as dmc
from dash import html

from mlops_assets.core.features.signature import Input
from mlops_assets.dashboards.theme import attributes
from mlops_assets.serving.form.ask import Comparison, VersionAnswer, VersionProblem
from mlops_assets.serving.form.wording import allowed, decimals, number, range_text, set_text, signed, value_text, words

if TYPE_CHECKING:
    from dash.development.base_component import Component


MOST_BARS = 12  # the rest is summed up in one
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Scale:
    """What all cards share, so that they can be compared by eye.

    `low` and `high` are the ends of the line: those of answers to real rows, so that an interval has its size on every
    page. `least` and `most` are those of the bars, `order` is that of the features, `places` are decimals.
    """

    low: float
    high: float
    least: float
    most: float
    order: tuple[str, ...]
    places: int


def answer_cards(comparison: Comparison) -> Component:
    """`data-` attributes hold the numbers with all their digits."""
    scale = _scale(comparison)
    cards = [
        _problem(item) if isinstance(item, VersionProblem) else _card(item, comparison, scale)
        for item in (comparison.champion, *comparison.others)
    ]
    return html.Div(cards, className="answers", **attributes(data_request_id=comparison.request_id))


def _card(item: VersionAnswer, comparison: Comparison, scale: Scale) -> Component:
    answer, model = item.answer, item.version.model
    interval = answer["interval"]
    is_champion = item is comparison.champion
    impossible = _impossible(item)
    shown = _out_of_range(impossible) if impossible else _said(item, comparison.champion, scale)
    parts = [_heading(item, is_champion=is_champion), shown]
    if interval and not impossible:
        share = f"{model.coverage:.0%} interval"
        parts.append(interval_line(answer["prediction"], interval, scale, share))
    if "decision" in answer and not impossible:
        parts.append(class_bars(answer, model.coverage))
    if notes := _notes(item, comparison.query.values):
        lines = [html.Li(note) for note in notes]
        parts.append(dmc.Alert(html.Ul(lines), color="accent", variant="light", className="notes"))
    if not impossible:
        parts.append(bars(answer, comparison.query.values, scale))
    exact = attributes(data_prediction=repr(answer["prediction"]), data_version=item.number)
    exact |= {f"data-{end}": repr(value) for end, value in (interval or {}).items()}
    return html.Section(parts, className="card answer", **exact)


def _heading(item: VersionAnswer, *, is_champion: bool) -> Component:
    card = item.version.card
    links = [("MLflow", card["mlflow_run"]), ("Dagster", card["dagster_run"])]
    title: list[Component] = [
        html.Span(f"Version {item.number}", className="version"),
        html.Span(card["type"], className="dim"),
    ]
    if is_champion:
        title.append(dmc.Badge("champion", size="sm", variant="light"))
    pages = [
        html.A(name, href=url, target="_blank", rel="noreferrer", title=f"The run that made it, in {name}")
        for name, url in links
        if url
    ]
    return html.Div([html.H2(title), html.Div(pages, className="links")], className="answer-head")


def _said(item: VersionAnswer, champion: VersionAnswer, scale: Scale) -> Component:
    """The number, or the class that is decided."""
    if "decision" not in item.answer:
        return _number(item, champion, scale)
    decision, threshold = item.answer["decision"], item.answer["threshold"]
    from_on = "" if threshold is None else f"decided from a probability of {threshold:.3g} on"
    return html.Div([html.Span(decision, className="big"), html.Span(from_on, className="dim")], className="number")


def class_bars(answer: Mapping[str, Any], coverage: float | None) -> Component:
    """A bar a class, the likeliest first, with a mark at the threshold of two; then the set."""
    shares = sorted(answer["probabilities"].items(), key=lambda pair: -pair[1])
    positive = [*answer["probabilities"]][-1] if answer["threshold"] is not None else None
    rows: list[Component] = []
    for label, share in shares[:MOST_BARS]:
        marks = [html.Span(className="bar more", style=_extent(0, 100 * share))]
        if label == positive:
            marks.append(html.Span(className="zero", style={"left": f"{100 * answer['threshold']:.2f}%"}))
        rows += _row(label, f"{share:.1%}", marks)
    held = "" if coverage is None else set_text([label for label, _ in shares], answer["likely"], coverage)
    return html.Div([html.Div(rows, className="bars"), html.Div(held, className="dim")], className="classes")


def _number(item: VersionAnswer, champion: VersionAnswer, scale: Scale) -> Component:
    prediction = item.answer["prediction"]
    parts = [html.Span(number(prediction, scale.places), className="big"), html.Span(item.version.unit)]
    if item is not champion:
        difference = signed(prediction - champion.answer["prediction"], scale.places)
        parts.append(html.Span(f"{difference} vs champion", className="dim difference"))
    return html.Div(parts, className="number", title=repr(prediction))


def _impossible(item: VersionAnswer) -> list[str]:
    """What is wrong with values that cannot be at all, by the dataset's rules or on any clock."""
    inputs = {field.name: field for field in item.version.model.signature}
    flagged = [(inputs[name], item.row[name]) for name in item.answer["out_of_range"] if inputs[name].type != "time"]
    return [
        f"{words(field.name)} {value}: {allowed(field)}" for field, value in flagged if not field.allows(float(value))
    ]


def _out_of_range(sentences: list[str]) -> Component:
    """In the place of the number, which would be an answer to something else."""
    return html.Div([html.Span("Out of range", className="big"), html.Span("; ".join(sentences))], className="number")


def _notes(item: VersionAnswer, values: Mapping[str, Any]) -> list[str]:
    """What to be careful with: values outside the training rows, inputs left out, and those that are no inputs."""
    answer = item.answer
    inputs = {field.name: field for field in item.version.model.signature}
    notes = [_outside(inputs[name]) for name in answer["out_of_range"]]
    notes += [f"{words(name)} {values[name]} was not among the training rows" for name in answer["unseen"]]
    if answer["missing"]:
        names = ", ".join(map(words, answer["missing"]))
        notes.append(f"no interval, for the model has hardly learnt from rows without {names}")
    if left_out := [words(name) for name in inputs if name not in values]:
        notes.append(f"left empty, so taken as missing: {', '.join(left_out)}")
    if item.ignored:
        notes.append(f"not an input of this version, so ignored: {', '.join(map(words, item.ignored))}")
    return notes


def _outside(item: Input) -> str:
    if item.type == "time":
        return f"{words(item.name)} is before the training rows, or more than a year after them: {range_text(item)}"
    return f"{words(item.name)} is outside the range of the training rows: {range_text(item)}"


def _problem(problem: VersionProblem) -> Component:
    text = dmc.Alert(problem.text, color="red", variant="light")
    return html.Section(
        [html.Div(html.H2(f"Version {problem.number}"), className="answer-head"), text], className="card"
    )


def _scale(comparison: Comparison) -> Scale:
    answers = [item.answer for item in comparison.answers]
    golden = comparison.champion.version.model.golden
    points = [point for answer in answers for point in _points(answer)]
    ends = [*points, *(golden.expected["prediction"].tolist() if golden else ())]
    added = [answer["contributions"]["features"] for answer in answers]  # the largest first; the champion's come first
    moved = [value for features in added for value in features.values()]
    spans = [answer["interval"]["high"] - answer["interval"]["low"] for answer in answers if answer["interval"]]
    places = decimals(min(spans) if spans else max(map(abs, points)) / 4)
    order = tuple(dict.fromkeys(name for features in added for name in features))
    return Scale(min(ends), max(ends), min([0.0, *moved]), max([0.0, *moved]), order, places)


def _points(answer: dict[str, Any]) -> tuple[float, ...]:
    interval = answer["interval"]
    return (answer["prediction"], *((interval["low"], interval["high"]) if interval else ()))


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
    """What each feature adds to the base, in the order of all cards, and what they sum to."""
    base, of_answer = answer["contributions"]["base"], answer["contributions"]["features"]
    features = {name: of_answer[name] for name in scale.order if name in of_answer}
    largest = list(features.items())[:MOST_BARS]
    rest = list(features.values())[MOST_BARS:]
    if rest:
        largest.append((f"{len(rest)} others", sum(rest)))
    rows = _row("base", number(base, scale.places))
    for name, value in largest:
        rows += _row(_name(name, values), signed(value, scale.places), _marks(value, scale))
    total = base + sum(features.values())
    if "decision" in answer:
        rows += _row("log-odds", signed(total, scale.places))
        return html.Div([html.H3("What moved the decision, in log-odds"), html.Div(rows, className="bars")])
    limit = answer["prediction"] - total
    if abs(limit) > _ROUNDING * max(1.0, abs(total)):
        rows += _row("limit of the target", signed(limit, scale.places), _marks(limit, scale))
    rows += _row("prediction", number(answer["prediction"], scale.places))
    return html.Div([html.H3("What moved the prediction"), html.Div(rows, className="bars")])


def _row(name: str | list[Component | str], text: str, marks: Sequence[Component] = ()) -> list[Component]:
    return [html.Span(name), html.Span(marks, className="track"), html.Span(text)]


def _name(name: str, values: Mapping[str, Any]) -> list[Component | str]:
    value = [html.Span(f" {value_text(values[name])}", className="dim")] if name in values else []
    return [words(name), *value]


def _marks(value: float, scale: Scale) -> list[Component]:
    """A bar from zero to the right for what adds, to the left for what takes away."""
    width = (scale.most - scale.least) or 1.0
    zero, end = (100 * (min(max(x, scale.least), scale.most) - scale.least) / width for x in (0.0, value))
    bar = html.Span(className="bar more" if value > 0 else "bar less", style=_extent(min(zero, end), max(zero, end)))
    return [html.Span(className="zero", style={"left": f"{zero:.2f}%"}), bar]


def _extent(start: float, end: float) -> dict[str, str]:
    return {"left": f"{start:.2f}%", "width": f"{end - start:.2f}%"}
