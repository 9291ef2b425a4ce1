"""The parts a dataset's YAML is made of, each checked by itself; `checks` looks at how they fit together."""

import re
from collections.abc import Mapping
from datetime import date
from itertools import pairwise
from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from mlops_assets.dataset.dialect import Dialect, Mark
from mlops_assets.dataset.part import Part
from mlops_assets.dataset.periods import Cadence, Every
from mlops_assets.validation import spelled

Alias = Annotated[str, spelled(r"[a-z][a-z0-9_]*", "lower-case letters, digits and _, a letter first")]


def _as_text(value: object) -> object:
    """YAML reads `2024-01-31` as a date and `2024` as a number."""
    return value.isoformat() if isinstance(value, date) else str(value) if type(value) is int else value


Period = Annotated[str, BeforeValidator(_as_text)]
_DECIMAL = re.compile(r"\d+(\.\d+)?")
FileFormat = Literal["parquet", "csv", "json", "excel", "arrow"]
Direction = Literal["up", "down"]
CalendarPart = Literal["hour", "weekday", "month", "minute_of_day", "minute_of_week", "holiday"]
CALENDAR_PARTS: tuple[CalendarPart, ...] = get_args(CalendarPart)
InputKind = Literal[
    "time", "number", "category", "label"
]  # what a place in a spec takes; columns of several types may do
DerivedFunction = Literal["minutes_between", "clock_minutes_between", "clock_minutes", "difference", "ratio", "log"]
# The kind of the inputs of each function, and how many it takes.
DERIVATIONS: Mapping[DerivedFunction, tuple[InputKind, int]] = {
    "minutes_between": ("time", 2),
    "clock_minutes_between": ("number", 2),
    "clock_minutes": ("number", 1),
    "difference": ("number", 2),
    "ratio": ("number", 2),
    "log": ("number", 1),
}


class FilesSource(Dialect):
    """Files: one a period where the URI names the period, else one with all rows."""

    kind: Literal["files"] = Field(description="`files`.")
    uri: str = Field(
        description="Path or fsspec URL. `{period}` stands for the name of a period, `{yyyy}`, `{mm}`, `{dd}`, `{hh}`, "
        "`{q}` (1 to 4), `{ww}` (the ISO week, 01 to 53, with its year `{iso_yyyy}`) for parts of its start.",
        min_length=1,
    )
    format: FileFormat | None = Field(None, description="Without it, told by the name's ending.")


class SqlSource(Part):
    """A table or a query behind a SQLAlchemy URL."""

    kind: Literal["sql"] = Field(description="`sql`.")
    url: str = Field(description="SQLAlchemy URL; take it from the environment: ${NAME}.", min_length=1)
    table: str | None = Field(None, description="Table or view, `schema.table` where needed.")
    query: str | None = Field(None, description="SELECT statement, instead of a table.")
    chunk_rows: int = Field(100_000, ge=1, description="Rows fetched at once.")
    missing: tuple[Mark, ...] = Field((), description="Further values that mean none: `[?, -200]`.")

    @model_validator(mode="after")
    def _one_of(self) -> "SqlSource":
        if (self.table is None) == (self.query is None):
            raise ValueError("give either table or query")
        return self


class PackageSource(Dialect):
    """A data file inside an installed Python package, read without importing it."""

    kind: Literal["package"] = Field(description="`package`.")
    package: str = Field(description="Name of the installed package.", min_length=1)
    path: str = Field(description="Path of the file inside the package; a .zip holds one file.", min_length=1)
    format: FileFormat | None = Field(None, description="Without it, told by the name's ending.")


class DeltaSource(Part):
    """A Delta table, whose newest version is read."""

    kind: Literal["delta"] = Field(description="`delta`.")
    uri: str = Field(description="Its folder: a path, or a URL of an object store.", min_length=1)
    missing: tuple[Mark, ...] = Field((), description="Further values that mean none: `[?, -200]`.")


Source = Annotated[FilesSource | SqlSource | PackageSource | DeltaSource, Field(discriminator="kind")]


class Time(Part):
    """The column that says to which period a row belongs."""

    column: Alias = Field(description="Alias of a time column.")
    every: Every = Field("month", description="How long a period is.")
    first: Period = Field(
        description="First period of the data: `2024-01-31T05` is an hour, `2024-01-31` a day, `2024-W05` a week, "
        "`2024-01` a month, `2024-Q1` a quarter, `2024` a year."
    )
    last: Period | None = Field(None, description="Last period, where the data ends; left out, it grows.")
    keep_other_periods: bool = Field(
        False, description="Keep rows of a period's file whose time lies in another period."
    )

    @field_validator("first", "last")
    @classmethod
    def _named(cls, text: str | None, so_far: ValidationInfo) -> str | None:
        """Weeks and quarters by the names that partitions have."""
        return Cadence(so_far.data.get("every", "month")).read(text) if text else None

    @property
    def cadence(self) -> Cadence:
        return Cadence(self.every)


