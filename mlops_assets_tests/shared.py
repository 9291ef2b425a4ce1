"""Homes that tests share are read-only: what is in one, and what a test changed there."""

import sqlite3
from collections.abc import Callable, Hashable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import dagster as dg

State = dict[str, Hashable]
# Traces of somebody who only looked: locks, logs, what was fetched before, SQLite's own files.
TRACES = {".lock", ".log", ".db-wal", ".db-shm", ".db-journal", ".pyc"}
TRACE_FOLDERS = {"cache", "dashboards", "logs", "storage", "__pycache__"}
# Signs of life of Dagster's processes, and notes to itself.
TRACE_TABLES = {"daemon_heartbeats", "kvs", "secondary_indexes", "instance_info"}
# A table as long as these is told by its last row: rows of it are added and deleted, never changed.
LOGS = {"event_logs"}
MOST_NAMED = 5


class Shared:
    """Something that tests share, by its state."""

    def __init__(self, name: str, read_state: Callable[[], State]) -> None:
        self.name = name
        self._read_state = read_state
        self._state = read_state()

    def changes(self) -> list[str]:
        """What has changed since this was asked before: each with its name and how."""
        before, after = self._state, self._read_state()
        self._state = after
        return [
            f"{name} ({'removed' if name not in after else 'new' if name not in before else 'changed'})"
            for name in sorted(before.keys() | after.keys())
            if before.get(name) != after.get(name)
        ]

    def complaint(self) -> str | None:
        """One sentence on what has changed, if anything has."""
        if not (changes := self.changes()):
            return None
        named = ", ".join(changes[:MOST_NAMED])
        more = f" and {len(changes) - MOST_NAMED} more" if len(changes) > MOST_NAMED else ""
        return (
            f"this test changed `{self.name}`, which other tests share: {named}{more}; "
            "let it have a home of its own (the fixture own_shop, or new_shop for one in which nothing was made)"
        )


def state_of_home(folder: Path) -> State:
    """Every artefact by its size and time, every table of every SQLite database by its rows."""
    state: dict[str, Hashable] = {}
    for path in folder.rglob("*"):
        inside = path.relative_to(folder)
        if path.suffix in TRACES or TRACE_FOLDERS.intersection(inside.parts) or not path.is_file():
            continue
        if path.suffix == ".db" and path.stat().st_size:
            in_log_of_a_run = inside.parent.name == "runs" and path.stem != "index"
            state |= {inside.as_posix(): "a run's log"} if in_log_of_a_run else _tables(path, inside.as_posix())
        else:
            state[inside.as_posix()] = (path.stat().st_size, path.stat().st_mtime_ns)
    return state


def state_of_instance(instance: "dg.DagsterInstance") -> State:
    """Of an instance in memory: how many runs there were, and the newest event."""
    return {"runs": instance.get_runs_count(), "events": instance.event_log_storage.get_maximum_record_id()}


def _tables(path: Path, name: str) -> dict[str, Hashable]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return {
            f"table {table} of {name}": _rows(connection, table) for (table,) in tables if table not in TRACE_TABLES
        }


def _rows(connection: sqlite3.Connection, table: str) -> Hashable:
    if table in LOGS:
        return connection.execute(f'SELECT count(*), max(rowid) FROM "{table}"').fetchone()
    return hash(tuple(connection.execute(f'SELECT * FROM "{table}"')))
