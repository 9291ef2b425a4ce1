"""What failures say of a disk."""

import errno
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from mlops_assets import disks
from mlops_assets.disks import damaged_databases, disk_of, disk_trouble, free_space, is_damage


def sqlite_error(code):
    error = sqlite3.OperationalError("in SQLite's own words")
    error.sqlite_errorcode = code
    return error


def wrapped(error):
    """As SQLAlchemy and MLflow wrap it."""
    outer = RuntimeError("in MLflow's words")
    outer.__cause__ = sa.exc.OperationalError("INSERT", {}, error)
    return outer


FULL = [
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.EDQUOT, "Disk quota exceeded"),
    sqlite_error(sqlite3.SQLITE_FULL),
    wrapped(sqlite_error(sqlite3.SQLITE_FULL)),
]


@pytest.mark.skipif(not os.path.ismount("/proc"), reason="/proc is another disk on Linux alone")
def test_the_disk_behind_a_link_is_that_of_what_it_leads_to(tmp_path):
    (tmp_path / "link").symlink_to("/proc")
    assert disk_of(tmp_path / "link" / "not/there/yet") == Path("/proc")


@pytest.mark.parametrize("error", FULL, ids=str)
def test_a_full_disk_is_named_with_what_is_free_and_what_to_do(error, tmp_path):
    message = disk_trouble(error, tmp_path / "not/there/yet")
    assert message.startswith(f"the disk at {disk_of(tmp_path)} is full (")
    assert message.endswith(" MB free): make room, then give the same command again")


@pytest.mark.parametrize("error", [OSError(errno.EIO, "I/O"), sqlite_error(sqlite3.SQLITE_IOERR_WRITE)], ids=str)
def test_a_disk_that_fails_is_named(error, tmp_path, monkeypatch):
    assert "gives errors (" in disk_trouble(error, tmp_path)
    monkeypatch.setattr(disks, "free_space", lambda place: 0)
    assert "is full (0 MB free)" in disk_trouble(error, tmp_path)


@pytest.mark.parametrize(
    "error", [OSError(errno.EACCES, "no"), ValueError(), sqlite_error(sqlite3.SQLITE_BUSY)], ids=str
)
def test_other_failures_say_nothing_of_it(error, tmp_path):
    assert disk_trouble(error, tmp_path) is None
    assert not is_damage(error)


def test_the_disk_of_a_path_is_where_it_is_mounted(tmp_path):
    assert disk_of(tmp_path).is_mount()
    assert free_space(tmp_path / "not" / "there") > 0


def test_damaged_databases_are_found_and_whole_ones_are_not(tmp_path):
    whole, cut, other, gone = (tmp_path / name for name in ("whole.db", "cut.db", "other.db", "gone.db"))
    for file in (whole, cut):
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("CREATE TABLE rows (text TEXT)")
            connection.executemany("INSERT INTO rows VALUES (?)", [("x" * 1000,)] * 100)
    cut.write_bytes(cut.read_bytes()[:50_000])
    other.write_bytes(b"no database" * 100)
    faults = dict(damaged_databases([whole, cut, other, gone]))
    assert set(faults) == {cut, other}
    assert all(faults.values())
    assert not gone.exists()
