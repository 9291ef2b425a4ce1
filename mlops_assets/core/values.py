"""Values as callers send them, such as those of JSON, turned into arrays; the same rules for rows and frames.

None, an empty text and NaN are missing. What cannot be used raises ValueError, TypeError or OverflowError.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from numbers import Number
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from mlops_assets.dataset import Column

_EPOCH = datetime(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)
_NAT = np.iinfo(np.int64).min  # how NumPy writes a missing time


def array_of(values: Sequence[Any], column: Column) -> np.ndarray:
    """The array (n,) of a column's values: float64, object with None, or datetime64[us] of a wall clock."""
    return _ARRAY[column.type](values, column)


def _numbers(values: Sequence[Any], column: Column) -> np.ndarray:
    return np.array([value if value.__class__ is float else _number(value) for value in values], np.float64)


def _whole_numbers(values: Sequence[Any], column: Column) -> np.ndarray:
    return np.array([_whole(_number(value)) for value in values], np.float64)


def _texts(values: Sequence[Any], column: Column) -> np.ndarray:
    return np.array([_text(value) for value in values], object)


def _times(values: Sequence[Any], column: Column) -> np.ndarray:
    zone = ZoneInfo(column.timezone or "UTC")
    return np.array([_microseconds(value, zone) for value in values], np.int64).view("datetime64[us]")


def _number(value: Any) -> float:
    if value.__class__ is int or value.__class__ is float:
        return float(value)
    if value is None or value == "" or value != value:
        return math.nan
    try:
        if isinstance(value, str) and "_" in value:  # Python reads 1_000 as a number, other readers do not
            raise ValueError
        return float(value)
    except ValueError:
        raise ValueError(f"{value!r:.60} is not one") from None
    except TypeError:
        raise TypeError(f"{type(value).__name__} is not one") from None


def _whole(number: float) -> float:
    if number.is_integer() or not math.isfinite(number):
        return number
    raise ValueError(f"{number} is not whole")


def _text(value: Any) -> str | None:
    """Texts as sources give them: a code that became 3.0 is 3."""
    if value.__class__ is str:
        return value or None
    if value is None or value != value:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, str | Number):
        raise TypeError(f"{type(value).__name__} is not a text")
    return str(value) or None


def _microseconds(value: Any, zone: ZoneInfo) -> int:
    """Of the wall clock since 1970; a time with an offset is turned into the zone, as sources do."""
    if value is None or value == "" or value != value:
        return _NAT
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    if moment.tzinfo is not None:
        moment = moment.astimezone(zone).replace(tzinfo=None)
    return (moment - _EPOCH) // _MICROSECOND


_ARRAY = {"text": _texts, "time": _times, "number": _numbers, "integer": _whole_numbers}
