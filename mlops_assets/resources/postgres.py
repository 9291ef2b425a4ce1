"""What several processes do to a PostgreSQL database when they start together: one of them at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

# Any number that others do not use. One for all: whoever waits does so for a few seconds, once.
LOCK = 0x6D6C6F7073
CONNECT_SECONDS = 15


@contextmanager
def one_at_a_time(url: str, schema: str | None) -> Iterator[None]:
    """Make the schema where it is named and missing; inside, no other process makes tables in this database.

    `url`: in the schema or not. Raises SQLAlchemyError where the database does not answer.
    """
    import sqlalchemy as sa

    engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args={"connect_timeout": CONNECT_SECONDS})
    with engine.connect() as connection:
        connection.execute(sa.select(sa.func.pg_advisory_lock(LOCK)))  # given up when the connection ends
        # IF NOT EXISTS alone asks for the right to create, which a careful owner may have taken away since.
        if schema and connection.scalar(sa.select(sa.func.to_regnamespace(schema))) is None:
            connection.execute(sa.schema.CreateSchema(schema))
        connection.commit()
        yield
