"""What a chart can draw: a source is a table with declared columns, read from one of the stores when asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["time", "number", "text", "flag", "mapping"]
DTYPES = {"time": "datetime64[ns, UTC]", "number": "float64", "text": "object", "flag": "bool", "mapping": "object"}


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
class Source:
    """A named table. `time` is its column that a page's time range looks at, or None; `empty` says what fills it."""

    name: str
    description: str
    columns: tuple[Column, ...]
    read: Callable[[], Reading]
    empty: str
    time: str | None = "time"
    forget: Callable[[], None] | None = None  # what is kept of the store, so that everything is read again

    def column(self, name: str | None) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)


def columns(**described: str) -> tuple[Column, ...]:
    """Columns from keywords: `seconds="number: How long it took."`."""
    made = []
    for name, text in described.items():
        kind, _, description = text.partition(": ")
        made.append(Column(name, kind, description))
    return tuple(made)


def as_frame(rows: Sequence[dict], declared: Sequence[Column]) -> pd.DataFrame:
    """Rows as a table with exactly these columns, each of its kind's type; what a row lacks is missing."""
    import pandas as pd

    frame = pd.DataFrame(rows, columns=[column.name for column in declared])
    return typed(frame, declared)


def typed(frame: pd.DataFrame, declared: Sequence[Column]) -> pd.DataFrame:
    """The declared columns, in this order and of these types; times become UTC."""
    import pandas as pd

    made = {}
    for column in declared:
        values = frame[column.name]
        if column.kind == "time":
            made[column.name] = pd.to_datetime(values, utc=True).astype(DTYPES["time"])
        elif column.kind == "flag":
            made[column.name] = values.eq(True)  # what is missing is not true
        elif column.kind == "text":
            made[column.name] = values.astype(object).where(values.notna(), None)
        else:
            made[column.name] = values.astype(DTYPES[column.kind])
    return pd.DataFrame(made, index=frame.index)
