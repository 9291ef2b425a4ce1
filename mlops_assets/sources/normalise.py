"""From what a source gives to the table that the spec describes: aliases for names, one type a column.

Types drift from period to period (int32, int64, double with gaps, large_string), so every column is cast.
"""

from collections.abc import Callable, Mapping
from datetime import UTC
from functools import partial
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from mlops_assets.dataset import Column, DatasetSpec
from mlops_assets.errors import BadTable

if TYPE_CHECKING:
    import pyarrow as pa

# What files write for "no value". In a text column only the empty text counts: NA is also Namibia.
MISSING = ("", "#N/A", "N/A", "n/a", "NA", "<NA>", "NaN", "nan", "-NaN", "-nan", "NULL", "null", "None")
_OFFSET = r":\d{2}(\.\d+)?(Z|[+-]\d{2}(:?\d{2})?)$"
_MOST_COUNTED = 1_000
Convert = Callable[["pa.ChunkedArray"], "pa.ChunkedArray"]


def schema(spec: DatasetSpec) -> "pa.Schema":
    """Arrow schema of every table that a source returns."""
    return _schema({alias: column.type for alias, column in spec.columns.items()})


def csv_types(spec: DatasetSpec) -> dict[str, "pa.DataType"]:
    """Types to parse a CSV file's columns as, by real name; times come as text, for their offsets."""
    kinds: dict[str, str] = {}
    for alias, column in spec.columns.items():
        name, kind = spec.source_name(alias), "text" if column.type == "time" else column.type
        kinds[name] = kind if kinds.get(name, kind) == kind else "text"
    types = _schema(kinds)
    return dict(zip(types.names, types.types, strict=True))


def check_names(present: list[str], spec: DatasetSpec, label: str) -> None:
    """Raise BadTable that lists the aliases whose columns are not `present`."""
    missing = [alias for alias in spec.used_columns() if spec.source_name(alias) not in present]
    if missing:
        raise BadTable(f"{label} has no column for {', '.join(missing)}: correct columns.<alias>.from in the YAML")


def normalise(columns: Mapping[str, "pa.ChunkedArray"], spec: DatasetSpec, label: str) -> "pa.Table":
    """The table of `schema(spec)` from one array an alias.

    `label` is what messages call the rows, such as `period 2024-02`. NaN becomes null; infinite numbers stay.
    Raises BadTable that names the alias and counts its unreadable rows.
    """
    import pyarrow as pa

    typed = [_typed(columns[alias], column, alias, label) for alias, column in spec.columns.items()]
    return pa.table(typed, schema=schema(spec))


def _schema(kinds: Mapping[str, str]) -> "pa.Schema":
    import pyarrow as pa

    types = {"integer": pa.int64(), "number": pa.float64(), "text": pa.string(), "time": pa.timestamp("us")}
    return pa.schema([(name, types[kind]) for name, kind in kinds.items()])


def _typed(values: "pa.ChunkedArray", column: Column, alias: str, label: str) -> "pa.ChunkedArray":
    import pyarrow as pa

    converters: dict[str, Convert] = {
        "integer": _integers,
        "number": _numbers,
        "text": _texts,
        "time": partial(_times, zone=column.timezone),
    }
    convert = converters[column.type]
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    try:
        return convert(values)
    except pa.ArrowException:
        bad = _count_bad(values, convert)
        count = f"{bad:,}" if bad < _MOST_COUNTED else f"at least {bad:,}"
        raise BadTable(
            f"{label}: column {alias} cannot be read as {column.type} in {count} of {len(values):,} rows: "
            f"correct the rows, or columns.{alias}.type in the YAML"
        ) from None


def _count_bad(values: "pa.ChunkedArray", convert: Convert) -> int:
    """How many values do not convert, by halving; stops at _MOST_COUNTED."""
    import pyarrow as pa

    bad, parts = 0, [values]
    while parts and bad < _MOST_COUNTED:
        part = parts.pop()
        try:
            convert(part)
        except pa.ArrowException:
            if len(part) == 1:
                bad += 1
            else:
                half = len(part) // 2
                parts += [part[half:], part[:half]]
    return bad


def _integers(values: "pa.ChunkedArray") -> "pa.ChunkedArray":
    import pyarrow as pa
    import pyarrow.compute as pc

    if _is_text(values):  # pandas writes whole numbers with gaps as 3.0
        values = pc.replace_substring_regex(_without_missing(values), r"\.0*$", "")
    return _without_nan(_no_times(values)).cast(pa.int64())


def _numbers(values: "pa.ChunkedArray") -> "pa.ChunkedArray":
    import pyarrow as pa

    if _is_text(values):
        values = _without_missing(values)
    # Unsafe only for integers beyond 2**53, which float64 rounds.
    return _without_nan(_no_times(values).cast(pa.float64(), safe=_is_text(values)))


def _texts(values: "pa.ChunkedArray") -> "pa.ChunkedArray":
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_floating(values.type):  # codes that became 3.0 in a period with gaps
        values = _without_nan(values.cast(pa.float64()))
        whole = pc.and_(pc.equal(pc.floor(values), values), pc.less(pc.abs(values), 2.0**53))
        codes = pc.if_else(whole, values, None).cast(pa.int64()).cast(pa.string())
        return pc.coalesce(codes, values.cast(pa.string()))
    texts = values.cast(pa.string())
    return pc.if_else(pc.equal(texts, ""), None, texts)


def _times(values: "pa.ChunkedArray", zone: str | None) -> "pa.ChunkedArray":
    import pyarrow as pa
    import pyarrow.compute as pc

    naive = pa.timestamp("us")
    if _is_text(values):
        texts = _without_missing(values)
        has_offset = pc.match_substring_regex(texts, _OFFSET)
        aware = pc.if_else(has_offset, texts, None).cast(pa.timestamp("us", "UTC"))
        return pc.coalesce(_wall_clock(aware, zone), pc.if_else(has_offset, None, texts).cast(naive))
    if pa.types.is_timestamp(values.type) and values.type.tz:
        return _wall_clock(values, zone)
    if pa.types.is_timestamp(values.type) or pa.types.is_date(values.type) or pa.types.is_null(values.type):
        return values.cast(naive, safe=False)  # nanoseconds are cut off
    raise pa.ArrowTypeError("neither times nor texts")


def _wall_clock(aware: "pa.ChunkedArray", zone: str | None) -> "pa.ChunkedArray":
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


def _is_text(values: "pa.ChunkedArray") -> bool:
    import pyarrow as pa

    return pa.types.is_string(values.type) or pa.types.is_large_string(values.type)


def _no_times(values: "pa.ChunkedArray") -> "pa.ChunkedArray":
    """The same values; Arrow would cast a time to its count of microseconds, which no one means."""
    import pyarrow as pa

    if pa.types.is_temporal(values.type):
        raise pa.ArrowTypeError("times")
    return values


def _without_missing(texts: "pa.ChunkedArray") -> "pa.ChunkedArray":
    import pyarrow as pa
    import pyarrow.compute as pc

    trimmed = pc.utf8_trim_whitespace(texts.cast(pa.string()))
    return pc.if_else(pc.is_in(trimmed, value_set=pa.array(MISSING)), None, trimmed)


def _without_nan(values: "pa.ChunkedArray") -> "pa.ChunkedArray":
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_floating(values.type):
        return values
    is_nan = pc.is_nan(values)
    return pc.if_else(is_nan, None, values) if pc.any(is_nan).as_py() else values
