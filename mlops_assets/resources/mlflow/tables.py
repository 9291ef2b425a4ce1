"""MLflow's tables in a SQLite file: made in memory, upgraded in a copy, and put in their place in one step.

MLflow makes them by some fifty changes, each of several statements, and SQLite undoes none of them after a kill.
"""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

from mlops_assets.compat import make_mlflow_tables, mlflow_revisions
from mlops_assets.disks import damaged_database, is_damage
from mlops_assets.errors import TrackingError
from mlops_assets.resources.databases.sqlite_files import has_rows, move_database, remove_database, table_names

BUSY_SECONDS = 15
_CUT_OFF = "_alembic_tmp_"  # what Alembic calls a table that is to stand for another
_REVISION = "alembic_version"
_TRIES = 3
_SQLITE = re.compile(r"sqlite(?:\+\w+)?:///([^?]+)")
_DELETED = "Deleted_Internal"  # the stage of a version that was deleted and whose row is still there
LOST = "runs and versions of the model go with it, and the next run makes the models again"
_CONTENT = ("runs", "registered_models")  # where both are empty nothing was ever kept


def sqlite_file(uri: str) -> Path | None:
    """The file of a SQLite database; none where a server is asked, or memory."""
    place = _SQLITE.match(uri)
    return Path(place[1]) if place and place[1] != ":memory:" else None


def prepare_tables(file: Path) -> None:
    """Make MLflow's tables in a file, or upgrade them; call it where no other process does the same.

    What an earlier call left half made is made again. Raises TrackingError, sqlite3.Error or OSError.
    """
    if not file.exists():
        _make(file)
        return
    with closing(sqlite3.connect(file, timeout=BUSY_SECONDS)) as connection:
        names = table_names(connection)
        applied = _revision(connection, names)
        newest, known = mlflow_revisions()
        if applied and applied not in known:
            raise TrackingError(
                f"the tables in {file} are of a newer MLflow (revision {applied}): install that one, "
                "or restore a backup (mlops-assets restore)"
            )
        if applied == newest and not any(name.startswith(_CUT_OFF) for name in names):
            return
        if _holds_something(connection, names):
            _upgrade(connection, file)
            return
    _make(file)


def _make(file: Path) -> None:
    """New tables in a new file, which takes the place of one that holds nothing."""
    beside = file.with_name(f"{file.name}.new")
    remove_database(beside)
    with closing(sqlite3.connect(":memory:")) as memory, closing(sqlite3.connect(beside)) as connection:
        make_mlflow_tables(memory)  # a tenth of the time that a disk takes
        memory.backup(connection)
    move_database(beside, file)


def _upgrade(connection: sqlite3.Connection, file: Path) -> None:
    """Upgrade a copy, and let it take the place of the content in one transaction: others may have the file open."""
    beside = file.with_name(f"{file.name}.upgrade")
    try:
        for _ in range(_TRIES):
            remove_database(beside)
            with closing(sqlite3.connect(beside)) as copy:
                copy.execute("PRAGMA synchronous = OFF")
                before = _changes(connection)
                connection.backup(copy)
                _forget_cut_off(copy, file)
                make_mlflow_tables(copy)
                if _changes(connection) == before:
                    copy.backup(connection)
                    return
    finally:
        remove_database(beside)
    raise TrackingError(f"others write to {file} while its tables are to be upgraded: stop them first")


def _forget_cut_off(copy: sqlite3.Connection, file: Path) -> None:
    """Drop what an upgrade that was cut off had begun; the table that it was to stand for is still there, whole."""
    names = table_names(copy)
    for name in names:
        if name.startswith(_CUT_OFF):
            if name.removeprefix(_CUT_OFF) not in names:
                raise TrackingError(
                    f"an upgrade of the tables in {file} was cut off, and cannot be gone on with: "
                    "restore a backup (mlops-assets restore)"
                )
            copy.execute(f'DROP TABLE "{name}"')
    copy.commit()


def _revision(connection: sqlite3.Connection, names: set[str]) -> str | None:
    if _REVISION not in names:
        return None
    row = connection.execute(f"SELECT version_num FROM {_REVISION}").fetchone()
    return str(row[0]) if row else None


def _holds_something(connection: sqlite3.Connection, names: set[str]) -> bool:
    """Whether there are runs, models or experiments, or tables of someone else."""
    if names and "experiments" not in names and not all(name.startswith("alembic") for name in names):
        return True
    return any(name in names and has_rows(connection, name) for name in _CONTENT)


def _changes(connection: sqlite3.Connection) -> int:
    """A number that is another one once another connection has written."""
    (number,) = connection.execute("PRAGMA data_version").fetchone()
    return int(number)


def registered_location(file: Path, model: str, number: int) -> str | None:
    """Where a database says that a version's files are, empty where it does not; None where it has no such version."""
    query = "SELECT coalesce(storage_location, '') FROM model_versions"
    return _ask(file, f"{query} WHERE name = ? AND version = ? AND current_stage != ?", (model, number, _DELETED))


def registered_alias(file: Path, model: str, alias: str) -> int | None:
    """The version that holds an alias in a database."""
    query = "SELECT version FROM registered_model_aliases WHERE name = ? AND alias = ?"
    number = _ask(file, query, (model, alias))
    return int(number) if number else None


def _ask(file: Path, query: str, parameters: tuple[str | int, ...]) -> str | None:
    """The one value; None where there is none, or no such table yet. Raises TrackingError where it is damaged."""
    if not file.exists():
        return None
    try:
        with closing(sqlite3.connect(file, timeout=BUSY_SECONDS)) as connection:
            row = connection.execute(query, parameters).fetchone()
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            raise TrackingError(damaged_database(file, LOST)) from None
        return None
    return str(row[0]) if row else None
