"""The fields of the form, one for each input of the champion's signature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import dash_mantine_components as dmc
from dash import MATCH, Dash, Input, Output, State

from mlops_assets.dashboards.cards import IdPart
from mlops_assets.serving.form.wording import hint, label

if TYPE_CHECKING:
    from dash.development.base_component import Component

    from mlops_assets.core.features import signature
    from mlops_assets.core.model.model import Model
    from mlops_assets.dataset import Column

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


def field_id(name: IdPart, kind: IdPart) -> dict[str, IdPart]:
    """The id of a field, or the pattern of several."""
    return {"part": "field", "name": name, "kind": kind}


def fields(model: Model, values: Mapping[str, Any]) -> list[Component]:
    """A field for each input of a model, in order; `values` by name, which need not have all."""
    return [_field(item, model.spec.columns[item.name], values.get(item.name)) for item in model.signature]


def add_callbacks(app: Dash) -> None:
    select = field_id(MATCH, "select")
    app.clientside_callback(
        _OFFER_TYPED,
        Output(select, "data"),
        Input(select, "searchValue"),
        Input(select, "value"),
        State(select, "data"),
    )


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
