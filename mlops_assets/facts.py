"""What is recorded of a materialisation: facts for people, and one entry for programs.

Dagster's pages show every entry of the metadata, and plot its numbers. A number stands there with its unit and four
significant digits. What programs read (recipe, digests, exact numbers, tables as data) is in the entry `record`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg

RECORD = "record"
_UNIT = " ("  # begins a unit in the label of an entry, such as `validation_rmse (minutes)`


@dataclass(frozen=True)
class Quantity:
    """A number in a unit; an empty unit is none."""

    value: float
    unit: str


@dataclass(frozen=True)
class Hidden:
    """A value, such as JSON can hold, that programs read and people need not see."""

    value: Any


def entries(facts: Mapping[str, Any], record: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Metadata for Dagster of facts by name; `record`: of the materialisation that this one follows."""
    shown: dict[str, Any] = {}
    kept = dict(record or {})
    for name, fact in facts.items():
        if isinstance(fact, Hidden):
            kept[name] = fact.value
        elif isinstance(fact, float | Quantity):
            value, unit = (fact.value, fact.unit) if isinstance(fact, Quantity) else (fact, "")
            shown[f"{name}{_UNIT}{unit})" if unit else name] = four_digits(value)
            if math.isfinite(value):  # JSON knows no other
                kept[name] = float(value)
        else:
            shown[name] = fact
    return shown | {RECORD: dg.MetadataValue.json(kept)}


def four_digits(value: float) -> float:
    """The number rounded to four significant digits."""
    return float(f"{value:.4g}")


def unfolded(values: Mapping[str, Any]) -> dict[str, Any]:
    """Facts by name, numbers exact, of the plain values of metadata; also of such as were recorded before `record`."""
    record = values.get(RECORD) or {}
    shown = {name: value for name, value in values.items() if name != RECORD and name.partition(_UNIT)[0] not in record}
    return shown | record


def facts_of(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Facts by name, as plain Python, of the metadata of a materialisation, recorded or to be recorded."""
    return unfolded({name: getattr(value, "value", value) for name, value in metadata.items()})
