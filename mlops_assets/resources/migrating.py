"""Brings the project's own tables to their newest form, whatever form they are in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from mlops_assets.errors import StorageError
from mlops_assets.resources.tables import REVISION

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

# MLflow's and Dagster's own are called `alembic_version`; all three may lie in one database.
VERSION_TABLE = "mlops_version"


def revision_of(connection: sa.Connection) -> str | None:
    """The revision that the tables are at; None where there are none, or none that was written down."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.scalar(sa.select(sa.column("version_num")).select_from(sa.table(VERSION_TABLE)))


def migrate(connection: sa.Connection, to: str = REVISION) -> None:
    """Take every step from the present revision on; call it in a transaction, so that they are taken all or none.

    Raises StorageError where a newer release has been at work: there is no way back.
    """
    found = revision_of(connection)
    if found == to:
        return
    from alembic.runtime.environment import EnvironmentContext

    script = steps()
    if found and found not in {step.revision for step in script.walk_revisions()}:
        raise StorageError(
            f"the project's tables are of a newer release (revision {found}, this one knows {to}): update mlops-assets"
        )
    with EnvironmentContext(_config(), script, fn=lambda revision, _: script._upgrade_revs(to, revision)) as context:
        context.configure(connection, version_table=VERSION_TABLE, transactional_ddl=True)
        context.run_migrations()


def steps() -> ScriptDirectory:
    """Alembic's view of migrations/."""
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(_config())


def _config():
    from alembic.config import Config

    config = Config()
    folder = Path(__file__).with_name("migrations")
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("version_locations", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    return config
