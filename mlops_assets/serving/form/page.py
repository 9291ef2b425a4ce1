"""The page: its frame, which stays, and what follows the champion, such as a field for each of its inputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import dash_mantine_components as dmc
from dash import MATCH, Dash, Input, Output, State, dcc, html

from mlops_assets.core.targets.kinds import target_of
from mlops_assets.dashboards.at_work import at_work_line
from mlops_assets.dashboards.cards import IdPart
from mlops_assets.dashboards.theme import attributes, shell
from mlops_assets.serving.form.values import MOST_COMPARED, Query, first_values
from mlops_assets.serving.form.wording import hint, label, target_name
from mlops_assets.serving.predictor import Champion

if TYPE_CHECKING:
    from dash.development.base_component import Component

    from mlops_assets.core.features import signature
    from mlops_assets.core.model.model import Model
    from mlops_assets.dataset import Column, DatasetSpec
    from mlops_assets.resources.mlflow.version import Version


CSS = """
[hidden] { display: none !important; }
#predict[data-loading] > * { transition-delay: .2s; }  /* an answer sooner than that is shown without a jump */
.form-page { display: grid; grid-template-columns: minmax(340px, 460px) minmax(0, 1fr); gap: 20px; align-items: start; }
.fields { display: grid; grid-template-columns: repeat(auto-fill, minmax(170px, 1fr)); gap: 14px 16px; }
.wide { grid-column: 1 / -1; }
.buttons { display: flex; flex-wrap: wrap; gap: 8px; margin-top: 20px; }
.answers { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(340px, 100%), 1fr)); gap: 20px; }
.answer-head { display: flex; flex-wrap: wrap; gap: 4px 12px; align-items: baseline; margin-bottom: 8px; }
.answer-head h2 { display: flex; flex: 1 0 auto; gap: 8px; align-items: baseline; margin: 0; font-size: 14px;
  font-weight: 400; white-space: nowrap; }
.answer-head h2 > * { flex: none; }
.version { font-weight: 600; }
.links { display: flex; gap: 12px; font-size: 13px; }
#answer { scroll-margin-top: 64px; }
.dim { color: var(--mantine-color-dimmed); }
.number { display: flex; flex-wrap: wrap; gap: 0 8px; align-items: baseline; }
.big { font-size: 42px; font-weight: 650; line-height: 1.2; font-variant-numeric: tabular-nums; }
.difference { margin-left: auto; font-size: 13px; font-variant-numeric: tabular-nums; }
.interval { margin: 10px 0 18px; max-width: 480px; }
.line { position: relative; height: 10px; border-radius: 5px; background: var(--line); }
.band { position: absolute; height: 100%; border-radius: 5px; background: var(--series); opacity: .45; }
.dot { position: absolute; top: -2px; width: 14px; height: 14px; margin-left: -7px; border-radius: 50%;
  background: var(--series); border: 2px solid var(--card); box-sizing: border-box; }
.ends { display: flex; justify-content: space-between; margin-top: 4px; font-size: 13px;
  font-variant-numeric: tabular-nums; }
.notes { margin-bottom: 16px; padding: 10px 14px; }
.notes ul { margin: 0; padding-left: 16px; }
.answer h3 { margin: 0 0 8px; font-size: 13px; font-weight: 600; }
.bars { display: grid; grid-template-columns: fit-content(46%) minmax(60px, 1fr) auto; gap: 5px 12px;
  align-items: center; font-size: 13px; line-height: 1.35; }
