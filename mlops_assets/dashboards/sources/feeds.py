"""Feeds: rows of a store that are read once, then only as far as they are newer, in a thread of their own.

`Snapshot` keeps the rows of a slow store on disk; `Derived` is a table made of the rows of feeds, `derived` its source.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from threading import Event, Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING
from uuid import uuid4

from mlops_assets.dashboards.sources.source import Column, Reading, Source, Table, as_frame, typed

if TYPE_CHECKING:
    import pandas as pd


REST_SECONDS = 5.0  # between two looks at a store: the charts of a page share one
MERGE_SECONDS = 5.0  # between two tables of what a long look has brought so far
WRITE_SECONDS = 600.0  # between two snapshots
PATIENCE = 2.0  # seconds from the beginning of a look that charts wait for its end, before they show what is there


@dataclass(frozen=True)
class Snapshot:
    """A Parquet file in `folder`; its name tells the store it was read from and the columns that it has."""

    folder: Path
    name: str
    store: str  # what identifies the store, such as its URL; only a digest of it is written
    columns: tuple[Column, ...]

    def read(self) -> pd.DataFrame | None:
        """The rows; None where there are none yet, or the file is damaged or foreign: all can be read again."""
        import pandas as pd
        import pyarrow as pa

        try:
            return typed(pd.read_parquet(self.path), self.columns)
        except (OSError, KeyError, ValueError, TypeError, pa.ArrowException):
            return None

    def write(self, frame: pd.DataFrame) -> None:
        """Replace the file as a whole; files of other columns or stores are removed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_name(f".{uuid4().hex}")
        try:
            frame.to_parquet(temporary, index=False)
            os.replace(temporary, self.path)
        finally:
            temporary.unlink(missing_ok=True)
        for other in self.folder.glob(f"{self.name}-*.parquet"):
            if other != self.path:
                other.unlink(missing_ok=True)

    @property
    def path(self) -> Path:
        identity = "\n".join([self.store, *(f"{column.name} {column.kind}" for column in self.columns)])
        return self.folder / f"{self.name}-{sha256(identity.encode()).hexdigest()[:12]}.parquet"


class Feed:
    """Rows by `id`; one that is read again replaces its former self, and the newest `most` by `order` are kept.

    `read` is given the rows known so far and yields lists of rows, the newest first: all there are where none are
    known, else those that are new or have changed since. It may raise; the next call tells the error.
    """

    _parts: list[pd.DataFrame]
    _marks: dict[str, int]  # of each row as it was read last
    _whole: bool  # all that there is was read once
    _failure: Exception | None  # of the last look
    _due: float  # the next look, on the monotonic clock
    _look: Event | None  # the look at the store that is under way: set once it has ended

    def __init__(
        self,
        name: str,
        read: Callable[[pd.DataFrame], Iterator[Sequence[dict]]],
        declared: Sequence[Column],
        *,
        most: int,
        order: str = "time",
        snapshot: Snapshot | None = None,
    ) -> None:
        """`snapshot`: where rows are kept on disk, of a store that is slow to read."""
        # A statement of one thread fails while another is in the middle of this import, as MLflow's is.
        importlib.import_module("sqlalchemy.orm")
        self.name, self.columns = name, tuple(declared)
        self._read, self._most, self._order, self._snapshot = read, most, order, snapshot
        self._lock = Lock()
        self._begin()
        kept = snapshot.read() if snapshot else None
        if kept is not None:
            self._parts, self._whole = [kept], True

    def forget(self) -> None:
        """Read everything again next time, such as after something was deleted."""
        with self._lock:
            self._begin()
            if self._snapshot:
                self._snapshot.path.unlink(missing_ok=True)

    def reading(self, patience: float = PATIENCE) -> Reading:
        """What is known, after a look at the store where one is due.

        Where that look failed, rows that were read before are given with its error; without any it is raised.
        """
        with self._lock:
            if self._look is None and monotonic() >= self._due:
                self._look, self._began = Event(), monotonic()
                Thread(target=self._work, args=(self._look,), name=f"feed {self.name}", daemon=True).start()
            ended, passed = self._look, monotonic() - self._began
        if ended is not None:
            ended.wait(max(0, patience - passed))
        with self._lock:
            frame = self._frame()
            if self._failure and frame.empty:
                raise self._failure
            return Reading(frame, complete=self._whole, failure=self._failure)

    def _begin(self) -> None:
        self._parts = [as_frame([], self.columns)]
        self._marks = {}
        self._whole = False
        self._failure = None
        self._began = self._due = self._write_due = self._merge_due = 0.0
        self._look = None

    def _work(self, ended: Event) -> None:
        failure: Exception | None = None
        known_rows = changed = None
        try:
            with self._lock:
                known_rows = self._frame() if self._whole else as_frame([], self.columns)
            for rows in self._read(known_rows):
                with self._lock:
                    if self._look is ended:  # else everything was forgotten meanwhile
                        self._take(rows)
        except Exception as error:
            failure = error
        with self._lock:
            if self._look is ended:
                self._failure, self._look = failure, None
                self._whole = self._whole or failure is None
                self._due = monotonic() + REST_SECONDS
                changed = self._frame() if self._whole and self._frame() is not known_rows else None
        try:
            if self._snapshot and changed is not None and monotonic() >= self._write_due:
                self._write_due = monotonic() + WRITE_SECONDS
                self._snapshot.write(changed)
        except OSError as error:  # a full disk, say: the rows are there all the same
            self._failure = error
        finally:
            ended.set()

    def _take(self, rows: Sequence[dict]) -> None:
        marks = {row["id"]: hash(repr(row)) for row in rows}
        if new := [row for row in rows if self._marks.get(row["id"]) != marks[row["id"]]]:
            self._parts.append(as_frame(new, self.columns))
            self._marks |= marks

    def _frame(self) -> pd.DataFrame:
        """All rows as one table: the same object for as long as nothing has changed.

        While the first look is under way, what has come is only added now and then: there may be a hundred pages.
        """
        import pandas as pd

        if len(self._parts) > 1 and (self._look is None or monotonic() >= self._merge_due):
            self._merge_due = monotonic() + MERGE_SECONDS
            whole = pd.concat(self._parts, ignore_index=True).drop_duplicates("id", keep="last")
            whole = whole.sort_values(self._order, kind="stable").tail(self._most)
            self._parts = [whole.reset_index(drop=True)]
        return self._parts[0]


class Derived:
    """A table made of others; made again only where one of them has changed."""

    def __init__(self, make: Callable[..., pd.DataFrame], *sources: Callable[[], Reading]) -> None:
        self._make, self._sources = make, sources
        self._lock = Lock()
        self._from: tuple[pd.DataFrame, ...] = ()
        self._table: pd.DataFrame | None = None

    def reading(self) -> Reading:
        readings = [source() for source in self._sources]
        frames = tuple(reading.frame for reading in readings)
        with self._lock:
            if self._table is None or any(new is not old for new, old in zip(frames, self._from, strict=True)):
                self._table, self._from = self._make(*frames), frames
            table = self._table
        failures = [reading.failure for reading in readings if reading.failure]
        return Reading(table, all(reading.complete for reading in readings), failures[0] if failures else None)


def derived(table: Table, rows: Callable[..., Iterable[dict]], *sources: Callable[[], Reading]) -> Source:
    """The source of a table whose rows are made of those of others."""
    return table.source(Derived(lambda *frames: as_frame(list(rows(*frames)), table.columns), *sources).reading)
