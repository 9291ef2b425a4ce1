"""From what a source gives to the table that the spec describes: aliases for names, one type a column.

Types drift from period to period (int32, int64, double with gaps, large_string), so every column is cast.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from mlops_assets.dataset import Column, DatasetSpec
from mlops_assets.errors import BadTable
from mlops_assets.sources.guesses import hint
from mlops_assets.sources.values import Convert, converter, is_text

if TYPE_CHECKING:
    import pyarrow as pa

_MOST_COUNTED = 1_000
_MOST_SHOWN = 40  # characters of a value in an error
_LOOKED_AT = 200  # values that a hint goes by


def schema(spec: DatasetSpec) -> pa.Schema:
    """Arrow schema of every table that a source returns."""
    return _schema(spec.columns)


def locate(present: Sequence[str], spec: DatasetSpec, label: str) -> dict[str, str]:
    """The names of the columns that the spec reads, with what they are called among those `present`.

    Blanks around a name do not count. Raises BadTable that lists the aliases whose columns are not there, or twice.
    """
    bare: dict[str, list[str]] = {}
    for name in present:
        bare.setdefault(name.strip(), []).append(name)
    found, absent = {}, []
    for alias in spec.used_columns():
        for name in spec.source_names(alias):
            names = [name] * Counter(present)[name] or bare.get(name.strip(), [])
            if len(names) > 1:
                shown = "are called so" if spec.hides(name) else f"are called '{name}'"
                raise BadTable(f"{label}: {len(names)} columns for {alias} {shown}: rename one in the table")
            if names:
                found[name] = names[0]
            elif alias not in absent:
                absent.append(alias)
    if absent:
        raise BadTable(
            f"{label} has no column for {', '.join(absent)}{alike(present, spec, absent)}: "
            "correct columns.<alias>.from in the YAML"
        )
    return found


def alike(present: Sequence[str], spec: DatasetSpec, absent: Sequence[str]) -> str:
    """Columns that are there under nearly the name that is looked for; names from the environment stay hidden."""
    by_letters = {_letters(name): name for name in present}
    hints = []
    for alias in absent:
        for name in spec.source_names(alias):
            if name not in present and (near := by_letters.get(_letters(name))):
                shown = "a name that differs in case or marks alone" if spec.hides(name) else f"'{near}'"
                hints.append(f"{alias}: did you mean {shown}?")
    return f" ({'; '.join(hints)})" if hints else ""


def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, name)).casefold()


def by_alias(table: pa.Table, names: Mapping[str, str], spec: DatasetSpec) -> dict[str, pa.ChunkedArray]:
    """The columns of a table by alias; `names` are what `locate` has found."""
    return {alias: joined([table[names[name]] for name in spec.source_names(alias)]) for alias in spec.used_columns()}


def joined(parts: Sequence[pa.ChunkedArray]) -> pa.ChunkedArray:
    """One column of several: their texts with a blank between, and nothing where one is missing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if len(parts) == 1:
        return parts[0]
    return pc.binary_join_element_wise(*(part.cast(pa.string()) for part in parts), " ")


def normalise(
    columns: Mapping[str, pa.ChunkedArray],
    spec: DatasetSpec,
    label: str,
    *,
    written: Mapping[str, Column] | None = None,
    line_of: Callable[[int], int] | None = None,
) -> pa.Table:
    """The table of `schema(spec)` from one array an alias.

    `label` is what messages call the rows, such as `period 2024-02`. `written`: the columns as these rows have them,
    where that is not as the spec's source does. `line_of`: where in the file a row stands. NaN becomes null; infinite
    numbers stay. Raises BadTable that names the alias, shows a value and counts the unreadable rows.
    """
    import pyarrow as pa

    written = spec.written() if written is None else written
    typed = [
        _typed(columns[alias], column, f"{label}: column {alias}", alias, spec, line_of)
        for alias, column in written.items()
    ]
    return pa.table(typed, schema=_schema(written))


def _schema(columns: Mapping[str, Column]) -> pa.Schema:
    import pyarrow as pa

    types = {"integer": pa.int64(), "number": pa.float64(), "text": pa.string(), "time": pa.timestamp("us")}
    return pa.schema([(alias, types[column.type]) for alias, column in columns.items()])


def _typed(
    values: pa.ChunkedArray,
    column: Column,
    what: str,
    alias: str,
    spec: DatasetSpec,
    line_of: Callable[[int], int] | None,
) -> pa.ChunkedArray:
    import pyarrow as pa

    convert = converter(column)
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    try:
        return convert(values)
    except pa.ArrowException:
        bad, places = _bad(values, convert)
        is_hidden = any(map(spec.hides, spec.source_names(alias)))
        count = f"{bad:,}" if bad < _MOST_COUNTED else f"at least {bad:,}"
        row = "" if line_of is None else f" in row {line_of(places[0]):,}"
        kind = "boolean" if column.true_words else column.type
        raise BadTable(
            f"{what} cannot be read as {kind} in {count} of {len(values):,} rows, "
            f"such as `{_shown(values[places[0]].as_py(), spec, is_hidden)}`{row}: "
            f"{_advice(values.take(places), column, alias, is_hidden)}"
        ) from None


def _shown(value: object, spec: DatasetSpec, is_hidden: bool) -> str:
    """The value, or what it looks like, where the name of its column is hidden: 99/99/9999 for a date."""
    text = spec.redact(str(value))
    if is_hidden:
        text = re.sub(r"[^\W\d_]", "a", re.sub(r"\d", "9", text))
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


def _advice(bad: pa.ChunkedArray, column: Column, alias: str, is_hidden: bool) -> str:
    """By some of the values that do not convert."""
    import pyarrow as pa

    if column.format:
        return f"correct the rows, or columns.{alias}.format, which is '{column.format}'"
    if column.true_words:
        return f"set columns.{alias}.true_words and false_words"
    if not (is_text(bad) or (column.type == "time" and pa.types.is_integer(bad.type))):
        return f"correct the rows, or columns.{alias}.type in the YAML"
    return hint(alias, column.type, [str(value).strip() for value in bad.to_pylist()], show=not is_hidden)


def _bad(values: pa.ChunkedArray, convert: Convert) -> tuple[int, list[int]]:
    """How many values do not convert, by halving, and the places of the first; stops at _MOST_COUNTED."""
    import pyarrow as pa

    places: list[int] = []
    bad, parts = 0, [(0, values)]
    while parts and bad < _MOST_COUNTED:
        start, part = parts.pop()
        try:
            convert(part)
        except pa.ArrowException:
            if len(part) == 1:
                bad += 1
                if len(places) < _LOOKED_AT:
                    places.append(start)
            else:
                half = len(part) // 2
                parts += [(start + half, part[half:]), (start, part[:half])]
    return bad, places
