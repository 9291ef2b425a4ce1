"""The project's own database: SQLite beside the data, or the PostgreSQL that MLOPS_DATABASE_URL names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from filelock import FileLock
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from mlops_assets.database_urls import redact
from mlops_assets.disks import damaged_database, disk_trouble, is_damage
from mlops_assets.errors import SettingsError, StorageError
from mlops_assets.resources.databases.schema import migrate, revision_of

# Any number that others do not use. One for all: whoever waits does so for a few seconds, once.
LOCK = 0x6D6C6F7073
CONNECT_SECONDS = 15
LOST = "the prediction log, mail that waits and edited dashboards go with it"
BUSY_SECONDS = 15  # of waiting for another writer, or for a server to answer


@contextmanager
def one_at_a_time(url: str, schema: str | None) -> Iterator[None]:
    """Make the schema where it is named and missing; inside, no other process makes tables in this database.

    `url`: in the schema or not. Raises SQLAlchemyError where the database does not answer.
    """
    engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args={"connect_timeout": CONNECT_SECONDS})
    with engine.connect() as connection:
        connection.execute(sa.select(sa.func.pg_advisory_lock(LOCK)))  # given up when the connection ends
        # IF NOT EXISTS alone asks for the right to create, which a careful owner may have taken away since.
        if schema and connection.scalar(sa.select(sa.func.to_regnamespace(schema))) is None:
            connection.execute(sa.schema.CreateSchema(schema))
        connection.commit()
        yield


class Database:
    """Transactions on our tables, which are made where they are missing and migrated where they are old.

    A connection lives for one transaction: none grows stale, and any number of threads and processes may use
    the same database. Nothing is opened before the first use. All methods raise StorageError, whose message
    holds neither a password nor a row.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """A connection whose work is committed at the end, and undone by an error."""
        try:
            with self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise StorageError(self._message(error, "be used")) from None

    def revision(self) -> str:
        """The revision of the tables."""
        with self.transaction() as connection:
            return str(revision_of(connection))

    @cached_property
    def _engine(self) -> sa.Engine:
        url, file = self._parsed_url, self.file
        wait = {"timeout": BUSY_SECONDS} if file else {"connect_timeout": BUSY_SECONDS}
        # Without it psycopg2 sends each row of many by itself, and waits.
        batches = {"executemany_mode": "values_plus_batch"} if url.get_driver_name() == "psycopg2" else {}
        engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args=wait, **batches)
        try:
            if file:
                file.parent.mkdir(parents=True, exist_ok=True)
            # Two that make the same tables at once would fail.
            with FileLock(f"{file}.lock", timeout=BUSY_SECONDS) if file else nullcontext():
                _make_tables(engine)
        except OSError as error:  # a lock that is not given in time is one too
            raise StorageError(self._message(error, "be opened")) from None
        return engine

    @cached_property
    def _parsed_url(self) -> sa.URL:
        try:
            return sa.make_url(self._url)
        except (sa.exc.ArgumentError, ValueError):
            raise SettingsError(
                "MLOPS_DATABASE_URL is no SQLAlchemy URL (expected one such as postgresql://user:password@host/name)"
            ) from None

    @property
    def file(self) -> Path | None:
        """The file of SQLite; none where a server is asked."""
        url = self._parsed_url
        return Path(url.database or "") if url.get_backend_name() == "sqlite" else None

    @property
    def _name(self) -> str:
        if self.file:
            return f"the database {self.file.name} (set MLOPS_HOME or MLOPS_DATABASE_URL)"
        return "the database of MLOPS_DATABASE_URL"

    def _message(self, error: Exception, doing: str) -> str:
        if self.file and is_damage(error):
            return damaged_database(self.file, LOST)
        reason = (disk_trouble(error, self.file) if self.file else None) or self._reason(error)
        return f"{self._name} cannot {doing}: {reason}"

    def _reason(self, error: Exception) -> str:
        """The driver's own words where they are of the connection; others may quote rows."""
        if isinstance(error, OSError):
            return error.strerror or type(error).__name__
        if isinstance(error, OperationalError):
            return redact(self._url, " ".join(str(error.orig).split()))
        return type(error).__name__


def insert_new(connection: sa.Connection, table: sa.Table) -> sa.Insert:
    """An INSERT that leaves out the rows that are there already, maybe by another process."""
    return _insert(connection, table).on_conflict_do_nothing()


def put(connection: sa.Connection, table: sa.Table, row: Mapping[str, Any]) -> None:
    """Insert a row, or replace the one with its primary key, in one statement: another process may do the same."""
    insert, keys = _insert(connection, table).values(row), table.primary_key.columns.keys()
    changed = {name: insert.excluded[name] for name in row if name not in keys}
    connection.execute(insert.on_conflict_do_update(index_elements=keys, set_=changed))


def _insert(connection: sa.Connection, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


def _make_tables(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            # Readers do not wait for the writer, nor the writer for them. The file remembers it.
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # else SQLite would keep each statement by itself
        else:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
        migrate(connection)
        connection.commit()
