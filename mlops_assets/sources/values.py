"""From the values of one column, of whatever type and however written, to the column's own type.

A conversion raises `pyarrow.ArrowException` where a value does not fit: `normalise` finds which, and says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC
from functools import partial
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from mlops_assets.dataset import Column

if TYPE_CHECKING:
    import pyarrow as pa

# What files write for "no value". In a text column only the empty text counts: NA is also Namibia.
MISSING = ("", "#N/A", "N/A", "n/a", "NA", "<NA>", "NaN", "nan", "-NaN", "-nan", "NULL", "null", "None")
_OFFSET = r":\d{2}(\.\d+)?(Z|[+-]\d{2}(:?\d{2})?)$"
_NANOSECONDS = r"(:\d{2}\.\d{6})\d{1,3}"  # are cut off
_SPACES = "[ \u00a0\u2009\u202f]"  # all of them separate thousands
MINUS = "\u2212"
NEGATIVE = r"\(([^()+-]+)\)|([^()+-]*\d[^()+-]*)-"
_NO_POINT = "_"  # where a point is no part of a number: none is read from it
Convert = Callable[["pa.ChunkedArray"], "pa.ChunkedArray"]


def converter(column: Column) -> Convert:
    """What makes of a column's values those of its type."""
    if column.type == "time":
        return partial(_times, column=column)
    if column.type == "text":
        return partial(_texts, column=column)
    if column.true_words:
        return partial(_flags, column=column)
    return partial(_integers if column.type == "integer" else _numbers, column=column)


def is_text(values: pa.ChunkedArray) -> bool:
    import pyarrow as pa

    return pa.types.is_string(values.type) or pa.types.is_large_string(values.type)


