"""A table or query behind a SQLAlchemy URL, read a period at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar
from zoneinfo import ZoneInfo

from mlops_assets.dataset import SNAPSHOT, DatasetSpec, SqlSource
from mlops_assets.dataset.parts import Time
from mlops_assets.dataset.periods import Every
from mlops_assets.errors import BadTable, NotPublished
from mlops_assets.sources.database import Database, Refused
from mlops_assets.sources.files import by_period, content_digest, label_of
from mlops_assets.sources.normalise import locate, normalise, schema
from mlops_assets.sources.other_formats import array_of
from mlops_assets.sources.retries import Retry, without_chain

if TYPE_CHECKING:
    import pyarrow as pa
    import sqlalchemy as sa

T = TypeVar("T")
_PARTS = ("year", "month", "day", "hour")
# The finest of these by which rows are grouped so that each group lies in one period.
_GROUPED_BY: dict[Every, str] = {
    "hour": "hour",
    "day": "day",
    "week": "day",
    "month": "month",
    "quarter": "month",
    "year": "year",
}


@dataclass(frozen=True)
class _Span:
    """How many rows a period has, and its oldest and newest time on the wall clock."""

    rows: int
    oldest: datetime
    newest: datetime

    def __add__(self, other: "_Span") -> "_Span":
        return _Span(self.rows + other.rows, min(self.oldest, other.oldest), max(self.newest, other.newest))

    def __str__(self) -> str:
        return f"{self.rows}-{self.oldest.isoformat()}-{self.newest.isoformat()}"


class SqlRows:
    """Rows of a table or query, by the period of the time column.

    A period's version is its number of rows with its oldest and newest time: it notices rows that arrive or
    go, not values that are corrected in place.
    """

    def __init__(self, spec: DatasetSpec, source: SqlSource, timeout: float, retry: Retry) -> None:
        self._spec = spec
        self._source = source
        self._database = Database(source.url, timeout, retry)

    @without_chain
    def partitions(self) -> dict[str, str]:
        time = self._spec.time
        if time is None:
            rows = self._read(SNAPSHOT)
            return {SNAPSHOT: content_digest(rows)}
        periods: dict[str, _Span] = {}
        cadence = time.cadence
        for span in self._spans(time):
            for period in cadence.between(cadence.of(span.oldest), cadence.of(span.newest)):
                periods[period] = periods[period] + span if period in periods else span
        last = time.last or max(periods, default="")
        return {period: str(periods[period]) for period in sorted(periods) if time.first <= period <= last}

    @without_chain
    def read(self, partition: str) -> "pa.Table":
        time = self._spec.time
        if time is None:
            return self._read(SNAPSHOT)
        start, end = time.cadence.start(partition), time.cadence.end(partition)
        if self._zone_matters(time):
            # The database compares in its own zone. A day more on both sides covers every zone; the exact
            # period is cut out once the times are wall clock.
            start, end = start - timedelta(days=1), end + timedelta(days=1)
        moment = self._column(time.column)
        label = label_of(self._spec, partition)
        rows = by_period(self._read(label, moment >= self._bound(start), moment < self._bound(end)), time)
        if partition not in rows:
            raise NotPublished(f"{label} has no rows in the database")
        return rows[partition]

    def _read(self, label: str, *conditions: "sa.ColumnElement[bool]") -> "pa.Table":
        """The rows in the order of all their columns.

        Without an order the same rows would give other models. Sorted here and not in the database, the order
        is the same whatever its collation, and rows that tie are equal.
        """
        import pyarrow as pa
        import sqlalchemy as sa

        aliases = self._spec.used_columns()
        statement = sa.select(*map(self._column, aliases)).where(*conditions)

        def fetch(connection: "sa.Connection") -> list["pa.Table"]:
            streamed = connection.execution_options(yield_per=self._source.chunk_rows).execute(statement)
            return [self._table(chunk, label) for chunk in streamed.partitions()]

        rows = pa.concat_tables([schema(self._spec).empty_table(), *self._ask(fetch, label)])
        return rows.sort_by([(alias, "ascending") for alias in aliases])

    def _table(self, chunk: "Sequence[sa.Row[Any]]", label: str) -> "pa.Table":
        columns = dict(zip(self._spec.used_columns(), map(array_of, zip(*chunk, strict=True)), strict=True))
        return normalise(columns, self._spec, label)

    def _spans(self, time: Time) -> list[_Span]:
        """Count, oldest and newest time of groups of rows that lie within a period, in one query.

        The database groups by its own calendar, in UTC. Where the wall clock is another, groups are hours,
        and the oldest and newest time of each tell its period.
        """
        import sqlalchemy as sa

        moment = self._column(time.column)
        keys: list[sa.ColumnElement[Any]]
        if self._database.dialect == "sqlite":  # times are texts there
            keys = [sa.func.substr(moment, 1, len("2024-02-01 10"))]
        else:
            finest = "hour" if self._zone_matters(time) else _GROUPED_BY[time.every]
            keys = [sa.extract(part, moment) for part in _PARTS[: _PARTS.index(finest) + 1]]
        statement = sa.select(sa.func.count(moment), sa.func.min(moment), sa.func.max(moment)).group_by(*keys)

        def fetch(connection: "sa.Connection") -> list["sa.Row[Any]"]:
            return list(connection.execute(statement))

        groups = self._ask(fetch, "the list of periods")
        clock = partial(self._wall_clock, time.column)
        return [_Span(rows, clock(oldest), clock(newest)) for rows, oldest, newest in groups if rows]

    def _wall_clock(self, alias: str, value: object) -> datetime:
        """The wall-clock time of a value of the time column."""
        text = value.isoformat() if isinstance(value, date) else value
        try:
            moment = datetime.fromisoformat(text if isinstance(text, str) else "no time")
        except ValueError:
            raise BadTable(
                f"column {alias} holds values that are no times: store them as timestamps or ISO texts"
            ) from None
        if moment.tzinfo:
            moment = moment.astimezone(ZoneInfo(self._spec.columns[alias].timezone or "UTC"))
        return moment.replace(tzinfo=None)

    def _zone_matters(self, time: Time) -> bool:
        """Whether the period on the wall clock may differ from the database's."""
        return self._database.dialect == "sqlite" or bool(self._spec.columns[time.column].timezone)

    def _bound(self, limit: datetime) -> datetime | str:
        """A limit that compares with the time column; the texts of SQLite sort after their own day."""
        return limit.date().isoformat() if self._database.dialect == "sqlite" else limit

    def _column(self, alias: str) -> "sa.ColumnElement[Any]":
        # Qualified by its table: alone, SQLite takes a quoted name that does not exist for a text.
        return self._rows.c[self._spec.source_name(alias)]

    @cached_property
    def _rows(self) -> "sa.FromClause":
        import sqlalchemy as sa

        names = dict.fromkeys(map(self._spec.source_name, self._spec.used_columns()))
        columns: list[sa.ColumnClause[Any]] = [sa.column(name) for name in names]
        if self._source.table:
            schema_name, _, name = self._source.table.rpartition(".")
            return sa.table(name, *columns, schema=schema_name or None)
        query = (self._source.query or "").strip().rstrip(";").replace(":", r"\:")  # a colon would start a parameter
        return sa.text(query).columns(*columns).subquery("source")

    def _ask(self, work: Callable[["sa.Connection"], T], label: str) -> T:
        try:
            return self._database.ask(work, label)
        except Refused as refusal:
            raise self._diagnosis(label, refusal.reason) from None

    def _diagnosis(self, label: str, reason: str) -> BadTable:
        """Why the database refused to read: no rows at all, columns that are not there, or something else."""
        import sqlalchemy as sa

        no_rows: sa.Select[Any] = sa.select(sa.literal_column("*")).select_from(self._rows).limit(0)
        place = "source.table" if self._source.table else "source.query"
        try:
            present = self._database.ask(lambda connection: list(connection.execute(no_rows).keys()), label)
        except Refused as refusal:
            return BadTable(f"{label}: the database cannot read {place} ({refusal.reason}): correct it or its rights")
        locate(present, self._spec, label)
        return BadTable(f"{label}: the database cannot read the columns of {place} by time ({reason})")
