"""What a failure says of a disk: that it is full, which one, that it gives errors, or that a file is damaged."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

_FULL = (errno.ENOSPC, errno.EDQUOT)
_NO_ROOM = 1_000_000  # bytes: with less, SQLite tells an I/O error where it could not write its journal
_BUSY_SECONDS = 15
_CODE_OF_FAMILY = 0xFF  # SQLite adds details to a code in its higher bits


def disk_of(place: Path) -> Path:
    """Where the disk of a path is mounted, behind any link; the path need not be there yet."""
    place = place.resolve()
    while not (place.exists() and os.path.ismount(place)) and place != place.parent:
        place = place.parent
    return place


def free_space(place: Path) -> int:
    """Bytes that may still be written to the disk of a path."""
    return shutil.disk_usage(disk_of(place)).free


def disk_trouble(error: BaseException, place: Path) -> str | None:
    """One clause on the disk of `place` where that is what failed: what is wrong, and what to do; else None."""
    for cause in _causes(error):
        code = _sqlite_code(cause)
        failed = isinstance(cause, OSError) and cause.errno == errno.EIO
        if (isinstance(cause, OSError) and cause.errno in _FULL) or code == sqlite3.SQLITE_FULL:
            return _full(place)
        if failed or code == sqlite3.SQLITE_IOERR:
            if free_space(place) < _NO_ROOM:
                return _full(place)
            why = f"{cause}; {free_space(place) / 1e6:,.0f} MB free"
            return f"the disk at {disk_of(place)} gives errors ({why}): check it, then give the same command again"
    return None


def is_damage(error: BaseException) -> bool:
    """Whether SQLite says that a file is damaged, or is no database."""
    return any(_sqlite_code(cause) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) for cause in _causes(error))


def damaged_database(file: Path, lost: str, deleting: Path | None = None) -> str:
    """One clause on a database that is damaged.

    `lost`: what goes when `deleting`, or else the file, is deleted, and what comes of that.
    """
    return f"{file} is damaged: restore a backup (mlops-assets restore), or delete {deleting or 'the file'}: {lost}"


def damaged_databases(files: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    """Those of the SQLite files that SQLite's quick check finds fault with, and the fault."""
    for file in files:
        if fault := _quick_check(file):
            yield file, fault


def _quick_check(file: Path) -> str:
    if not file.exists():
        return ""
    try:
        with closing(sqlite3.connect(file, timeout=_BUSY_SECONDS)) as connection:
            (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        return str(error) if is_damage(error) else ""
    return "" if answer == "ok" else " ".join(str(answer).split())


def _full(place: Path) -> str:
    free = f"{free_space(place) / 1e6:,.0f} MB free"
    return f"the disk at {disk_of(place)} is full ({free}): make room, then give the same command again"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and what it was made from: causes, contexts and a driver's own errors."""
    waiting: list[BaseException | None] = [error]
    known: set[int] = set()
    while waiting:
        cause = waiting.pop()
        if isinstance(cause, BaseException) and id(cause) not in known:
            known.add(id(cause))
            yield cause
            waiting += [cause.__context__, cause.__cause__, getattr(cause, "orig", None)]


def _sqlite_code(error: BaseException) -> int | None:
    code = getattr(error, "sqlite_errorcode", None)
    return code & _CODE_OF_FAMILY if isinstance(code, int) else None
