"""A backup put back, here or on another machine."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from mlops_assets.errors import StorageError
from mlops_assets.operation.backup import ABOUT, DUMP, HOME, Manifest, tables
from mlops_assets.operation.backup import restore as restore_dump
from mlops_assets.project import Project
from mlops_assets.resources.artefacts.local import TEMPORARY
from mlops_assets.resources.databases.schema import REVISION
from mlops_assets.resources.mlflow.relocation import relocate


def restore(project: Project, source: Path | BinaryIO, *, replace: bool, with_database: bool = True) -> Manifest:
    """Put everything back from a backup; nothing may be at work in these places. Raises StorageError.

    What is there already is only replaced where that is asked for. Nothing is touched before the backup was read to
    its end; a restore that is killed after that is done again with `replace`.
    """
    home = project.settings.home_path
    try:
        home.mkdir(parents=True, exist_ok=True)
        if not replace:
            _refuse_to_replace(project, with_database)
        with TemporaryDirectory(dir=home, prefix=TEMPORARY) as name:
            folder = Path(name)
            opening = {"name": source} if isinstance(source, Path) else {"fileobj": source, "mode": "r|*"}
            with tarfile.open(**opening) as archive:
                archive.extractall(folder, filter="data")
            manifest = _read_manifest(folder, project)
            if project.settings.postgres and with_database:
                restore_dump(project.settings.postgres, folder / DUMP)
            _clear(home, keep=folder)
            _move(folder / HOME, home)
        _relocate(project, Path(manifest.home))
        return manifest
    except (OSError, tarfile.TarError) as error:
        raise StorageError(f"the backup cannot be restored: {error}") from None


def _refuse_to_replace(project: Project, with_database: bool) -> None:
    home, url = project.settings.home_path, project.settings.postgres
    files = (path for path in home.rglob("*") if path.is_file() and path.suffix != ".lock")
    entries = sorted({path.relative_to(home).parts[0] for path in files})
    entries += tables(url) if url and with_database else []
    if entries:
        more = f" and {len(entries) - 3} more" if len(entries) > 3 else ""
        raise StorageError(f"there is something already: {', '.join(entries[:3])}{more} (--replace removes it)")


def _read_manifest(folder: Path, project: Project) -> Manifest:
    """What the backup says of itself, where it fits the settings."""
    if not (folder / ABOUT).is_file():
        raise StorageError("this is no backup of mlops-assets")
    manifest = Manifest(**json.loads((folder / ABOUT).read_text(encoding="utf-8")))
    if manifest.revision > REVISION:
        raise StorageError("the backup is of a newer release: update mlops-assets")
    has_dump = (folder / DUMP).is_file()
    if has_dump and not project.settings.postgres:
        raise StorageError("the backup holds a PostgreSQL database: set MLOPS_DATABASE_URL to an empty one")
    if project.settings.postgres and not has_dump:
        raise StorageError("the backup holds SQLite databases: restore it without MLOPS_DATABASE_URL")
    return manifest


def _clear(home: Path, keep: Path | None = None) -> None:
    """Remove what is in the folder; a volume that is mounted there stays, empty."""
    for item in home.iterdir():
        if item == keep or item.suffix == ".lock":
            continue
        if item.is_symlink() or not item.is_dir():
            item.unlink()
        elif os.path.ismount(item):
            _clear(item)
        else:
            shutil.rmtree(item)


def _move(source: Path, home: Path) -> None:
    for item in source.iterdir() if source.is_dir() else ():
        if os.path.ismount(home / item.name):
            _move(item, home / item.name)
        else:
            shutil.move(item, home / item.name)


def _relocate(project: Project, before: Path) -> None:
    """Let MLflow find its artefacts where the home folder is now."""
    home, uri = project.settings.home_path, project.settings.tracking
    if before == home or uri.startswith(("http:", "https:")):
        return
    relocate(uri, before, home)
