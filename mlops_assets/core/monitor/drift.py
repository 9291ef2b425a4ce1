"""Drift: which variables of a period are no longer like those that a model has learnt from.

Features are compared as the model sees them, beside the predictions, the target, and the rows that cleaning dropped.
Where the same period a year before is known, a change counts only if it is one against that period too: the rest is
the season's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from mlops_assets.core.columns import Columns
from mlops_assets.core.features.derive import derive
from mlops_assets.core.monitor.effect_sizes import (
    Effect,
    bias_effect,
    category_effects,
    cramers_v,
    number_effects,
    share_effect,
)
from mlops_assets.core.targets.kinds import target_of
from mlops_assets.core.types import Array, FloatArray
from mlops_assets.dataset import DatasetSpec

Role = Literal["feature", "prediction", "target", "rows"]
Kind = Literal["number", "category", "hour"]
BEYOND = "target beyond the prediction"
# Of a period's rows the calendar alone says which period it is, and how many holidays it has.
_FIXED = ("month", "holiday")
_CYCLES: Mapping[str, Kind] = {"hour": "hour", "weekday": "category"}
HOURS = 24


@dataclass(frozen=True, eq=False)
class Variable:
    """A column of a sample: float64 with NaN where missing, or for categories also objects with None."""

    name: str
    role: Role
    kind: Kind
    values: Array


@dataclass(frozen=True)
class Dropped:
    """How many of a period's raw rows each rule of cleaning dropped."""

    rows: int
    by_rule: Mapping[str, int]


@dataclass(frozen=True, eq=False)
class Sample:
    """What is known of some rows: their variables, and how many others cleaning dropped."""

    variables: tuple[Variable, ...]
    dropped: Dropped


@dataclass(frozen=True)
class Shift:
    """A variable's effects against the reference and, where there is one, against the same period a year before."""

    name: str
    role: Role
    effects: tuple[Effect, ...]
    last_year: tuple[Effect, ...] | None = None

    @property
    def drifted(self) -> bool:
        return any(effect.counts and not self._seasonal(effect) for effect in self.effects)

    @property
    def is_seasonal(self) -> bool:
        """It is not what the model has learnt from, but it is what the season always brings."""
        return not self.drifted and any(effect.counts for effect in self.effects)

    @property
    def strongest(self) -> Effect:
        """The effect to tell of: one that makes this a drift, where it is one."""
        candidates = [effect for effect in self.effects if not self.drifted or not self._seasonal(effect)]
        return max(candidates, key=lambda effect: effect.strength)

    def before(self, effect: Effect) -> Effect | None:
        """The same measure against the period a year before."""
        return next((old for old in self.last_year or () if old.measure == effect.measure), None)

    def _seasonal(self, effect: Effect) -> bool:
        old = self.before(effect)
        return old is not None and not old.counts


@dataclass(frozen=True)
class DriftReport:
    """All shifts of one period: drifted ones first, then the strongest."""

    shifts: tuple[Shift, ...]

    @property
    def drifted(self) -> tuple[Shift, ...]:
        return tuple(shift for shift in self.shifts if shift.drifted)

    @property
    def seasonal(self) -> tuple[Shift, ...]:
        return tuple(shift for shift in self.shifts if shift.is_seasonal)


def variables(
    spec: DatasetSpec, columns: Columns, y: FloatArray, prediction: FloatArray | None = None
) -> tuple[Variable, ...]:
    """The variables of clean rows: features as the model sees them, its predictions where given, and the target."""
    kinds: dict[str, Kind] = dict.fromkeys(spec.features.categories, "category")
    fixed = set()
    for name, calendar in spec.features.calendar.items():
        kinds |= {f"{name}_{part}": _CYCLES[part] for part in calendar.parts if part in _CYCLES}
        fixed |= {f"{name}_{part}" for part in calendar.parts if part in _FIXED}
    features = [
        Variable(name, "feature", kinds.get(name, "number"), values)
        for name, values in derive(spec.features, columns).items()
        if name not in fixed
    ]
    kind: Kind = "number" if target_of(spec.target).is_stored else "category"  # codes of classes have no order
    if prediction is not None:
        features.append(Variable("prediction", "prediction", kind, prediction))
    return (*features, Variable("target", "target", kind, y))


