"""What a chart can draw: a source is a table with declared columns, read from one of the stores when asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["time", "number", "text", "flag", "mapping"]
DTYPES: dict[Kind, str] = {
    "time": "datetime64[ns, UTC]",
    "number": "float64",
    "text": "object",
    "flag": "bool",
    "mapping": "object",
}


@dataclass(frozen=True)
class Column:
    """A column of a source. A `mapping` holds what plots in Python need, and no chart can be made of it."""

    name: str
    kind: Kind
    description: str


@dataclass(frozen=True)
class Reading:
    """What was read of a source: its rows, whether more are still on their way, and why the last look failed."""

    frame: pd.DataFrame
    complete: bool = True
    failure: Exception | None = None


@dataclass(frozen=True)
class Table:
    """What a store holds. `time` is its column that a page's time range looks at; `empty` says what fills it."""

    name: str
    description: str
    empty: str
    columns: tuple[Column, ...]
    time: str | None = "time"

    def column(self, name: str | None) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)

    def source(self, read: Callable[[], Reading], forget: Callable[[], None] | None = None) -> Source:
        return Source(**vars(self), read=read, forget=forget)


@dataclass(frozen=True, kw_only=True)
class Source(Table):
    """A table with how it is read; `forget` drops what is kept of the store, so that everything is read again."""

    read: Callable[[], Reading]
    forget: Callable[[], None] | None = None


def table(name: str, description: str, empty: str, /, *, ranged: bool = True, **described: str) -> Table:
    """A table with its columns from keywords; without `ranged`, a page's time range leaves all its rows."""
    return Table(name, description, empty, columns(**described), "time" if ranged else None)


def columns(**described: str) -> tuple[Column, ...]:
    """Columns from keywords: `seconds="number: How long it took."`."""
    parts = [(name, *text.split(": ", 1)) for name, text in described.items()]
    return tuple(Column(name, cast("Kind", kind), description) for name, kind, description in parts)


def as_frame(rows: Sequence[dict], declared: Sequence[Column]) -> pd.DataFrame:
    """Rows as a table with exactly these columns, each of its kind's type; what a row lacks is missing."""
    import pandas as pd

    frame = pd.DataFrame(rows, columns=[column.name for column in declared])
    return typed(frame, declared)


def typed(frame: pd.DataFrame, declared: Sequence[Column]) -> pd.DataFrame:
    """The declared columns, in this order and of these types; times become UTC."""
    import pandas as pd

    typed_columns = {}
    for column in declared:
        values, dtype = frame[column.name], pd.api.types.pandas_dtype(DTYPES[column.kind])
        if column.kind == "time":
            typed_columns[column.name] = pd.to_datetime(values, utc=True).astype(dtype)
        elif column.kind == "flag":
            typed_columns[column.name] = values.eq(True)  # what is missing is not true
        elif column.kind == "text":
            typed_columns[column.name] = none_where_missing(values)
        else:
            typed_columns[column.name] = values.astype(dtype)
    return pd.DataFrame(typed_columns, index=frame.index)


def none_where_missing(values: pd.Series) -> pd.Series:
    """The values as objects, with None where one is missing."""
    objects = values.astype(object)
    objects[values.isna()] = None
    return objects


def records(frame: pd.DataFrame) -> Iterator[Any]:
    """The rows of a table, with their columns as attributes."""
    return frame.itertuples(index=False)
