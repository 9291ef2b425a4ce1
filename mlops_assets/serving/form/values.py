"""Values of inputs on their way between a link, a field and the model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from mlops_assets.core.columns import array_of, from_rows
from mlops_assets.errors import InputError
from mlops_assets.serving.form.wording import label

if TYPE_CHECKING:
    from mlops_assets.core.features.signature import Input
    from mlops_assets.core.model.model import Model
    from mlops_assets.dataset import DatasetSpec
    from mlops_assets.serving.predictor import Champion


COMPARE = "compare-with"  # no alias has a hyphen
MOST_COMPARED = 3
_LONGEST = 10_000  # characters of a link, which browsers and servers take


@dataclass(frozen=True)
class Query:
    """Values of inputs by alias, as they are written, and the versions to compare the champion with."""

    values: dict[str, Any]
    compare: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.values or self.compare)


def parse_query(search: str | None) -> Query:
    """The question of an address's part from `?` on; what is no number is not taken for a version."""
    pairs = dict(parse_qsl((search or "")[:_LONGEST].removeprefix("?")))
    numbers = [part for part in pairs.pop(COMPARE, "").split(",") if part.isascii() and part.isdigit()]
    return Query(pairs, tuple(dict.fromkeys(int(part) for part in numbers))[:MOST_COMPARED])


def format_query(query: Query) -> str:
    pairs = [(name, str(value)) for name, value in query.values.items()]
    if query.compare:
        pairs.append((COMPARE, ",".join(map(str, query.compare))))
    return f"?{urlencode(pairs, safe=',:')}" if pairs else ""


def filled_values(names: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    """The values of those fields that are not empty."""
    return {name: value for name, value in zip(names, values, strict=True) if value not in (None, "")}


def first_values(champion: Champion, asked: Query | None = None) -> dict[str, Any]:
    """What the fields of a new page hold: what a link asks, else a real row, where the champion has any."""
    model = champion.model
    row = to_send(model.signature, asked.values) if asked else next(iter(champion.golden_rows), {})
    return to_show(model.signature, row, model.spec)


def problems(model: Model, values: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with each field, by its label: left empty though it is needed, or not of its type."""
    wrong = {name: f"{label(name)} is needed" for name in model.required if name not in values}
    for item in model.signature:
        try:
            from_rows([{item.name: values.get(item.name)}], model.spec)
        except InputError as error:
            wrong[item.name] = f"{label(item.name)} {str(error).partition(f'{item.name} ')[2]}"
    return wrong


def to_send(inputs: Iterable[Input], values: Mapping[str, Any]) -> dict[str, Any]:
    """The row as a JSON caller would write it: numbers as numbers. What is none is left for the model to refuse."""
    types = {item.name: item.type for item in inputs}
    return {name: _number(value, types.get(name)) for name, value in values.items()}


def to_show(inputs: Iterable[Input], values: Mapping[str, Any], spec: DatasetSpec) -> dict[str, Any]:
    """What the fields hold for a row: categories as text, times without an offset, as the input's clock shows them."""
    return {item.name: _shown(item, values[item.name], spec) for item in inputs if values.get(item.name) is not None}


def _number(value: Any, type_: str | None) -> Any:
    if type_ not in ("number", "integer") or not isinstance(value, str):
        return value
    try:
        number = float(value)
    except ValueError:
        return value
    if not math.isfinite(number) or "_" in value:
        return value
    return int(number) if number.is_integer() else number


def _shown(item: Input, value: Any, spec: DatasetSpec) -> Any:
    if item.type == "time":
        return _wall_clock(value, item, spec)
    if item.categories is not None and isinstance(value, float) and value.is_integer():
        return f"{value:.0f}"
    return str(value) if item.categories is not None or item.type == "text" else value


def _wall_clock(value: Any, item: Input, spec: DatasetSpec) -> str:
    try:
        moment = array_of([value], spec.columns[item.name])[0].item()
    except (ValueError, TypeError, OverflowError):
        return ""  # a browser's field for times holds nothing else; the answer says what is wrong with it
    return moment.isoformat(timespec="auto" if moment.second or moment.microsecond else "minutes") if moment else ""
