"""Dashboards as they were changed in the browser."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0002", "0001"


def upgrade() -> None:
    op.create_table(
        "dashboard_edits",
        sa.Column("dataset", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "dashboard_layouts",
        sa.Column("dataset", sa.Text, primary_key=True),
        sa.Column("page", sa.Text, primary_key=True),
        sa.Column("breakpoint", sa.Text, primary_key=True),
        sa.Column("places", sa.JSON, nullable=False),
        if_not_exists=True,
    )
