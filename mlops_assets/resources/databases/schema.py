"""The project's own tables, and how they come to this form from whatever form they are in."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from mlops_assets.errors import StorageError

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

METADATA = sa.MetaData()
REVISION = "0003"  # of the newest file in migrations/
# MLflow's and Dagster's own are called `alembic_version`; all three may lie in one database.
VERSION_TABLE = "mlops_version"


class Moment(sa.TypeDecorator[datetime]):
    """A time in UTC: `timestamptz` in PostgreSQL, a text that sorts by time in SQLite, always aware in Python."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        return value and (value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC))


MAIL_OUTBOX = sa.Table(
    "mail_outbox",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("key", sa.String(500), nullable=False),
    sa.Column("recipient", sa.String(320), nullable=False),
    sa.Column("alert", sa.Text, nullable=False),
    sa.Column("happened_at", Moment, nullable=False),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("letter", sa.String(40)),  # the letter it is in; of an expired one, that which told of it
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("next_try", Moment, nullable=False),
    sa.Column("last_error", sa.Text),
    sa.Column("sent_at", Moment),
    sa.UniqueConstraint("key", "recipient"),
    sa.Index("mail_outbox_due", "state", "next_try"),
)

PREDICTION_LOG = sa.Table(
    "prediction_log",
    METADATA,
    sa.Column("request_id", sa.Text, primary_key=True),
    sa.Column("row", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("dataset", sa.Text, nullable=False),  # several may share one database
    sa.Column("at", Moment, nullable=False),
    sa.Column("event_at", sa.DateTime, nullable=False),  # the wall clock of the dataset's time column
    sa.Column("model_version", sa.Integer, nullable=False),
    sa.Column("inputs", sa.JSON, nullable=False),  # by alias
    sa.Column("prediction", sa.Double, nullable=False),
    sa.Column("low", sa.Double),
    sa.Column("high", sa.Double),
    sa.Index("prediction_log_at", "dataset", "at"),
    sa.Index("prediction_log_event_at", "dataset", "event_at"),
)

DASHBOARD_EDITS = sa.Table(
    "dashboard_edits",
    METADATA,
    sa.Column("dataset", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),  # of the file that the text stands for
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("at", Moment, nullable=False),
)

DASHBOARD_LAYOUTS = sa.Table(
    "dashboard_layouts",
    METADATA,
    sa.Column("dataset", sa.Text, primary_key=True),
    sa.Column("page", sa.Text, primary_key=True),
    sa.Column("breakpoint", sa.Text, primary_key=True),
    sa.Column("places", sa.JSON, nullable=False),  # x, y, w and h of the charts that were moved
)


def revision_of(connection: sa.Connection) -> str | None:
    """The revision that the tables are at; None where there are none, or none that was written down."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.scalar(sa.select(sa.column("version_num")).select_from(sa.table(VERSION_TABLE)))


def migrate(connection: sa.Connection, to: str = REVISION) -> None:
    """Take every step from the present revision on; call it in a transaction, so that they are taken all or none.

    Raises StorageError where a newer release has been at work: there is no way back.
    """
    applied = revision_of(connection)
    if applied == to:
        return
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext

    script = steps()
    if applied and applied not in {step.revision for step in script.walk_revisions()}:
        raise StorageError(
            f"the project's tables are of a newer release (revision {applied}, this one knows {to}): "
            "update mlops-assets"
        )
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "transactional_ddl": True})
    with Operations.context(context):
        for step in reversed(list(script.iterate_revisions(to, applied or "base"))):
            step.module.upgrade()
            context.stamp(script, step.revision)


def steps() -> ScriptDirectory:
    """Alembic's view of migrations/."""
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(_config())


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    folder = Path(__file__).with_name("migrations")
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("version_locations", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    return config
