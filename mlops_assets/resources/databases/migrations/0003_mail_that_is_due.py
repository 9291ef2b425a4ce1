"""Mail that is due is found without reading the mail of three months."""

from alembic import op

revision, down_revision = "0003", "0002"


def upgrade() -> None:
    op.create_index("mail_outbox_due", "mail_outbox", ["state", "next_try"])
