"""Columns: alias -> NumPy array, the one form in which rows enter features, on every path.

Numbers and integers are float64 with NaN where missing, times datetime64[us] with NaT, text object with None. They are
made of an Arrow table that a source has normalised, or, value by value, of what a caller sends: a DataFrame, rows as
JSON objects, lists as column-wise JSON. Then they are joined, cut and hashed, all columns together.

A row on its own stays plain values, for an array of one costs more than what is computed with it. What is known of
columns has its form for one row beside it, named `..._row`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from hashlib import blake2b
from numbers import Number
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np

from mlops_assets.core.types import Array, BoolArray, FloatArray, IntArray, KeyArray
from mlops_assets.dataset import Column, DatasetSpec
from mlops_assets.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Columns = dict[str, Array]
Row = dict[str, Any]  # alias -> float, whole microseconds or text; NaN, or None for a text, where missing
SLICE_ROWS = 2**16  # so many fit into a processor's cache, column by column
MATRIX_ROWS = 2**13  # so many fit into it with all columns of a matrix
MOST_CHARACTERS = 256  # of a text that a caller sends
TOO_LONG = f"is longer than {MOST_CHARACTERS} characters, which no category is"
_EPOCH = datetime(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)
_NAT = np.iinfo(np.int64).min  # how NumPy writes a missing time
_NOTHING = np.array(None, object)  # a missing text
_UNUSABLE = (ValueError, TypeError, OverflowError)
_ARTICLE = {"text": "text", "time": "an ISO 8601 time", "number": "a number", "integer": "a whole number"}


def array_of(values: Sequence[Any], column: Column) -> Array:
    """The array (n,) of a column's values: float64, object with None, or datetime64[us] of a wall clock."""
    return _array(map(_reader(column), values), column)


def _array(values: Iterable[Any], column: Column) -> Array:
    """The array (n,) of values as rows have them."""
    if column.type == "text":
        return np.array(list(values), object)
    if column.type == "time":
        return np.array([_NAT if value != value else value for value in values], np.int64).view("datetime64[us]")
    return np.array(list(values), np.float64)


def _reader(column: Column) -> Callable[[Any], Any]:
    """What makes of a caller's value that of a row; raises one of _UNUSABLE."""
    if column.type == "time":
        return partial(_microseconds, zone=ZoneInfo(column.timezone or "UTC"))
    if column.true_words:
        words = {word.lower(): 1.0 for word in column.true_words} | {word.lower(): 0.0 for word in column.false_words}
        return partial(_flag, words=words)
    return _READ[column.type]


def _number(value: Any) -> float:
    if value.__class__ is float:
        return value
    if value.__class__ is int:
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


def _whole_number(value: Any) -> float:
    number = _number(value)
    if number.is_integer() or not math.isfinite(number):
        return number
    raise ValueError(f"{number} is not whole")


def _flag(value: Any, words: Mapping[str, float]) -> float:
    return _whole_number(words.get(value.strip().lower(), value) if isinstance(value, str) else value)


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


def _microseconds(value: Any, zone: ZoneInfo) -> float:
    """Whole ones of the wall clock since 1970; a time with an offset is turned into the zone, as sources do."""
    if value is None or value == "" or value != value:
        return math.nan
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    if moment.tzinfo is not None:
        moment = moment.astimezone(zone).replace(tzinfo=None)
    return (moment - _EPOCH) // _MICROSECOND


_READ: Mapping[str, Callable[[Any], Any]] = {"text": _text, "number": _number, "integer": _whole_number}


def from_table(table: pa.Table, aliases: Iterable[str]) -> Columns:
    """Columns of an Arrow table whose types sources have normalised."""
    return {alias: _from_arrow(table.column(alias)) for alias in aliases}


def _from_arrow(column: pa.ChunkedArray) -> Array:
    import pyarrow as pa

    if pa.types.is_integer(column.type):
        column = column.cast(pa.float64(), safe=False)  # unsafe only beyond 2**53, which float64 rounds
    values: Array = column.to_numpy()
    return values


