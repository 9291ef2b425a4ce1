"""The Dagster instance: its folder $DAGSTER_HOME, by default in the dataset's folder, and how it is opened."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_assets.database_urls import redact
from mlops_assets.disks import damaged_database, damaged_databases, disk_trouble, is_damage
from mlops_assets.errors import SettingsError, StorageError
from mlops_assets.project import Project
from mlops_assets.settings import project_root

if TYPE_CHECKING:
    import dagster as dg


def prepare_dagster_home(project: Project) -> Path:
    """Set $DAGSTER_HOME where it is not set, and link the project's `dagster.yaml` into it.

    Each dataset has one of its own: its assets have the same names as those of another.
    """
    home = dagster_home(project)
    try:
        home.mkdir(parents=True, exist_ok=True)
        config, shipped = home / "dagster.yaml", project_root() / "dagster.yaml"
        if not config.exists() and shipped.exists():
            config.unlink(missing_ok=True)  # a link whose target has moved
            config.symlink_to(os.path.relpath(shipped, home))
    except OSError as error:
        reason = disk_trouble(error, home) or f"{error} (set MLOPS_HOME or DAGSTER_HOME)"
        raise StorageError(f"the folder for Dagster cannot be made: {reason}") from None
    os.environ["DAGSTER_HOME"] = str(home)
    return home


def dagster_home(project: Project) -> Path:
    """Dagster's folder, there or not. Raises SettingsError where $DAGSTER_HOME is no absolute path."""
    from_env = os.environ.get("DAGSTER_HOME")
    home = Path(from_env) if from_env else project.home / "dagster"
    if not home.is_absolute():
        raise SettingsError(f"DAGSTER_HOME must be an absolute path, not {from_env}")
    return home


@contextmanager
def open_instance(project: Project) -> Iterator[dg.DagsterInstance]:
    """The Dagster instance that the UI and the daemon use as well.

    What its database raises inside comes out as a StorageError; MLflow's errors are told as such before.
    """
    import dagster as dg
    from sqlalchemy.exc import SQLAlchemyError

    database_errors = (SQLAlchemyError, sqlite3.Error)
    home = prepare_dagster_home(project)
    try:
        with dg.DagsterInstance.get() as instance:
            yield instance
    except Exception as error:
        failure = error if isinstance(error, database_errors) else error.__cause__  # as dagster-postgres wraps it
        if not isinstance(failure, database_errors):
            raise
        url = project.settings.postgres
        if url is None:
            _tell_of_files(failure, home)
        reason = " ".join(str(getattr(failure, "orig", None) or failure).split())
        where = "the database of MLOPS_DATABASE_URL" if url else str(home)
        raise StorageError(f"Dagster's storage in {where} cannot be used: {redact(url or '', reason)}") from None


def dagster_databases(home: Path) -> list[Path]:
    """The SQLite files of Dagster's records: those of all runs, then one for each run."""
    history = home / "history"
    shared = [history / "runs.db", history / "runs/index.db", home / "schedules/schedules.db"]
    of_runs = sorted(file for file in (history / "runs").glob("*.db") if file not in shared)
    return [file for file in (*shared, *of_runs) if file.exists()]


def damaged_record(file: Path) -> str:
    """One clause on one of Dagster's databases that is damaged, with what deleting it costs."""
    if file.name in ("runs.db", "index.db"):
        history = file.parents[1] if file.name == "index.db" else file.parent
        again = "the history of runs goes with it, and the next run makes everything again"
        return damaged_database(file, again, deleting=history)
    if file.name == "schedules.db":
        return damaged_database(file, "what schedules and sensors have done goes with it")
    return damaged_database(file, "what one run has logged goes with it")


def _tell_of_files(error: BaseException, home: Path) -> None:
    """Raises StorageError where the error says that a disk is full or broken, or that a database is damaged."""
    if trouble := disk_trouble(error, home):
        raise StorageError(f"Dagster's storage in {home} cannot be used: {trouble}") from None
    if is_damage(error):
        for file, _ in damaged_databases(dagster_databases(home)):
            raise StorageError(damaged_record(file)) from None
