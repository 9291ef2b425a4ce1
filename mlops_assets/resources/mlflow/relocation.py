"""Where MLflow has written down where its artefacts lie, after their folder was moved: it keeps absolute places."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import sqlalchemy as sa

_PLACES = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "model_versions": ("source", "storage_location"),
    "logged_models": ("artifact_location",),
}


def folder_before(location: str, folder: Path) -> Path | None:
    """Where a folder was when MLflow wrote down that `location`, a URL, lies in a folder of its name; None elsewhere.

    None too where it is there still, or where what MLflow speaks of is not in the folder of now.
    """
    parts = urlsplit(location)
    if parts.scheme != "file":
        return None
    place = Path(url2pathname(parts.path))
    for before in (place, *place.parents):
        if before.name == folder.name and before != folder:
            return before if (folder / place.relative_to(before)).is_dir() else None
    return None


def relocate(uri: str, before: Path, now: Path) -> None:
    """Let the MLflow of a database find what has moved from one folder to another. Raises SQLAlchemyError."""
    with sa.create_engine(uri, poolclass=sa.NullPool).begin() as connection:
        for old, new in ((before.as_uri(), now.as_uri()), (str(before), str(now))):
            for table, columns in _PLACES.items():
                for column in columns:
                    _replace_prefix(connection, table, column, f"{old}/", f"{new}/")
                    if table == "experiments":  # which lie there itself
                        _replace(connection, table, column, old, new)


def _replace_prefix(connection: sa.Connection, table: str, column: str, old: str, new: str) -> None:
    value: sa.ColumnClause[str] = sa.column(column, sa.Text)
    moved = sa.literal(new).concat(sa.func.substr(value, len(old) + 1))
    place = sa.table(table, value)
    connection.execute(place.update().where(sa.func.substr(value, 1, len(old)) == old).values({column: moved}))


def _replace(connection: sa.Connection, table: str, column: str, old: str, new: str) -> None:
    value: sa.ColumnClause[str] = sa.column(column, sa.Text)
    connection.execute(sa.table(table, value).update().where(value == old).values({column: new}))
