"""PostgreSQL's own tools: pg_dump and pg_restore, without a password on their command line."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from shutil import which

import sqlalchemy as sa

from mlops_assets.errors import StorageError
from mlops_assets.resources.mlflow_connection import redact

SYSTEM_SCHEMAS = ("information_schema", "pg_catalog", "pg_toast")


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
    done = subprocess.run([path, f"--dbname={place}", *options], env=env, capture_output=True, text=True)
    if done.returncode:
        told = " ".join(redact(url, done.stderr).split())
        raise StorageError(f"{program} failed: {told[:500]}")