class RowRule(Part):
    """Rows that break this rule are dropped from clean data, and counted under its name.

    Of an input, its ends are also what the form, the API's page and Dagster's table of columns say that it may be.
    """

    name: str = Field(description="What the rule asks, in a few words.", min_length=1)
    column: Alias = Field(description="The column that is looked at.")
    min: float | None = Field(None, description="Smallest value that is kept.")
    max: float | None = Field(None, description="Largest value that is kept.")
    one_of: tuple[str | float, ...] | None = Field(None, description="Values that are kept.")
    none_of: tuple[str | float, ...] | None = Field(None, description="Values that are dropped.")
    not_null: bool = Field(False, description="Drop rows where the column is empty; other tests let them pass.")

    @model_validator(mode="after")
    def _some_test(self) -> "RowRule":
        if self.min is None and self.max is None and not self.one_of and not self.none_of and not self.not_null:
            raise ValueError("give at least one of min, max, one_of, none_of, not_null")
        return self


class Numeric(Part):
    """A number used as a feature."""

    clip: tuple[float, float] | None = Field(None, description="Values outside are set to the nearer end.")

    @field_validator("clip")
    @classmethod
    def _ordered(cls, clip: tuple[float, float] | None) -> tuple[float, float] | None:
        if clip and clip[0] >= clip[1]:
            raise ValueError("clip must be [low, high] with low < high")
        return clip


class Calendar(Part):
    """Parts of a time used as features, named `<column>_<part>`."""

    parts: tuple[CalendarPart, ...] = Field(min_length=1, description="Which parts.")
    country: str | None = Field(None, description="ISO code of the country whose holidays count; for `holiday`.")

    @model_validator(mode="after")
    def _country_for_holiday(self) -> "Calendar":
        if "holiday" in self.parts and not self.country:
            raise ValueError("the part holiday needs a country, such as US")
        return self


class Derived(Part):
    """A number computed from other columns by a named function."""

    function: DerivedFunction = Field(description="Name of the function.")
    of: tuple[Alias, ...] = Field(description="Its inputs, in order.", min_length=1)

    @model_validator(mode="after")
    def _count(self) -> "Derived":
        count = DERIVATIONS[self.function][1]
        if len(self.of) != count:
            raise ValueError(f"{self.function} takes {count} input(s), not {len(self.of)}")
        return self


