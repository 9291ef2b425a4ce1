"""What a caller may send: each input's type, and the categories and the range that the training rows had."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from mlops_assets.core.columns import Columns, is_missing
from mlops_assets.core.features.categories import UNKNOWN, Codes, Vocabulary
from mlops_assets.core.types import Array, BoolArray
from mlops_assets.dataset import DatasetSpec

# Models are asked for what comes after their training rows; past one cycle of the seasons they are out of date.
AHEAD = np.timedelta64(366, "D")


@dataclass(frozen=True)
class Input:
    """One input. `categories` where it is one; `low` and `high` of a number, or of a time as ISO text.

    The range is that of the training rows, within the limits to which the spec clips it; None where they had no value.
    """

    name: str
    type: str
    categories: tuple[str, ...] | None
    low: float | str | None
    high: float | str | None
    timezone: str | None


@dataclass(frozen=True, eq=False)
class Limits:
    """The ranges of inputs of one kind, numbers or times, in the form in which columns are compared with them."""

    names: tuple[str, ...]
    low: Array  # (inputs, 1) float64 or datetime64[us]
    high: Array


def learn_signature(spec: DatasetSpec, columns: Columns, vocabularies: dict[str, Vocabulary]) -> tuple[Input, ...]:
    """The inputs, in the spec's order, of a model that learnt from these rows."""
    inputs = []
    for name in spec.inputs():
        column = spec.columns[name]
        categories = tuple(map(_label, vocabularies[name].values)) if name in vocabularies else None
        low, high = _range(spec, name, columns[name]) if _has_range(spec, name) else (None, None)
        inputs.append(Input(name, column.type, categories, low, high, column.timezone))
    return tuple(inputs)


def limits(inputs: Iterable[Input]) -> tuple[Limits, ...]:
    """The ranges of those inputs that have one; a time may lie AHEAD of the newest training row."""
    ranged = [item for item in inputs if item.low is not None]
    kinds: list[Limits] = []
    for kind, ahead in (("datetime64[us]", AHEAD), ("float64", 0.0)):
        those = [item for item in ranged if (item.type == "time") == (kind != "float64")]
        if those:
            low, high = (np.array([[getattr(item, end)] for item in those], kind) for end in ("low", "high"))
            kinds.append(Limits(tuple(item.name for item in those), low, high + ahead))
    return tuple(kinds)


def out_of_range(columns: Columns, within: Iterable[Limits]) -> dict[str, BoolArray]:
    """Rows (n,) whose value lies outside the range, for each input that has any; a missing value is not outside."""
    flags: dict[str, BoolArray] = {}
    for limit in within:
        values = np.array([columns[name] for name in limit.names])
        outside = (values < limit.low) | (values > limit.high)
        if outside.any():
            flags |= {name: flag for name, flag in zip(limit.names, outside, strict=True) if flag.any()}
    return flags


def unseen(columns: Columns, codes: Codes) -> dict[str, BoolArray]:
    """Rows (n,) whose category the training rows did not have, for each input that has any."""
    flags = {}
    for name, code in codes.items():
        unknown = code == UNKNOWN
        if unknown.any():
            is_new = unknown & ~is_missing(columns[name])
            if is_new.any():
                flags[name] = is_new
    return flags


def _has_range(spec: DatasetSpec, name: str) -> bool:
    """Numbers and times have one; an integer that is nothing but a category has not."""
    features = spec.features
    counted = {*features.numeric, *(alias for derived in features.derived.values() for alias in derived.of)}
    return spec.columns[name].type != "text" and (name in counted or name not in features.categories)


def _range(spec: DatasetSpec, name: str, values: Array) -> tuple[float | str | None, float | str | None]:
    present = values[np.isfinite(values)]
    if not len(present):
        return None, None
    low, high = present.min(), present.max()
    if values.dtype.kind == "M":
        return str(low), str(high)
    numeric = spec.features.numeric.get(name)
    clip = numeric.clip if numeric and numeric.clip else (-np.inf, np.inf)
    return float(np.clip(low, *clip)), float(np.clip(high, *clip))


def _label(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.0f}"
