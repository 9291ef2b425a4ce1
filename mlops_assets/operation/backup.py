"""One file that holds everything: the home folder, each SQLite database as it was in a moment, PostgreSQL's dump.

`dump`, `restore` and `tables` are PostgreSQL's part, by its own client programs.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import sqlite3
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory
from typing import BinaryIO

import sqlalchemy as sa

from mlops_assets.database_urls import redact
from mlops_assets.errors import StorageError
from mlops_assets.project import Project
from mlops_assets.resources.artefacts.local import TEMPORARY
from mlops_assets.resources.databases.schema import REVISION

ABOUT, DUMP, HOME = "about.json", "database.dump", "home"
# What comes back by itself: downloads and models that lie elsewhere, locks, and what belongs to an open database.
_SKIPPED_FOLDERS = ("downloads", "fetched", "copies")
_SKIPPED_ENDS = (".lock", "-wal", "-shm", "-journal")
_SQLITE = b"SQLite format 3\0"
SYSTEM_SCHEMAS = ("information_schema", "pg_catalog", "pg_toast")


@dataclass(frozen=True)
class Manifest:
    """What a backup says of itself.

    `revision`: of the project's own tables. `home`: where the home folder was; MLflow notes that for each model.
    """

    made_at: str
    revision: str
    dataset: str
    home: str


@dataclass(frozen=True)
class Backup:
    """A backup that was made: its size in bytes, how many files it holds, and what lies elsewhere and is not in it."""

    size: int
    files: int
    absent: tuple[str, ...]


def back_up(project: Project, target: Path, database: Path | None = None) -> Backup:
    """Write the backup to `target`, whole or not at all; compressed where it ends in gz. Raises StorageError.

    `database`: PostgreSQL's dump, where that was made already. Databases come first: all files that they name were
    there by then, and what came later is only too much.
    """
    unfinished = target.with_name(f"{TEMPORARY}{target.name}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(unfinished, "w:gz" if target.suffix.endswith("gz") else "w") as archive:
            unfinished.chmod(0o600)  # it holds everything
            files = _write(archive, project, database, {unfinished, target})
        os.replace(unfinished, target)
        return Backup(target.stat().st_size, files, tuple(_absent(project)))
    except (OSError, sqlite3.Error) as error:
        raise StorageError(f"the backup {target.name} cannot be written: {error}") from None
    finally:
        unfinished.unlink(missing_ok=True)


def stream_backup(project: Project, target: BinaryIO, database: Path | None = None) -> None:
    """The same to a pipe, as it comes."""
    try:
        with tarfile.open(fileobj=target, mode="w|") as archive:
            _write(archive, project, database, set())
    except (OSError, sqlite3.Error) as error:
        raise StorageError(f"the backup cannot be written: {error}") from None


def _write(archive: tarfile.TarFile, project: Project, database: Path | None, skipped: set[Path]) -> int:
    """Add everything but what is skipped; how many files that are."""
    settings, home = project.settings, project.settings.home_path
    manifest = Manifest(datetime.now(UTC).isoformat(), REVISION, project.spec.name, str(home))
    _add_bytes(archive, ABOUT, json.dumps(asdict(manifest), indent=1).encode())
    databases: list[Path] = []
    others: list[Path] = []
    with TemporaryDirectory(prefix=TEMPORARY) as name:
        copy = Path(name, "copy")
        if settings.postgres:
            if database:
                with database.open("rb") as dumped, copy.open("wb") as target:
                    shutil.copyfileobj(dumped, target)
            else:
                dump(settings.postgres, copy)
            archive.add(copy, DUMP)
        for path in _files(home):
            if path not in skipped:
                (databases if _is_sqlite(path) else others).append(path)
        for path in databases:
            archive.add(_copied(path, copy), f"{HOME}/{path.relative_to(home).as_posix()}")
    for path in others:
        try:
            archive.add(path, f"{HOME}/{path.relative_to(home).as_posix()}")
        except FileNotFoundError:  # pruned a moment ago, and so named by nothing any more
            continue
    return len(databases) + len(others)


def _files(home: Path) -> Iterator[Path]:
    for folder, names, files in os.walk(home):
        names[:] = [name for name in names if name not in _SKIPPED_FOLDERS and not name.startswith(TEMPORARY)]
        for name in sorted(files):
            path = Path(folder, name)
            if not name.endswith(_SKIPPED_ENDS) and not name.startswith(TEMPORARY) and not path.is_symlink():
                yield path


def _copied(database: Path, target: Path) -> Path:
    """The database as it is between two transactions, while others use it."""
    target.unlink(missing_ok=True)
    with (
        closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as source,
        closing(sqlite3.connect(target)) as copy,
    ):
        source.backup(copy)
    return target


def _is_sqlite(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_SQLITE)) == _SQLITE


def _add_bytes(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def _absent(project: Project) -> Iterator[str]:
    """Places that settings name and this backup does not reach."""
    settings, home = project.settings, project.settings.home_path
    tracking = settings.tracking
    if settings.storage:
        yield "data and models (MLOPS_STORAGE)"
    if tracking.startswith("sqlite:///") and not Path(tracking.removeprefix("sqlite:///")).is_relative_to(home):
        yield "MLflow's database (MLOPS_TRACKING_URI)"
    elif not tracking.startswith("sqlite:///") and not settings.postgres:
        yield "MLflow's server or database (MLOPS_TRACKING_URI)"
    own = settings.database_url.get_secret_value() if settings.database_url else ""
    if own.startswith("sqlite") and not Path(own.partition(":///")[2]).is_relative_to(home):
        yield "the project's own tables (MLOPS_DATABASE_URL)"
    records = os.environ.get("DAGSTER_HOME")
    if not settings.postgres and records and not Path(records).is_relative_to(home):
        yield "Dagster's records (DAGSTER_HOME)"


def dump(url: str, target: Path) -> None:
    """Write the whole database as it is in one moment. Raises StorageError."""
    _call("pg_dump", url, "--format=custom", "--no-owner", "--no-privileges", f"--file={target}")


def restore(url: str, source: Path) -> None:
    """Put everything back as it was, in one transaction; what is there under the same names goes first."""
    options = ("--single-transaction", "--clean", "--if-exists", "--no-owner", "--no-privileges")
    _call("pg_restore", url, *options, str(source))


def tables(url: str) -> list[str]:
    """Every table of the database with its schema."""
    with sa.create_engine(url, poolclass=sa.NullPool).connect() as connection:
        inspector = sa.inspect(connection)
        schemas = [name for name in inspector.get_schema_names() if name not in SYSTEM_SCHEMAS]
        return [f"{schema}.{table}" for schema in schemas for table in inspector.get_table_names(schema)]


def _call(program: str, url: str, *options: str) -> None:
    path = which(program)
    if path is None:
        raise StorageError(
            f"{program} is not installed here: install PostgreSQL's client programs, of the server's version or newer"
        )
    parsed = sa.make_url(url)
    place = parsed.set(drivername="postgresql", password=None).render_as_string(hide_password=False)
    env = os.environ | {"PGPASSWORD": str(parsed.password or "")}
    done = subprocess.run([path, f"--dbname={place}", *options], env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        message = " ".join(redact(url, done.stderr).split())
        raise StorageError(f"{program} failed: {message[:500]}")