class GroupMeans(Part):
    """Out-of-fold means of the target by groups of rows, for tree models; of several classes, the share of each.

    A key is a list of feature names; `name/width` groups a number in steps of that width.
    """

    keys: tuple[Annotated[tuple[str, ...], Field(min_length=1)], ...] = Field(
        min_length=1, description="Groups, one list of names each."
    )
    relative_to: str | None = Field(
        None,
        description="A positive number feature, such as a distance: adds target means beyond what it explains.",
    )

    @field_validator("keys")
    @classmethod
    def _widths(cls, keys: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
        for token in (token for key in keys for token in key):
            _, slash, width = token.partition("/")
            if slash and not (_DECIMAL.fullmatch(width) and float(width) > 0):
                raise ValueError(f"'{token}' must be a name, or name/width with a number above 0 as width")
        return keys


def name_and_width(token: str) -> tuple[str, float | None]:
    """Name and width of one token of a key: `distance/5` is the number distance in steps of 5."""
    name, _, width = token.partition("/")
    return name, float(width) if width else None


class Features(Part):
    """What a caller knows before the event; nothing else reaches a model."""

    categorical: tuple[Alias, ...] = Field((), description="Integer or text columns used as categories.")
    numeric: dict[Alias, Numeric] = Field(default_factory=dict, description="Number columns or derived names.")
    calendar: dict[Alias, Calendar] = Field(default_factory=dict, description="Time columns and their parts.")
    derived: dict[Alias, Derived] = Field(default_factory=dict, description="New numbers by name.")
    pairs: tuple[tuple[Alias, Alias], ...] = Field((), description="Pairs of categories; the first is the baseline's.")
    group_means: GroupMeans | None = Field(None, description="Target encodings for tree models.")

    @property
    def categories(self) -> tuple[str, ...]:
        """Names of all categories, on their own or in a pair."""
        return tuple(dict.fromkeys([*self.categorical, *(alias for pair in self.pairs for alias in pair)]))

    @property
    def main_category(self) -> str | None:
        """The category that says most of a row: the first of a pair, else the first there is."""
        return next(iter([*(alias for pair in self.pairs for alias in pair), *self.categorical]), None)

    @property
    def numbers(self) -> tuple[str, ...]:
        """Names of all number features, calendar parts excluded."""
        return tuple(dict.fromkeys([*self.derived, *self.numeric]))

    @property
    def calendar_names(self) -> tuple[str, ...]:
        """Names of all calendar parts, such as `pickup_at_hour`."""
        return tuple(f"{alias}_{part}" for alias, calendar in self.calendar.items() for part in calendar.parts)


class Window(Part):
    """How rows are split: by periods, or by shares where the table has no time."""

    train_periods: int = Field(12, ge=1, description="Periods to learn from, at most.")
    validation_periods: int = Field(1, ge=1, description="Periods after them, for tuning.")
    test_periods: int = Field(1, ge=0, description="Newest periods, for the gate; 0 lets the gate use validation.")
    gaps: Literal["allow", "refuse"] = Field(
        "allow",
        description="Whether a period may be missing between others; where it may, verdict, mail and card say so.",
    )
    validation_share: float = Field(
        0.15, gt=0, lt=0.5, description="Share of rows, without a time column; of `split.groups` with one."
    )
    test_share: float = Field(
        0.15, ge=0, lt=0.5, description="Share of rows, without a time column; of `split.groups` with one."
    )

    def without_test(self) -> "Window":
        return self.model_copy(update={"test_share": 0.0})


class Split(Part):
    """Which rows stay on one side of the split."""

    groups: tuple[Alias, ...] = Field(
        (),
        description="Columns, such as a customer: rows that are equal there are trained on, or tuned on, or judged by, "
        "and never two of these. With a time, shares of the groups are held out as `window` has them for a table "
        "without one; rows of a group that lie in periods of another side are left out.",
    )


class Range(Part):
    """Ranges of a number: below the first edge, between edges, from the last on."""

    column: Alias = Field(description="A number.")
    edges: tuple[float, ...] = Field(min_length=1, description="Where a range ends and the next begins, ascending.")

    @field_validator("edges")
    @classmethod
    def _ascending(cls, edges: tuple[float, ...]) -> tuple[float, ...]:
        if any(low >= high for low, high in pairwise(edges)):
            raise ValueError("edges must ascend")
        return edges


def _as_group(value: object) -> object:
    return (value,) if isinstance(value, str) else value


class Gate(Part):
    """How a challenger is judged: which rows move together, and which parts of them it must not lose by."""

    groups: tuple[Annotated[tuple[Alias, ...], BeforeValidator(_as_group)], ...] = Field(
        (), description="Columns, or lists of them: rows that are equal there move together, as those of a day do."
    )
    slices: tuple[Alias | Range, ...] = Field(
        (), description="Categories, or `{column, edges}` of a number: no part may be worse beyond doubt."
    )

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that it needs of a row."""
        sliced = (entry.column if isinstance(entry, Range) else entry for entry in self.slices)
        return tuple(dict.fromkeys([*(alias for group in self.groups for alias in group), *sliced]))


class _Expected(Part):
    """What all expectations have."""

    share: float = Field(0.0, ge=0, lt=1, description="The share of rows that may break it.")
    blocking: bool = Field(
        True, description="A challenger that breaks it is not promoted; `false`: it is only told, by a warning."
    )


class MonotoneExpectation(_Expected):
    """The answer only rises, or only falls, with a number over its observed range, other inputs as they are."""

    kind: Literal["monotone"] = Field(description="`monotone`.")
    column: Alias = Field(description="An input that is a number.")
    direction: Direction = Field(description="Where the answer goes as the number rises.")
    tolerance: float = Field(
        0.0, ge=0, allow_inf_nan=False, description="So much it may go the other way, in the target's unit."
    )

    @property
    def title(self) -> str:
        return f"monotone: {self.column} {self.direction}"


class InvariantExpectation(_Expected):
    """The answer does not change when an input has another of its known values, other inputs as they are."""

    kind: Literal["invariant"] = Field(description="`invariant`.")
    column: Alias = Field(description="An input.")
    tolerance: float = Field(0.0, ge=0, allow_inf_nan=False, description="So much it may change, in the target's unit.")

    @property
    def title(self) -> str:
        return f"invariant: {self.column}"


class BoundsExpectation(_Expected):
    """Answers lie within."""

    kind: Literal["bounds"] = Field(description="`bounds`.")
    low: float | None = Field(None, allow_inf_nan=False, description="No answer is below.")
    high: float | None = Field(None, allow_inf_nan=False, description="No answer is above.")

    @model_validator(mode="after")
    def _ordered(self) -> "BoundsExpectation":
        if self.low is None and self.high is None:
            raise ValueError("give low, high or both")
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError(f"low {self.low:g} is not below high {self.high:g}: give them the other way round")
        return self

    @property
    def title(self) -> str:
        ends = {"from": self.low, "to": self.high}
        return " ".join(["bounds:", *(f"{word} {end:g}" for word, end in ends.items() if end is not None)])


Expectation = Annotated[
    MonotoneExpectation | InvariantExpectation | BoundsExpectation,
    Field(discriminator="kind"),
]
