"""Columns: alias -> NumPy array, the one form in which rows enter features, on every path.

Numbers and integers are float64 with NaN where missing, times datetime64[us] with NaT, text object with None.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from numbers import Number
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np

from mlops_assets.dataset import Column, DatasetSpec
from mlops_assets.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Columns = dict[str, np.ndarray]


def from_table(table: pa.Table, aliases: Iterable[str]) -> Columns:
    """Columns of an Arrow table whose types sources have normalised."""
    return {alias: _from_arrow(table.column(alias)) for alias in aliases}


def _from_arrow(column: pa.ChunkedArray) -> np.ndarray:
    import pyarrow as pa

    if pa.types.is_integer(column.type):
        column = column.cast(pa.float64(), safe=False)  # unsafe only beyond 2**53, which float64 rounds
    return column.to_numpy()


def from_frame(frame: pd.DataFrame, spec: DatasetSpec) -> Columns:
    """Columns of a DataFrame that a person made: each input is checked and converted to its type.

    Raises InputError naming each column that is absent, or the first that cannot be converted.
    """
    missing = [alias for alias in spec.inputs() if alias not in frame]
    if missing:
        raise InputError(f"missing column(s): {', '.join(missing)} (needed: {', '.join(spec.inputs())})")
    return {alias: _convert(alias, frame[alias], spec.columns[alias]) for alias in spec.inputs()}


def from_rows(rows: Sequence[Mapping[str, Any]], spec: DatasetSpec) -> Columns:
    """Columns of a list of mappings, such as JSON objects; an absent or null value is missing.

    Raises InputError naming an unknown name or a value that cannot be converted.
    """
    import pandas as pd

    inputs = spec.inputs()
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise InputError(f"row {number} is not an object of names and values (names: {', '.join(inputs)})")
        unknown = [str(name) for name in row if name not in inputs]
        if unknown:
            raise InputError(f"row {number}: {', '.join(unknown)} is not an input (inputs: {', '.join(inputs)})")
    frame = pd.DataFrame({alias: pd.Series([row.get(alias) for row in rows], dtype=object) for alias in inputs})
    return from_frame(frame, spec)


def _convert(alias: str, values: pd.Series, column: Column) -> np.ndarray:
    try:
        return _CONVERT[column.type](values, column)
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(f"{alias} must be {_ARTICLE[column.type]}: {error!s:.200}") from None


def _numbers(values: pd.Series, column: Column) -> np.ndarray:
    import pandas as pd

    if values.dtype.kind in "mM":
        raise TypeError("these are times")
    numbers = pd.to_numeric(values).to_numpy(np.float64, na_value=np.nan)
    parts = np.isfinite(numbers) & (numbers != np.floor(numbers))
    if column.type == "integer" and parts.any():
        raise ValueError(f"{numbers[parts][0]} is not whole")
    return numbers


def _texts(values: pd.Series, column: Column) -> np.ndarray:
    """Texts as sources give them: an empty one is missing, and a code that became 3.0 is 3."""
    known = values.astype(object).where(values.notna(), None)
    return np.array([_text(value) for value in known], object)


def _text(value: Any) -> str | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is not None and not isinstance(value, str | Number):
        raise TypeError(f"{type(value).__name__} is not a text")
    return None if value is None or value == "" else str(value)


def _times(values: pd.Series, column: Column) -> np.ndarray:
    """Wall-clock times; one with an offset is turned into the column's zone, or UTC, as sources do."""
    zone = ZoneInfo(column.timezone or "UTC")
    if values.dtype.kind == "M":
        wall = values if values.dt.tz is None else values.dt.tz_convert(zone).dt.tz_localize(None)
        return wall.to_numpy("datetime64[us]")
    known = values.astype(object).where(values.notna() & (values != ""), None)
    return np.array([None if value is None else _wall_clock(value, zone) for value in known], "datetime64[us]")


def _wall_clock(value: Any, zone: ZoneInfo) -> datetime:
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return moment if moment.tzinfo is None else moment.astimezone(zone).replace(tzinfo=None)


_CONVERT = {"text": _texts, "time": _times, "number": _numbers, "integer": _numbers}
_ARTICLE = {"text": "text", "time": "an ISO 8601 time", "number": "a number", "integer": "a whole number"}


def length(columns: Columns) -> int:
    return len(next(iter(columns.values())))


def concatenate(parts: Sequence[Columns]) -> Columns:
    """One set of columns from several with the same names."""
    return {alias: np.concatenate([part[alias] for part in parts]) for alias in parts[0]}


def take(columns: Columns, rows: np.ndarray | slice) -> Columns:
    return {alias: values[rows] for alias, values in columns.items()}


def row_hash(columns: Columns, seed: int) -> np.ndarray:
    """A uniform number in [0, 1) for each row, fixed by the row's values and the seed.

    Mixes each column's bits with the finaliser of SplitMix64 (Steele, Lea and Flood, 2014).
    """
    state = np.full(length(columns), _mix(np.array([seed], np.uint64))[0], np.uint64)
    for values in columns.values():
        state = _mix(state ^ _bits(values))
    return (state >> np.uint64(11)).astype(np.float64) / 2.0**53


def _bits(values: np.ndarray) -> np.ndarray:
    if values.dtype == object:
        known = {v: int.from_bytes(blake2b(repr(v).encode(), digest_size=8).digest()) for v in set(values)}
        return np.array([known[v] for v in values], np.uint64)
    return _mix(np.ascontiguousarray(values).view(np.uint64))


def _mix(x: np.ndarray) -> np.ndarray:
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
