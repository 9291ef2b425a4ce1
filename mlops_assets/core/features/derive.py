"""Features from columns: the same stateless functions for training, batch, HTTP and form.

What has to be learnt from data (vocabularies, means) lives in `encoder`. Where a function of arrays is none of plain
numbers as well, its form for those stands below it.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from datetime import date
from functools import lru_cache
from typing import Any

import numpy as np

from mlops_assets.core.columns import Columns, Row
from mlops_assets.core.features.categories import UNKNOWN, find
from mlops_assets.core.types import BoolArray, FloatArray, IntArray, TimeArray
from mlops_assets.dataset import Calendar, Features
from mlops_assets.dataset.parts import CalendarPart, DerivedFunction
from mlops_assets.errors import SpecError

DAY = 1440
_MINUTE = 60_000_000  # microseconds
_EPOCH = date(1970, 1, 1).toordinal()
LARGEST = float(np.finfo(np.float32).max)  # trees see single precision


def derive(features: Features, columns: Columns) -> Columns:
    """Number features, each float64 with NaN where unknown, and the categorical columns as they are.

    Numbers are named by alias, calendar parts `<column>_<part>`. A value that is not finite counts as missing.
    """
    derived: Columns = {}
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is treated below
        for name, item in features.derived.items():
            derived[name] = _DERIVE[item.function](*(columns[alias] for alias in item.of))
    for name in features.numbers:
        numeric = features.numeric.get(name)
        derived[name] = _clip(derived[name] if name in derived else columns[name], numeric.clip if numeric else None)
    for name, calendar in features.calendar.items():
        derived |= {f"{name}_{part}": values for part, values in calendar_parts(columns[name], calendar).items()}
    return derived | {name: columns[name] for name in features.categories}


class RowDeriver:
    """`derive` of one row; what all rows share is looked up once."""

    def __init__(self, features: Features) -> None:
        self._derived = [(name, _DERIVE_ROW[item.function], item.of) for name, item in features.derived.items()]
        clips = {name: item.clip for name, item in features.numeric.items()}
        self._numbers = [(name, *_usable(clips.get(name))) for name in features.numbers]
        self._parts = [
            (f"{name}_{part}", name, _PART_ROW[part], calendar)
            for name, calendar in features.calendar.items()
            for part in calendar.parts
        ]
        self._categories = features.categories

    def __call__(self, row: Row) -> Row:
        values = row | {name: function(*[row[alias] for alias in of]) for name, function, of in self._derived}
        derived = {name: _clip_row(values[name], low, high) for name, low, high in self._numbers}
        for name, column, part, calendar in self._parts:
            time = row[column]
            minutes = time // _MINUTE  # NaN where it is missing
            derived[name] = float(part(minutes, minutes // DAY, calendar)) if time == time else math.nan
        for name in self._categories:
            derived[name] = row[name]
        return derived


def calendar_parts(times: TimeArray, calendar: Calendar) -> dict[CalendarPart, FloatArray]:
    """Parts of datetime64[us] wall-clock times; Monday is weekday 0."""
    missing = np.isnat(times)
    some_missing = missing.any()
    minutes = times.astype(np.int64) // _MINUTE
    if some_missing:
        minutes[missing] = 0
    days = minutes // DAY
    values = {part: _PART[part](minutes, days, calendar).astype(np.float64) for part in calendar.parts}
    if some_missing:
        for value in values.values():
            value[missing] = np.nan
    return values


def _is_holiday(minutes: IntArray, days: IntArray, calendar: Calendar) -> BoolArray:
    if calendar.country is None:
        raise SpecError("features.calendar: the part holiday needs a country, such as US")
    first, last = _years(np.array([days.min(), days.max()])) if len(days) else (1970, 1970)
    if last - first > 200:  # a stray year: ask only for those that occur
        dates = np.concatenate([_holidays(calendar.country, year, year) for year in sorted(set(_years(days)))])
    else:
        dates = _holidays(calendar.country, first, last)
    is_holiday: BoolArray = find(dates, days) != UNKNOWN
    return is_holiday


def _years(days: IntArray) -> list[int]:
    years: list[int] = (days.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970).tolist()
    return years


@lru_cache(maxsize=64)
def _holidays(country: str, first: int, last: int) -> IntArray:
    """Days since 1970 of the holidays of these years, sorted."""
    import holidays

    try:
        dates = holidays.country_holidays(country, years=range(first, last + 1))
    except NotImplementedError:
        raise SpecError(f"features.calendar: no holidays are known of the country '{country}'") from None
    return np.array(sorted(dates), "datetime64[D]").astype(np.int64)


def _is_holiday_row(minutes: int, days: int, calendar: Calendar) -> bool:
    return days in _holidays_of(str(calendar.country), date.fromordinal(_EPOCH + days).year)


@lru_cache(maxsize=1024)
def _holidays_of(country: str, year: int) -> frozenset[int]:
    return frozenset(_holidays(country, year, year).tolist())


def _month(minutes: IntArray, days: IntArray, calendar: Calendar) -> IntArray:
    return days.astype("datetime64[D]").astype("datetime64[M]").astype(int) % 12 + 1


_PART: Mapping[CalendarPart, Callable[[IntArray, IntArray, Calendar], IntArray | BoolArray]] = {
    "hour": lambda minutes, days, _: minutes % DAY // 60,
    "weekday": lambda minutes, days, _: (days + 3) % 7,  # day 0, 1970-01-01, was a Thursday
    "month": _month,
    "minute_of_day": lambda minutes, days, _: minutes % DAY,
    "minute_of_week": lambda minutes, days, _: (minutes + 3 * DAY) % (7 * DAY),
    "holiday": _is_holiday,
}


_PART_ROW: Mapping[CalendarPart, Callable[[Any, Any, Calendar], Any]] = {
    **_PART,
    "month": lambda minutes, days, _: date.fromordinal(_EPOCH + days).month,
    "holiday": _is_holiday_row,
}


def minutes_between(start: TimeArray, end: TimeArray) -> FloatArray:
    """Minutes from one datetime64[us] to another, NaN where either is missing."""
    missing = np.isnat(start) | np.isnat(end)
    minutes = (end.astype(np.int64) - start.astype(np.int64)) / 60e6
    minutes[missing] = np.nan
    return minutes


def clock_minutes(hhmm: FloatArray) -> FloatArray:
    """Minutes after midnight of a clock time written as the number hhmm, such as 1345."""
    return hhmm // 100 * 60 + hhmm % 100


def _clock_minutes_between(start: FloatArray, end: FloatArray) -> FloatArray:
    minutes: FloatArray = (clock_minutes(end) - clock_minutes(start)) % DAY
    return minutes


def _ratio(a: FloatArray, b: FloatArray) -> FloatArray:
    ratio: FloatArray = np.divide(a, b, out=np.full(len(a), np.nan), where=b != 0)
    return ratio


def log_number(number: FloatArray) -> FloatArray:
    """Its log (n,), NaN where it is missing or not positive."""
    return np.log(number, out=np.full(len(number), np.nan), where=number > 0)


def log_number_row(number: float) -> float:
    return math.log(number) if number > 0 else math.nan


_DERIVE: Mapping[DerivedFunction, Callable[..., FloatArray]] = {
    "minutes_between": minutes_between,
    "clock_minutes_between": _clock_minutes_between,
    "clock_minutes": clock_minutes,
    "difference": np.subtract,
    "ratio": _ratio,
    "log": log_number,
}

_DERIVE_ROW: Mapping[DerivedFunction, Callable[..., Any]] = {
    **_DERIVE,
    "minutes_between": lambda start, end: (end - start) / 60e6,
    "difference": operator.sub,
    "ratio": lambda a, b: a / b if b != 0 else math.nan,
    "log": log_number_row,
}


def _usable(limits: tuple[float, float] | None) -> tuple[float, float]:
    """Within what trees can see."""
    low, high = limits or (-LARGEST, LARGEST)
    return max(low, -LARGEST), min(high, LARGEST)


def _clip(values: FloatArray, limits: tuple[float, float] | None) -> FloatArray:
    low, high = _usable(limits)
    finite = np.isfinite(values)
    usable = values if finite.all() else np.where(finite, values, np.nan)
    return np.minimum(np.maximum(usable, low), high)  # np.clip is slow for few rows


def _clip_row(value: float, low: float, high: float) -> float:
    return min(max(value, low), high) if -math.inf < value < math.inf else math.nan
