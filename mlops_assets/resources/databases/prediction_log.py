"""The prediction log: what was asked online, when, and what which version answered."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from mlops_assets.core.columns import array_of
from mlops_assets.dataset import Column, DatasetSpec
from mlops_assets.resources.databases.database import Database, insert_new
from mlops_assets.resources.databases.schema import PREDICTION_LOG

FORGET_ROWS = 50_000  # in one transaction, so that others can write in between
_C = PREDICTION_LOG.c


@dataclass(frozen=True)
class LoggedRow:
    """One row that was asked, and its answer.

    `at` is in UTC, `inputs` are JSON values by alias; `low` and `high` are NaN where the model has no intervals.
    """

    request_id: str
    row: int
    at: datetime
    model_version: int
    inputs: dict[str, Any]
    prediction: float
    low: float
    high: float


@dataclass(frozen=True, order=True)
class Extent:
    """How far the log of some events reaches: the newest request, and how many rows there are."""

    newest: str = ""  # ISO 8601, in UTC
    rows: int = 0


class PredictionLog:
    """The logged rows of one dataset. All methods raise StorageError."""

    def __init__(self, database: Database, spec: DatasetSpec) -> None:
        self._database = database
        self._spec = spec
        self._mine = _C.dataset == spec.name

    def add(self, rows: Sequence[LoggedRow]) -> None:
        """Keep rows, all or none; a row that is there already stays as it is."""
        if rows:
            packed = [self._packed(row, event) for row, event in zip(rows, self._event_times(rows), strict=True)]
            with self._database.transaction() as connection:
                connection.execute(insert_new(connection, PREDICTION_LOG), packed)

    def read(self, since: datetime, until: datetime, *, chunk_rows: int = 10_000) -> Iterator[list[LoggedRow]]:
        """Rows asked from `since` on and before `until`, in the order of time."""
        return self._chunks((_C.at >= since) & (_C.at < until), chunk_rows)

    def read_events(
        self, start: datetime | None, end: datetime | None, *, chunk_rows: int = 10_000
    ) -> Iterator[list[LoggedRow]]:
        """Rows about events from `start` on and before `end`, on the wall clock of the dataset's time column.

        Where a row does not say when its event is, the moment of asking stands for it. None leaves an end open.
        """
        return self._chunks(_between(start, end), chunk_rows)

    def extent(self, start: datetime | None, end: datetime | None) -> Extent:
        """How far the log of these events reaches; it grows with each new row, and shrinks where rows are forgotten."""
        query = sa.select(sa.func.max(_C.at), sa.func.count()).where(self._mine, _between(start, end))
        with self._database.transaction() as connection:
            newest, rows = connection.execute(query).one()
        return Extent(newest.isoformat(), rows) if rows else Extent()

    def count(self, *, before: datetime | None = None) -> int:
        """How many rows there are, or how many of them were asked before a time."""
        old = _C.at < before if before else sa.true()
        with self._database.transaction() as connection:
            return connection.execute(sa.select(sa.func.count()).where(self._mine, old)).scalar_one()

    def forget(self, before: datetime) -> int:
        """Remove rows asked before a time; how many they were."""
        old, removed = self._mine & (_C.at < before), 0
        while True:
            with self._database.transaction() as connection:
                last = connection.scalar(sa.select(_C.at).where(old).order_by(_C.at).offset(FORGET_ROWS - 1).limit(1))
                part = old if last is None else old & (_C.at <= last)
                removed += connection.execute(PREDICTION_LOG.delete().where(part)).rowcount
            if last is None:
                return removed

    def _chunks(self, condition: sa.ColumnElement[bool], chunk_rows: int) -> Iterator[list[LoggedRow]]:
        query = sa.select(PREDICTION_LOG).where(self._mine, condition).order_by(_C.at, _C.request_id, _C.row)
        with self._database.transaction() as connection:
            streamed = connection.execution_options(yield_per=chunk_rows).execute(query)
            for chunk in streamed.partitions():
                yield [_unpacked(row) for row in chunk]

    def _event_times(self, rows: Sequence[LoggedRow]) -> list[datetime]:
        """When the events are, on the wall clock that the dataset's time column shows."""
        time = self._spec.time
        column = self._spec.columns[time.column] if time else Column()
        zone = ZoneInfo(column.timezone or "UTC")
        asked = [row.at.astimezone(zone).replace(tzinfo=None) for row in rows]
        if not time or time.column not in self._spec.inputs():
            return asked
        events = array_of([row.inputs.get(time.column) for row in rows], column).tolist()
        return [event or moment for event, moment in zip(events, asked, strict=True)]

    def _packed(self, row: LoggedRow, event_at: datetime) -> dict[str, Any]:
        return {
            "request_id": row.request_id,
            "row": row.row,
            "dataset": self._spec.name,
            "at": row.at,
            "event_at": event_at,
            "model_version": row.model_version,
            "inputs": {alias: _known(value) for alias, value in row.inputs.items()},
            "prediction": row.prediction,
            "low": _known(row.low),
            "high": _known(row.high),
        }


def _between(start: datetime | None, end: datetime | None) -> sa.ColumnElement[bool]:
    limits = [_C.event_at >= start] if start else []
    return sa.and_(sa.true(), *limits, *([_C.event_at < end] if end else []))


def _known(value: Any) -> Any:
    """The value as JSON and every database can hold it: what is no number becomes null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _unpacked(row: sa.Row) -> LoggedRow:
    return LoggedRow(
        request_id=row.request_id,
        row=row.row,
        at=row.at,
        model_version=row.model_version,
        inputs=row.inputs,
        prediction=row.prediction,
        low=math.nan if row.low is None else row.low,
        high=math.nan if row.high is None else row.high,
    )
