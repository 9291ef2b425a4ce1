"""A database behind a SQLAlchemy URL: connections, retries, and errors that show nothing of the URL."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from mlops_assets.errors import SourceError
from mlops_assets.sources.failures import Retry, Temporary

if TYPE_CHECKING:
    import sqlalchemy as sa

T = TypeVar("T")
_ADVICE = "check that it runs and that source.url is right, or allow more time (MLOPS_HTTP_TIMEOUT)"


class Refused(Exception):
    """The database answered that it cannot run a statement. `reason`: the name of the driver's error."""

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason


class Database:
    """Runs read-only work on short-lived connections; `timeout` is for connecting."""

    def __init__(self, url: str, timeout: float, retry: Retry):
        self._url = url
        self._timeout = timeout
        self._retry = retry

    @property
    def dialect(self) -> str:
        return self._engine.dialect.name

    def ask(self, work: Callable[["sa.Connection"], T], label: str) -> T:
        """The result of `work`, which is done anew after each failure that may pass.

        Raises Refused, SourceUnreachable, or SourceError where there is no such database.
        """
        import sqlalchemy as sa
        from sqlalchemy.exc import DBAPIError

        def attempt() -> T:
            connection = self._connect(label)
            try:
                with connection:
                    if self.dialect == "postgresql":
                        connection.execute(sa.text("SET TIME ZONE 'UTC'"))  # else months depend on the server's zone
                    return work(connection)
            except DBAPIError as error:
                if error.connection_invalidated:
                    raise Temporary("broke off the connection") from None
                if getattr(error.orig, "sqlite_errorname", "") == "SQLITE_BUSY":
                    raise Temporary("is locked by another process") from None
                raise Refused(type(error.orig).__name__) from None

        return self._retry.call(attempt, f"{label}: the database", _ADVICE)

    def _connect(self, label: str) -> "sa.Connection":
        from sqlalchemy.exc import DBAPIError

        path = self._engine.url.database or ""
        is_file = self.dialect == "sqlite" and path not in ("", ":memory:") and not path.startswith("file:")
        if is_file and not Path(path).is_file():  # connecting would create an empty one
            raise SourceError(f"{label}: the SQLite file of source.url does not exist: correct its path")
        try:
            return self._engine.connect()
        except DBAPIError:
            raise Temporary("cannot be reached") from None

    @cached_property
    def _engine(self) -> "sa.Engine":
        import sqlalchemy as sa
        from sqlalchemy.exc import ArgumentError

        try:
            url = sa.make_url(self._url)
            seconds = max(1, round(self._timeout))  # these two drivers take whole ones
            options = {
                "postgresql": {"connect_timeout": seconds},
                "mysql": {"connect_timeout": seconds},
                "sqlite": {"timeout": self._timeout},
            }.get(url.get_backend_name(), {})
            return sa.create_engine(url, poolclass=sa.NullPool, connect_args=options)
        except (ArgumentError, ValueError):
            raise SourceError("source.url is no SQLAlchemy URL (expected one such as postgresql://host/name)") from None
        except ImportError as error:
            raise SourceError(f"the database driver {error.name} is not installed: install it with pip") from None