def compare(current: Sample, reference: Sample, last_year: Sample | None = None, *, held_out: bool) -> DriftReport:
    """Compare a period with the reference, and with the same period a year before where that is given.

    `held_out`: the predictions are by a model that has not learnt from the period, so that their errors tell of it.
    """
    shifts = [*_variables(current, reference, last_year), *_dropped(current, reference, last_year)]
    if held_out and any(variable.role == "target" and variable.kind == "number" for variable in current.variables):
        values = {variable.role: variable.values for variable in current.variables}
        shifts.append(Shift(BEYOND, "target", (bias_effect(values["prediction"], values["target"]),)))
    return DriftReport(tuple(sorted(shifts, key=lambda shift: (not shift.drifted, -shift.strongest.strength))))


def _variables(current: Sample, reference: Sample, last_year: Sample | None) -> Iterable[Shift]:
    before = {(variable.role, variable.name): variable for variable in reference.variables}
    season = {(variable.role, variable.name): variable for variable in last_year.variables} if last_year else {}
    for variable in current.variables:
        key = variable.role, variable.name
        last = _effects(season[key], variable) if key in season else None
        yield Shift(variable.name, variable.role, _effects(before[key], variable), last)


def _effects(before: Variable, after: Variable) -> tuple[Effect, ...]:
    if after.kind == "number":
        return number_effects(before.values, after.values)
    effects = category_effects(before.values, after.values)
    return _of_the_day(before, after, effects) if after.kind == "hour" else effects


def _of_the_day(before: Variable, after: Variable, effects: tuple[Effect, ...]) -> tuple[Effect, ...]:
    """Effects of hours: none is new or gone, but all may have moved together."""
    kept = [effect for effect in effects if effect.measure in ("V", "missing")]
    if kept[0].measure == "V" and kept[0].counts:
        kept[0] = replace(kept[0], words=moved_clock(before.values, after.values) or kept[0].words)
    return tuple(kept)


def moved_clock(before: FloatArray, after: FloatArray) -> str:
    """Words for hours of the day that look like the earlier ones after so many hours; empty where they do not."""
    old, new = (np.bincount(hours[~np.isnan(hours)].astype(int), minlength=HOURS) for hours in (before, after))
    apart = [cramers_v(np.roll(old, hours), new) for hours in range(HOURS)]
    hours = int(np.argmin(apart))
    if apart[hours] > apart[0] / 2:
        return ""
    return f"clocks look moved by {hours if hours <= HOURS // 2 else hours - HOURS:+d} h"


def _dropped(current: Sample, reference: Sample, last_year: Sample | None) -> Iterable[Shift]:
    """A shift of each rule's share of the raw rows. Rows without a target are a rule's too: labels come late."""
    for rule, count in current.dropped.by_rule.items():
        after = count, current.dropped.rows
        seasonal = (_share(last_year.dropped, rule, after),) if last_year else None
        yield Shift(f"dropped: {rule}", "rows", (_share(reference.dropped, rule, after),), seasonal)


def _share(before: Dropped, rule: str, after: tuple[int, int]) -> Effect:
    return share_effect("share", (before.by_rule.get(rule, 0), before.rows), after)


def add_up(parts: Iterable[Dropped]) -> Dropped:
    """What was dropped of several periods together."""
    rows = 0
    by_rule: dict[str, int] = {}
    for part in parts:
        rows += part.rows
        for rule, count in part.by_rule.items():
            by_rule[rule] = by_rule.get(rule, 0) + count
    return Dropped(rows, by_rule)