def from_frame(frame: pd.DataFrame, spec: DatasetSpec) -> Columns:
    """Columns of a DataFrame that a person made: each input is checked and converted to its type.

    Raises InputError naming each column that is absent, or the first that cannot be converted.
    """
    missing = [alias for alias in spec.inputs() if alias not in frame]
    if missing:
        raise InputError(f"missing column(s): {', '.join(missing)} (needed: {', '.join(spec.inputs())})")
    return {alias: _from_series(alias, frame[alias], spec.columns[alias]) for alias in spec.inputs()}


def from_rows(rows: Sequence[Mapping[str, Any]], spec: DatasetSpec) -> Columns:
    """Columns of a list of mappings, such as JSON objects; an absent or null value is missing.

    Raises InputError naming the row, and the unknown name or the value that cannot be converted.
    """
    inputs = spec.inputs()
    names = frozenset(inputs)
    for number, row in enumerate(rows):
        _check_names(number, row, names, inputs)
    return {alias: _convert(alias, [row.get(alias) for row in rows], spec.columns[alias]) for alias in inputs}


def _check_names(number: int, row: object, names: frozenset[str], inputs: tuple[str, ...]) -> None:
    """`names` are those of the `inputs`; a row is whatever a caller has sent."""
    if not isinstance(row, Mapping):
        text = f"row {number} is not an object of names and values (names: {', '.join(inputs)})"
        raise InputError(text, row=number)
    if not row.keys() <= names:
        unknown = [str(name)[:MOST_CHARACTERS] for name in row if name not in names]
        text = f"row {number}: {', '.join(unknown)} is not an input (inputs: {', '.join(inputs)})"
        raise InputError(text, row=number, field=unknown[0])


class RowReader:
    """Reads the mappings of callers row by row; made once, for rows without end."""

    def __init__(self, spec: DatasetSpec) -> None:
        self._spec = spec
        self._inputs = spec.inputs()
        self._names = frozenset(self._inputs)
        self._readers = [(alias, _reader(spec.columns[alias])) for alias in self._inputs]

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> list[Row]:
        """The rows; raises InputError as `from_rows` does."""
        for number, row in enumerate(rows):
            _check_names(number, row, self._names, self._inputs)
        try:
            return [{alias: read(row.get(alias)) for alias, read in self._readers} for row in rows]
        except _UNUSABLE:
            from_rows(rows, self._spec)  # names the row and the value
            raise


def stack(rows: Sequence[Row], spec: DatasetSpec) -> Columns:
    """Columns of rows."""
    return {alias: _array([row[alias] for row in rows], spec.columns[alias]) for alias in spec.inputs()}


def from_lists(lists: Mapping[str, Sequence[Any]], spec: DatasetSpec) -> Columns:
    """Columns of lists of values by alias, such as column-wise JSON; an absent alias is missing in every row.

    Raises InputError as `from_rows` does, and where the lists are of different lengths.
    """
    inputs = spec.inputs()
    if unknown := [str(name)[:MOST_CHARACTERS] for name in lists if name not in inputs]:
        text = f"{', '.join(unknown)} is not an input (inputs: {', '.join(inputs)})"
        raise InputError(text, field=unknown[0])
    counts = {alias: len(values) for alias, values in lists.items()}
    if len(set(counts.values())) > 1:
        differing = ", ".join(f"{alias} has {count}" for alias, count in counts.items())
        raise InputError(f"every input needs the same number of values: {differing}")
    absent = [None] * max(counts.values(), default=0)
    return {alias: _convert(alias, lists.get(alias, absent), spec.columns[alias]) for alias in inputs}


def _from_series(alias: str, values: pd.Series[Any], column: Column) -> Array:
    """Whole arrays where pandas knows the type; else value by value, as rows are."""
    kind = values.dtype.kind
    if kind in "mM" and column.type in ("number", "integer"):
        raise InputError(f"{alias} must be {_ARTICLE[column.type]}: these are times", field=alias)
    if kind in "biuf" and column.type in ("number", "integer"):
        numbers = values.to_numpy(np.float64, na_value=np.nan)
        has_fraction = np.isfinite(numbers) & (numbers != np.floor(numbers))
        if column.type == "number" or not has_fraction.any():
            return numbers
    if kind == "M" and column.type == "time":
        zone = ZoneInfo(column.timezone or "UTC")
        wall = values if values.dt.tz is None else values.dt.tz_convert(zone).dt.tz_localize(None)
        return wall.to_numpy("datetime64[us]")
    pairs = zip(values.astype(object).tolist(), values.isna().tolist(), strict=True)
    return _convert(alias, [None if is_missing else value for value, is_missing in pairs], column)


