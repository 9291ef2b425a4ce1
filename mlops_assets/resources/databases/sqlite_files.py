"""SQLite's files: which belong to a database, what is in it, and how it gets its place."""

import os
import sqlite3
from pathlib import Path

_COMPANIONS = ("-journal", "-wal", "-shm")


def remove_database(file: Path, *, but_not_itself: bool = False) -> None:
    """Remove a database with its journals; `but_not_itself`: only these, before another file takes its place."""
    for end in _COMPANIONS if but_not_itself else ("", *_COMPANIONS):
        file.with_name(file.name + end).unlink(missing_ok=True)


def move_database(beside: Path, place: Path) -> None:
    """Give a whole database that no process has open its place in one step, where one that holds nothing may be.

    A journal that was left there would be taken for one of the new file, and spoil it.
    """
    _flush(beside)
    remove_database(place, but_not_itself=True)
    os.replace(beside, place)
    _flush(place.parent)


def table_names(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def has_rows(connection: sqlite3.Connection, table: str) -> bool:
    return connection.execute(f'SELECT 1 FROM "{table}" LIMIT 1').fetchone() is not None


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
