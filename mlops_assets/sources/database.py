"""A database behind a SQLAlchemy URL: connections, retries, and errors that show nothing of the URL."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mlops_assets.database_urls import explicit_driver
from mlops_assets.errors import SourceError, SourceUnreachable
from mlops_assets.sources.retries import Retry, Temporary

if TYPE_CHECKING:
    import sqlalchemy as sa

T = TypeVar("T")
_IN_FILES = {"sqlite": "SQLite", "duckdb": "DuckDB"}


class Refused(Exception):
    """The database answered that it cannot run a statement. `reason`: the name of the driver's error."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Database:
    """Runs read-only work on short-lived connections; `timeout` is for connecting.

    `name` is what messages call the URL.
    """

    def __init__(self, url: str, timeout: float, retry: Retry, name: str = "source.url") -> None:
        self._url = url
        self._timeout = timeout
        self._retry = retry
        self._name = name
        self._advice = f"check that it runs and that {name} is right, or allow more time (MLOPS_HTTP_TIMEOUT)"

    @property
    def dialect(self) -> str:
        return self._engine.dialect.name

    def ask(self, work: Callable[["sa.Connection"], T], label: str) -> T:
        """The result of `work`, which is done anew after each failure that may pass.

        Raises Refused, SourceUnreachable, or SourceError where there is no such database.
        """

        def attempt() -> T:
            with self._connect(label) as connection, _failures():
                return work(connection)

        return self._retry.call(attempt, f"{label}: the database", self._advice)

    @contextmanager
    def stream(self, statement: "sa.Executable", chunk_rows: int, label: str) -> Iterator[Iterator[Sequence["sa.Row"]]]:
        """The rows of a statement, so many at a time: read once, so only the connection is tried anew.

        Raises as `ask` does.
        """
        connection = self._retry.call(lambda: self._connect(label), f"{label}: the database", self._advice)
        try:
            with connection, _failures():
                result = connection.execution_options(yield_per=chunk_rows).execute(statement)
                yield result.partitions(chunk_rows)  # the option alone does not hold for a text
        except Temporary as failure:
            raise SourceUnreachable(f"{label}: the database {failure.reason}: {self._advice}") from None

    def _connect(self, label: str) -> "sa.Connection":
        import sqlalchemy as sa
        from sqlalchemy.exc import DBAPIError

        path = self._engine.url.database or ""
        kept = _IN_FILES.get(self.dialect)
        is_file = kept and path not in ("", ":memory:") and not path.startswith(("file:", "md:"))
        if is_file and not Path(path).is_file():  # connecting would create an empty one
            raise SourceError(f"{label}: the {kept} file of {self._name} does not exist: correct its path")
        try:
            connection = self._engine.connect()
        except DBAPIError:
            raise Temporary("cannot be reached") from None
        if self.dialect in ("postgresql", "duckdb"):
            with _failures():
                connection.execute(sa.text("SET TIME ZONE 'UTC'"))  # else periods depend on the server's zone
        return connection

    @cached_property
    def _engine(self) -> "sa.Engine":
        import sqlalchemy as sa
        from sqlalchemy.exc import ArgumentError

        try:
            url = sa.make_url(explicit_driver(self._url))
            seconds = max(1, round(self._timeout))  # these two drivers take whole ones
            options: dict[str, dict[str, Any]] = {
                "postgresql": {"connect_timeout": seconds},
                "mysql": {"connect_timeout": seconds},
                "sqlite": {"timeout": self._timeout},
                "duckdb": {"read_only": True},  # else it shuts out whoever writes the file
            }
            return sa.create_engine(url, poolclass=sa.NullPool, connect_args=options.get(url.get_backend_name(), {}))
        except (ArgumentError, ValueError):
            raise SourceError(
                f"{self._name} is no SQLAlchemy URL (expected one such as postgresql://host/name)"
            ) from None
        except ImportError as error:
            raise SourceError(f"the database driver {error.name} is not installed: install it with pip") from None


@contextmanager
def _failures() -> Iterator[None]:
    """What a driver raises as Temporary where it may pass, else as Refused."""
    from sqlalchemy.exc import DBAPIError

    try:
        yield
    except DBAPIError as error:
        if error.connection_invalidated:
            raise Temporary("broke off the connection") from None
        if getattr(error.orig, "sqlite_errorname", "") == "SQLITE_BUSY":
            raise Temporary("is locked by another process") from None
        raise Refused(type(error.orig).__name__) from None