def _convert(alias: str, values: Sequence[Any], column: Column) -> Array:
    try:
        return array_of(values, column)
    except _UNUSABLE:
        for row, value in enumerate(values):
            _check(row, alias, value, column)
        raise


def _check(row: int, alias: str, value: Any, column: Column) -> None:
    try:
        array_of([value], column)
    except _UNUSABLE as error:
        text = f"row {row}: {alias} must be {_ARTICLE[column.type]}: {error!s:.200}"
        raise InputError(text, row=row, field=alias) from None


def slices(table: pa.Table, rows: int = SLICE_ROWS) -> Iterator[pa.Table]:
    """A table in parts of so many rows, the last one shorter; nothing is copied."""
    for start in range(0, table.num_rows, rows):
        yield table.slice(start, rows)


def row_slices(count: int, rows: int = MATRIX_ROWS) -> Iterator[slice]:
    """Slices of so many of `count` rows, the last one shorter."""
    for start in range(0, count, rows):
        yield slice(start, min(start + rows, count))


def length(columns: Columns) -> int:
    return len(next(iter(columns.values())))


def concatenate(parts: Sequence[Columns]) -> Columns:
    """One set of columns from several with the same names."""
    return {alias: np.concatenate([part[alias] for part in parts]) for alias in parts[0]}


def take(columns: Columns, rows: IntArray | BoolArray | slice) -> Columns:
    return {alias: values[rows] for alias, values in columns.items()}


def evenly_spread(count: int, most: int) -> IntArray:
    """Places of `count` rows, or of `most` of them from the first on, as far apart as they can be."""
    return np.arange(count) if count <= most else np.arange(most) * count // most


def is_missing(values: Array) -> BoolArray:
    """Whether each value (n,) of a column is missing."""
    missing: BoolArray = np.equal(values, _NOTHING) if values.dtype == object else np.isnan(values)
    return missing


def is_absent(value: Any) -> bool:
    """Whether a row's value is missing; a number that is not finite counts as such, as in every feature."""
    return value is None or (value.__class__ is not str and not -math.inf < value < math.inf)


def nothing_like(values: Array) -> Array:
    """As many missing values (n,) of the same kind."""
    nothing = {"M": np.datetime64("NaT"), "f": np.nan, "O": None}[values.dtype.kind]
    return np.full(len(values), nothing, values.dtype)


def refuse_long_texts(columns: Columns, first: int = 0) -> None:
    """Raises InputError naming the first text of more than MOST_CHARACTERS; `first` is the number of the first row."""
    for alias, values in columns.items():
        if values.dtype == object:
            for row, value in enumerate(values, first):
                if value is not None and len(value) > MOST_CHARACTERS:
                    raise InputError(f"row {row}: {alias} {TOO_LONG}", row=row, field=alias)


def label(value: object) -> str:
    """A category in words: as a number, a code has no more digits than it needs."""
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def row_hash(columns: Columns, seed: int) -> FloatArray:
    """A uniform number in [0, 1) for each row, fixed by the row's values and the seed.

    Mixes each column's bits with the finaliser of SplitMix64 (Steele, Lea and Flood, 2014).
    """
    state = np.full(length(columns), _mix(np.array([seed], np.uint64))[0], np.uint64)
    for values in columns.values():
        state = _mix(state ^ _bits(values))
    return (state >> np.uint64(11)).astype(np.float64) / 2.0**53


def _bits(values: Array) -> KeyArray:
    if values.dtype == object:
        digests = {v: int.from_bytes(blake2b(repr(v).encode(), digest_size=8).digest()) for v in set(values)}
        return np.array([digests[v] for v in values], np.uint64)
    return _mix(np.ascontiguousarray(values).view(np.uint64))


def _mix(x: KeyArray) -> KeyArray:
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
