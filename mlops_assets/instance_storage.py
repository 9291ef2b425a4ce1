"""Dagster's own records where the settings put them: `dagster.yaml` names this class as its storage."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import RLock
from typing import TYPE_CHECKING, Any

import dagster as dg
import sqlalchemy as sa
from filelock import FileLock

from mlops_assets.compat import (
    DagsterStorage,
    SqliteEventLogStorage,
    SqliteRunStorage,
    SqliteScheduleStorage,
    sqlite_storage,
)
from mlops_assets.database_urls import in_schema
from mlops_assets.project import open_project
from mlops_assets.resources.databases.sqlite_files import has_rows, move_database, table_names
from mlops_assets.settings import environment, read_settings

if TYPE_CHECKING:
    from mlops_assets.compat import ConfigurableClassData

LOCK_SECONDS = 60
INDEX = "index"  # the file that holds what is asked of all runs
OPEN = 8  # files that stay open in a process: the index, and the runs that were used last
# Dagster's databases, and a table of each that is empty only where nothing was ever kept in it.
_DATABASES = {"history/runs.db": "runs", "history/runs/index.db": "event_logs", "schedules/schedules.db": "job_ticks"}


class Connections:
    """Transactions on SQLite files that stay open: the one that is `always` wanted, and those that were used last.

    Dagster makes an engine and a connection for each statement. A connection reads the whole schema before its first
    statement, an engine compiles each anew, and the last one that closes writes the log back.
    """

    def __init__(self, always: str = "", synchronous: str = "FULL") -> None:
        """`synchronous`: when to wait for the disk (https://www.sqlite.org/pragma.html#pragma_synchronous)."""
        self.lock = RLock()
        self._always, self._synchronous = always, synchronous
        self._engines = OrderedDict[tuple[str, int], sa.Engine]()  # by address and process
        self._began: dict[str, sa.Connection] = {}  # transactions of the thread that has the lock

    @contextmanager
    def begin(self, address: str) -> Iterator[sa.Connection]:
        """A transaction, or the one that this thread is in."""
        with self.lock:
            if connection := self._began.get(address):
                yield connection
                return
            with self._engine(address).connect() as connection, connection.begin():
                self._began[address] = connection
                try:
                    yield connection
                finally:
                    del self._began[address]

    def dispose(self) -> None:
        with self.lock:
            for key in self._own_engines():
                self._engines.pop(key).dispose()

    def _engine(self, address: str) -> sa.Engine:
        """The engine of a file in this process; a forked one makes its own, since connections cannot be shared."""
        key = (address, os.getpid())
        if key not in self._engines:
            self._engines[key] = engine = sa.create_engine(
                address,
                connect_args={"timeout": LOCK_SECONDS, "check_same_thread": False},  # the lock lets one in at a time
                poolclass=sa.StaticPool,
            )
            sa.event.listen(engine, "connect", self._prepare)
            kept = {*self._began, address, self._always}
            for old in [it for it in self._own_engines() if it[0] not in kept][: 2 - OPEN]:
                self._engines.pop(old).dispose()
        self._engines.move_to_end(key)
        return self._engines[key]

    def _prepare(self, connection: sqlite3.Connection, _record: object) -> None:
        connection.execute(f"PRAGMA synchronous = {self._synchronous}")

    def _own_engines(self) -> list[tuple[str, int]]:
        """Those of this process, the one that was used last at the end; others have to be left alone."""
        return [(address, process) for address, process in self._engines if process == os.getpid()]


class StaysOpen:
    """A storage in a SQLite file that is not closed after each question."""

    def __init__(self, file: Path, connections: Connections) -> None:
        self._address, self._connections = _address(file), connections
        super().__init__(self._address)  # type: ignore[call-arg] # of the storage of Dagster's beside this one

    @contextmanager
    def connect(self) -> Iterator[sa.Connection]:
        with self._connections.begin(self._address) as connection:
            yield connection


class Runs(StaysOpen, SqliteRunStorage):
    """Dagster's runs."""

    def dispose(self) -> None:
        """Close what it shares with the schedules too: nobody else tells those that they are done with."""
        self._connections.dispose()


class Schedules(StaysOpen, SqliteScheduleStorage):
    """What Dagster's schedules and sensors have done."""


class EventLog(SqliteEventLogStorage):
    """Dagster's events in SQLite, a file a run, and one file of all; a file begins as a copy, and stays open.

    Dagster makes each file by the migrations of all its releases. What is committed outlives every process; a power cut
    may take back the last events, and leaves the file whole: what they told of is made again.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._made = folder, set[str]()
        self._there = set[str]()  # tables and indexes: what is there stays, and is asked for with each event
        self._connections = Connections(always=self.conn_string_for_shard(INDEX), synchronous="NORMAL")
        super().__init__(str(folder))

    def conn_string_for_shard(self, shard_name: str) -> str:
        return _address(self._folder / f"{shard_name}.db")

    def run_connection(self, run_id: str | None = None) -> AbstractContextManager[sa.Connection]:
        return self._open(run_id or INDEX)

    def index_connection(self) -> AbstractContextManager[sa.Connection]:
        return self._open(INDEX)

    def store_event(self, event: dg.EventLogEntry) -> None:
        """Store an event in the file of its run, and what is asked of all runs in one transaction."""
        with self._connections.lock:
            with self.index_connection():
                super().store_event(event)
            # Who watches a run waits for a change of its file, and what is written waits in a file beside it.
            with suppress(FileNotFoundError):
                os.utime(self.path_for_shard(event.run_id))

    def has_table(self, table_name: str) -> bool:
        return self._is_there(table_name, super().has_table)

    def has_secondary_index(self, name: str) -> bool:
        return self._is_there(name, super().has_secondary_index)

    def _is_there(self, name: str, ask: Callable[[str], bool]) -> bool:
        if name not in self._there and ask(name):
            self._there.add(name)
        return name in self._there

    def _open(self, name: str) -> AbstractContextManager[sa.Connection]:
        """A transaction on a file, which is made where there is none."""
        with self._connections.lock:
            if name not in self._made:
                self._make(name)
                self._made.add(name)
        return self._connections.begin(self.conn_string_for_shard(name))

    def dispose(self) -> None:
        self._connections.dispose()
        super().dispose()

    def _make(self, name: str) -> None:
        """Make a file where there is none; another process may do so in the same moment."""
        file = self._folder / f"{name}.db"
        if _is_made(file) or _holds(file, "event_logs"):
            return
        if not file.exists() and name != INDEX and self._copied(file):
            return
        with super().run_connection(name):  # Dagster makes what is missing in it
            pass

    def _copied(self, file: Path) -> bool:
        """Put an empty file there in one step; not where the file system has no links."""
        with TemporaryDirectory(dir=self._folder.parent, prefix=".run.") as folder:
            copy = shutil.copy(self._empty_file(), folder)
            try:
                os.link(copy, file)
            except OSError:
                return file.exists()
        return True

    def _empty_file(self) -> Path:
        """A file of a run without events, as this release of Dagster makes it."""
        place = self._folder.parent / f"empty-run-{dg.__version__}.sqlite"
        if not place.exists():
            with TemporaryDirectory(dir=place.parent, prefix=".run.") as folder:
                dagster = SqliteEventLogStorage(folder)
                with dagster.run_connection("empty"):
                    pass
                dagster.dispose()
                move_database(Path(folder, "empty.db"), place)
        return place


class SqliteRecords(DagsterStorage[dg.DagsterInstance]):
    """Dagster's storage in a folder whose databases are made: nothing is asked of its migrations, nothing opened yet.

    Each look of a sensor opens the storage anew; to read all migrations took three quarters of a look.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        runs, index, schedules = (folder / file for file in _DATABASES)
        connections = Connections()
        self._runs, self._schedules = Runs(runs, connections), Schedules(schedules, connections)
        self._events = EventLog(index.parent)

    @property
    def run_storage(self) -> Runs:
        return self._runs

    @property
    def event_log_storage(self) -> EventLog:
        return self._events

    @property
    def schedule_storage(self) -> Schedules:
        return self._schedules

    def register_instance(self, instance: dg.DagsterInstance) -> None:
        super().register_instance(instance)
        for part in (self._runs, self._events, self._schedules):
            part.register_instance(instance)

    def dispose(self) -> None:
        self._runs.dispose()
        self._events.dispose()


class ProjectStorage(DagsterStorage[dg.DagsterInstance]):
    """SQLite under $DAGSTER_HOME, or the PostgreSQL of MLOPS_DATABASE_URL.

    There each dataset has a schema of its own: its assets have the same names as those of another. Every process of
    Dagster reads the settings by itself, so that no password is handed from one to the next.
    """

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]
    ) -> DagsterStorage[dg.DagsterInstance]:
        """The storage itself, which is one of Dagster's; this class only chooses it."""
        home, url = os.environ.get("DAGSTER_HOME"), read_settings(environment()).postgres
        if url is None and home:
            return open_sqlite(Path(home), inst_data)  # without the dataset, whose YAML takes longer than all the rest
        project = open_project()
        if url:
            return _postgres(url, f"dagster_{project.spec.name}", inst_data)
        return open_sqlite(project.home / "dagster", inst_data)