def _integers(values: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    if is_text(values):  # pandas writes whole numbers with gaps as 3.0
        values = pc.replace_substring_regex(_plain_numbers(values, column), r"\.0*$", "")
    return _without_marks(_without_nan(_no_times(values)).cast(pa.int64()), column)


def _numbers(values: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    import pyarrow as pa

    was_text = is_text(values)
    if was_text:
        values = _plain_numbers(values, column)
    # Unsafe only for integers beyond 2**53, which float64 rounds.
    return _without_marks(_without_nan(_no_times(values).cast(pa.float64(), safe=was_text)), column)


def _flags(values: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    """1 and 0, by the column's words for them in any case."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not is_text(values):
        numbers = _integers(values, column)
        return _known(numbers, pc.or_kleene(pc.equal(numbers, 0), pc.equal(numbers, 1)))
    words = pc.utf8_lower(_stripped(_without_missing(values, column), column))
    words = pc.replace_substring_regex(words, r"^([01])\.0*$", r"\1")
    is_true, is_false = (
        pc.is_in(words, value_set=pa.array([word.lower() for word in those]))
        for those in (column.true_words, column.false_words)
    )
    flags = pc.if_else(is_true, 1, pc.if_else(is_false, 0, None)).cast(pa.int64())
    return _known(pc.if_else(pc.is_valid(words), flags, None), pc.or_(is_true, pc.or_(is_false, pc.is_null(words))))


def _known(values: pa.ChunkedArray, is_known: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pc.all(is_known).as_py() and pc.any(pc.invert(is_known)).as_py():
        raise pa.ArrowInvalid("a value that is none of the words")
    return values


def _texts(values: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_floating(values.type):  # codes that became 3.0 in a period with gaps
        values = _without_nan(values.cast(pa.float64()))
        whole = pc.and_(pc.equal(pc.floor(values), values), pc.less(pc.abs(values), 2.0**53))
        codes = pc.if_else(whole, values, None).cast(pa.int64()).cast(pa.string())
        values = pc.coalesce(codes, values.cast(pa.string()))
    texts = values.cast(pa.string())
    if column.missing_values:
        texts = _without(texts, column.missing_values)
    if column.strip:
        texts = _stripped(texts, column)
    return pc.if_else(pc.equal(texts, ""), None, texts)


def _times(values: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    naive = pa.timestamp("us")
    if column.unit:
        return _counted_times(values, column)
    if is_text(values):
        texts = _stripped(_without_missing(values, column), column)
        if column.format:
            return _formatted_times(texts, column.format, column.timezone)
        has_offset = pc.match_substring_regex(texts, _OFFSET)
        if pc.any(pc.match_substring_regex(texts, _NANOSECONDS)).as_py():
            texts = pc.replace_substring_regex(texts, _NANOSECONDS, r"\1")
        aware = pc.if_else(has_offset, texts, None).cast(pa.timestamp("us", "UTC"))
        return pc.coalesce(_wall_clock(aware, column.timezone), pc.if_else(has_offset, None, texts).cast(naive))
    if pa.types.is_integer(values.type) and column.format:  # 20240131
        return _times(values.cast(pa.string()), column)
    if pa.types.is_timestamp(values.type) and values.type.tz:
        return _wall_clock(values, column.timezone)
    if pa.types.is_timestamp(values.type) or pa.types.is_date(values.type) or pa.types.is_null(values.type):
        return values.cast(naive, safe=False)  # nanoseconds are cut off
    raise pa.ArrowTypeError("neither times nor texts")


def _counted_times(values: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    """Times that are a count of units since 1970, in UTC."""
    import pyarrow as pa
    import pyarrow.compute as pc

    microseconds = {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3}[column.unit or "us"]
    try:
        counts = _integers(values, column)
        factor = round(microseconds)
        whole = pc.multiply_checked(counts, factor) if factor else pc.divide(counts, 1000)
    except pa.ArrowInvalid:  # 1704067200.25
        whole = pc.round(pc.multiply(_numbers(values, column), microseconds)).cast(pa.int64())
    return _wall_clock(whole.cast(pa.timestamp("us", "UTC")), column.timezone)


def _formatted_times(texts: pa.ChunkedArray, form: str, zone: str | None) -> pa.ChunkedArray:
    """Arrow's own strptime knows neither fractions nor offsets, and depends on the system's."""
    import pandas as pd
    import pyarrow as pa

    has_offset = "%z" in form
    moments = pd.to_datetime(texts.to_pandas(), format=form, errors="coerce", utc=has_offset)
    times = pa.chunked_array([pa.Array.from_pandas(moments)])
    if times.null_count > texts.null_count:
        raise pa.ArrowInvalid("a text of another format")
    return _wall_clock(times, zone) if has_offset else times.cast(pa.timestamp("us"), safe=False)


def _wall_clock(aware: pa.ChunkedArray, zone: str | None) -> pa.ChunkedArray:
    """Naive times that a clock of the zone, else of UTC, showed.

    Not Arrow's own conversion: that reads the system's zones alone, which slim images lack. Offsets change at
    full quarters of an hour, so one a quarter is looked up.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    naive = pa.timestamp("us")
    utc = aware.cast(pa.timestamp("us", "UTC"), safe=False).cast(pa.int64()).cast(naive)
    if zone is None:
        return utc
    quarters = pc.floor_temporal(utc, multiple=15, unit="minute")
    moments = pc.unique(quarters)
    clock = ZoneInfo(zone)
    offsets = [moment and moment.replace(tzinfo=UTC).astimezone(clock).utcoffset() for moment in moments.to_pylist()]
    return pc.add(utc, pa.array(offsets, pa.duration("us")).take(pc.index_in(quarters, value_set=moments)))


def _no_times(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """The same values; Arrow would cast a time to its count of microseconds, which no one means."""
    import pyarrow as pa

    if pa.types.is_temporal(values.type):
        raise pa.ArrowTypeError("times")
    return values


def _plain_numbers(texts: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    """Texts of numbers as Python writes them.

    Thousands are separated in groups or not at all: 12.50 is no 1250, whatever the separator.
    """
    import pyarrow.compute as pc

    texts = _stripped(_signed(_without_missing(texts, column)), column)
    if column.thousands:
        mark = _SPACES if column.thousands.isspace() else re.escape(column.thousands)
        decimals = rf"({re.escape(column.decimal or '.')}\d*)?"
        grouped = pc.match_substring_regex(texts, rf"^[+-]?\d{{1,3}}({mark}\d{{2,4}})*{mark}\d{{3}}{decimals}$")
        texts = pc.if_else(grouped, pc.replace_substring_regex(texts, mark, ""), texts)
    if column.decimal == ",":
        texts = pc.replace_substring(pc.replace_substring(texts, ".", _NO_POINT), ",", ".")
    return texts


def _signed(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """With the minus in front: `(5)`, `5-` and a typographer's minus have one meaning in a column of numbers."""
    import pyarrow.compute as pc

    texts = pc.replace_substring(texts, MINUS, "-")
    return pc.replace_substring_regex(texts, rf"^(?:{NEGATIVE})$", r"-\1\2")


def _stripped(texts: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    """Without what the column says may stand at both ends; the sign of a number may stand before it."""
    import pyarrow.compute as pc

    for part in column.strip:
        mark = re.escape(part.strip() or part)
        texts = pc.replace_substring_regex(texts, rf"^\s*([+-]?)\s*(?:{mark})+\s*", r"\1")
        texts = pc.replace_substring_regex(texts, rf"\s*(?:{mark})+\s*$", "")
    return texts


def _without_missing(texts: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    return _without(pc.utf8_trim_whitespace(texts.cast(pa.string())), (*MISSING, *column.missing_values))


def _without(texts: pa.ChunkedArray, marks: tuple[str, ...]) -> pa.ChunkedArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    is_mark = pc.is_in(pc.utf8_trim_whitespace(texts), value_set=pa.array([mark.strip() for mark in marks]))
    return pc.if_else(is_mark, None, texts)


def _without_marks(values: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    """Without the numbers that mean none: -200 also where a file has it as -200.0."""
    import pyarrow as pa
    import pyarrow.compute as pc

    marks = []
    for mark in column.missing_values:
        with suppress(ValueError):
            marks.append(float(mark))
    if not marks:
        return values
    return pc.if_else(pc.is_in(values.cast(pa.float64(), safe=False), value_set=pa.array(marks)), None, values)


def _without_nan(values: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_floating(values.type):
        return values
    is_nan = pc.is_nan(values)
    return pc.if_else(is_nan, None, values) if pc.any(is_nan).as_py() else values