.bars > :nth-child(3n) { text-align: right; font-variant-numeric: tabular-nums; }
.classes { display: grid; gap: 10px; margin: 10px 0 18px; font-size: 13px; }
.bars:not(.classes *) > :nth-last-child(-n+3) { font-weight: 600; padding-top: 4px; }
.track { position: relative; height: 14px; }
.zero { position: absolute; top: -3px; bottom: -3px; border-left: 1px solid var(--mantine-color-dimmed); opacity: .5; }
.bar { position: absolute; height: 100%; min-width: 1px; border-radius: 2px; }
.more { background: var(--series); }
.less { background: var(--against); }
.tools { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; margin-top: 14px; font-size: 13px; }
.empty { padding: 48px 20px; text-align: center; color: var(--mantine-color-dimmed); }
.empty #at-work { align-self: center; }
@media (max-width: 62em) { .form-page { grid-template-columns: minmax(0, 1fr); } }
@media (max-width: 48em) {
  .fields { grid-template-columns: minmax(0, 1fr); }
  .buttons button[type=submit] { flex: 1 0 100%; }
  .big { font-size: 34px; }
}
"""
SHOWN_AT_ONCE = 300  # categories in an open list; typing narrows it
UNSEEN = "Not in the training rows"
# A category that the model does not know can be asked for, too: what was typed becomes an option of its own. Options
# change for that only, since a select forgets a choice that it has not yet handed on when they do.
_OFFER_TYPED = """
function(typed, value, options) {
    const known = options.filter(option => !option.group).map(option => option.value);
    const offered = options.filter(option => option.group).flatMap(option => option.items.map(item => item.value));
    const strange = [value, (typed || "").trim()].filter(text => text && !known.includes(text));
    if (strange.every(text => offered.includes(text))) return dash_clientside.no_update;
    const items = [...new Set(strange)].map(text => ({value: text, label: text}));
    return [...options.filter(option => !option.group), {group: "GROUP", items}];
}
""".replace("GROUP", UNSEEN)
WATCH, WATCH_EMPTY = 15_000, 2_000  # milliseconds between looks for another champion, and for a first one


def page(spec: DatasetSpec, champion: Champion | None, problem: str, asked: Query) -> dmc.MantineProvider:
    """A new page with what a link asks; `problem` says why there is no champion, where there is none."""
    form_fields = fields(champion.model, first_values(champion, asked)) if champion else []
    start = html.Div("Fill in what you know, then press Enter or Predict.", className="card empty")
    answer = html.Div(start, id="answer", **attributes(aria_live="polite"))
    parts = [
        dcc.Location(id="url", refresh=False),
        dcc.Interval(id="watch", interval=WATCH if champion else WATCH_EMPTY),
        dcc.Store(id="shown", data=champion.number if champion else None),
        html.Div(_empty(problem, champion), id="empty", hidden=champion is not None),
        html.Div([_form(form_fields), answer], id="form-page", className="form-page", hidden=champion is None),
    ]
    subtitle = [html.Div(spec.redact(spec.description)), html.Div(who(champion), id="who")]
    return shell(f"Predict {target_of(spec.target).question(target_name(spec))}", "/", parts, subtitle=subtitle)


def who(champion: Champion | None) -> str:
    """The line that says who answers."""
    if champion is None:
        return ""
    since = champion.version.created.strftime("%d %B %Y").lstrip("0")
    return f"Answered by version {champion.number}, {champion.version.model_type} of {since}."


def other_versions(versions: Iterable[Version], champion: int | None) -> list[Mapping[str, Any]]:
    """What can be chosen to compare the champion with."""
    others = (version for version in versions if version.number != champion)
    return [
        {"value": str(one.number), "label": f"{one.number}: {one.model_type}, {one.created:%Y-%m-%d}"} for one in others
    ]


def field_id(name: IdPart, kind: IdPart) -> dict[str, IdPart]:
    """The id of a field, or the pattern of several."""
    return {"part": "field", "name": name, "kind": kind}


def fields(model: Model, values: Mapping[str, Any]) -> list[Component]:
    """A field for each input of a model, in order; `values` by name, which need not have all."""
    return [_field(item, model.spec.columns[item.name], values.get(item.name)) for item in model.signature]


def offer_typed(app: Dash) -> None:
    """Let what is typed into a field of categories be chosen."""
    select = field_id(MATCH, "select")
    app.clientside_callback(
        _OFFER_TYPED,
        Output(select, "data"),
        Input(select, "searchValue"),
        Input(select, "value"),
        State(select, "data"),
    )


def failure(*messages: str) -> Component:
    lines = [html.Div(message) for message in messages]
    return html.Div(dmc.Alert(lines, title="No answer", color="red", variant="light"), className="card")


def _form(form_fields: list[Component]) -> Component:
    compare = dmc.MultiSelect(
        id="compare",
        label="Compare with",
        description=f"up to {MOST_COMPARED} other versions",
        data=[],
        maxValues=MOST_COMPARED,
        debounce=True,
        searchable=True,
        clearable=True,
        mt=14,
    )
    buttons = [
        dmc.Button("Predict", id="predict", buttonProps={"type": "submit"}, flex=1),
        dmc.Button("Example", id="example", variant="default"),
        dmc.Button("Reset", id="reset", variant="default"),
    ]
    parts = [html.Div(form_fields, id="fields", className="fields"), compare, html.Div(buttons, className="buttons")]
    return html.Form(parts, className="card", noValidate=True, autoComplete="off")


def _empty(problem: str, champion: Champion | None) -> Component:
    texts = [dmc.Title("Nothing can be predicted yet", order=3), dmc.Text(problem, id="problem")]
    texts += at_work_line(disabled=champion is not None)
    texts.append(dmc.Text("This page goes on by itself as soon as there is a champion.", size="sm"))
    return dmc.Stack(texts, gap="xs", className="card empty")


def _field(item: signature.Input, column: Column, value: Any) -> Component:
    title = f"{label(item.name)} ({column.measured_in})" if column.measured_in else label(item.name)
    below = "; ".join(text for text in (column.description, hint(item)) if text)
    shared = {"label": title, "description": below or "\N{NO-BREAK SPACE}", "value": value}
    shared["debounce"] = True  # so that Enter and leaving a field hand its value on before a question is asked
    if item.categories is not None:
        options: list[dict[str, Any]] = [{"value": category, "label": category} for category in item.categories]
        if value and value not in item.categories:
            options.append({"group": UNSEEN, "items": [{"value": value, "label": value}]})
        return dmc.Select(
            id=field_id(item.name, "select"),
            data=options,
            searchable=True,
            clearable=True,
            clearSearchOnFocus=True,
            selectFirstOptionOnChange=True,
            limit=SHOWN_AT_ONCE,
            **shared,
        )
    if item.type == "time":
        typed = {"input": {"type": "datetime-local", "step": "any"}}  # the browser's own: typed, tapped, offline
        return dmc.TextInput(id=field_id(item.name, "time"), attributes=typed, className="wide", **shared)
    if item.type == "text":
        return dmc.TextInput(id=field_id(item.name, "text"), **shared)
    return dmc.NumberInput(
        id=field_id(item.name, "number"), allowDecimal=item.type == "number", hideControls=True, **shared
    )