def open_sqlite(folder: Path, inst_data: ConfigurableClassData) -> DagsterStorage[dg.DagsterInstance]:
    """Dagster's storage in a folder, whose databases are made beside it and then moved there, each whole.

    Dagster makes them in several steps, and takes for made what a kill has left of them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not all(_is_made(folder / file) for file in _DATABASES):
        with FileLock(folder / "storage.lock", timeout=LOCK_SECONDS):
            _make_missing(folder, inst_data)
    return SqliteRecords(folder)


def _make_missing(folder: Path, inst_data: ConfigurableClassData) -> None:
    unmade = {file: content for file, content in _DATABASES.items() if not _is_made(folder / file)}
    missing = [file for file, content in unmade.items() if not _holds(folder / file, content)]
    beside = folder / ".storage.new"
    shutil.rmtree(beside, ignore_errors=True)
    if missing:
        storage = sqlite_storage(str(beside), inst_data)
        for part in (storage.run_storage, storage.event_log_storage, storage.schedule_storage):
            part.dispose()
    for file in missing:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        move_database(beside / file, folder / file)
    shutil.rmtree(beside, ignore_errors=True)
    if len(missing) < len(unmade):
        sqlite_storage(str(folder), inst_data).dispose()  # says of what an old release has left which one that was


def _is_made(file: Path) -> bool:
    """Whether a database was made to its end."""
    return _holds(file, "alembic_version", "secondary_indexes")


def _holds(file: Path, *tables: str) -> bool:
    """Whether a database has rows in each of these tables."""
    if not file.exists():
        return False
    with closing(sqlite3.connect(file, timeout=LOCK_SECONDS)) as connection:
        return set(tables) <= table_names(connection) and all(has_rows(connection, name) for name in tables)


def _address(file: Path) -> str:
    return f"sqlite:///{file.absolute()}"


def _postgres(url: str, schema: str, inst_data: ConfigurableClassData) -> DagsterStorage[dg.DagsterInstance]:
    from dagster_postgres import DagsterPostgresStorage

    from mlops_assets.resources.databases.database import one_at_a_time

    with one_at_a_time(url, schema):
        return DagsterPostgresStorage(in_schema(url, schema), inst_data=inst_data)
