"""Values of inputs on their way between a link, a field and the model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from mlops_assets.core.values import array_of

if TYPE_CHECKING:
    from mlops_assets.core.signature import Input
    from mlops_assets.dataset import DatasetSpec


def now(item: Input) -> str:
    """The present minute on the clock of an input, as its field holds it."""
    return datetime.now(ZoneInfo(item.timezone or "UTC")).strftime("%Y-%m-%dT%H:%M")


def first_values(inputs: Iterable[Input]) -> dict[str, Any]:
    """What the fields of a new page hold."""
    return {item.name: now(item) for item in inputs if item.type == "time"}


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
