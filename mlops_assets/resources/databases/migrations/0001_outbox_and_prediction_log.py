"""The outbox of mail, and the prediction log."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0001", None


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "mail_outbox",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("key", sa.String(500), nullable=False),
        sa.Column("recipient", sa.String(320), nullable=False),
        sa.Column("alert", sa.Text, nullable=False),
        sa.Column("happened_at", moment, nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("letter", sa.String(40)),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_try", moment, nullable=False),
        sa.Column("last_error", sa.Text),
        sa.Column("sent_at", moment),
        sa.UniqueConstraint("key", "recipient"),
        if_not_exists=True,
    )
    op.create_table(
        "prediction_log",
        sa.Column("request_id", sa.Text, primary_key=True),
        sa.Column("row", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("dataset", sa.Text, nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.Column("event_at", sa.DateTime, nullable=False),
        sa.Column("model_version", sa.Integer, nullable=False),
        sa.Column("inputs", sa.JSON, nullable=False),
        sa.Column("prediction", sa.Double, nullable=False),
        sa.Column("low", sa.Double),
        sa.Column("high", sa.Double),
        if_not_exists=True,
    )
    for column in ("at", "event_at"):
        op.create_index(f"prediction_log_{column}", "prediction_log", ["dataset", column], if_not_exists=True)
