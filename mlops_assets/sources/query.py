"""The rows of any SELECT statement or table, under the names that it gives, a chunk at a time."""

from collections.abc import Generator
from typing import TYPE_CHECKING

from mlops_assets.errors import BadTable
from mlops_assets.sources.database import Database, Refused
from mlops_assets.sources.failures import stepwise_without_chain
from mlops_assets.sources.sql import arrow_array

if TYPE_CHECKING:
    import pyarrow as pa
    import sqlalchemy as sa

LABEL = "the query"


def stream_query(database: Database, query: str, chunk_rows: int) -> Generator["pa.Table", None, None]:
    """Tables of up to `chunk_rows` rows, in the order of the query; none where it has no row. Raises SourceError."""
    import sqlalchemy as sa

    statement = sa.text(query.strip().rstrip(";").replace(":", r"\:"))  # a colon would start a parameter
    return stepwise_without_chain(_chunks(database, statement, chunk_rows))


def stream_table(database: Database, name: str, chunk_rows: int) -> Generator["pa.Table", None, None]:
    """The same of a table or view, `schema.table` where needed, in whatever order the database gives."""
    import sqlalchemy as sa

    schema, _, table = name.rpartition(".")
    statement = sa.select(sa.literal_column("*")).select_from(sa.table(table, schema=schema or None))
    return stepwise_without_chain(_chunks(database, statement, chunk_rows))


def _chunks(database: Database, statement: "sa.Executable", chunk_rows: int) -> Generator["pa.Table", None, None]:
    import pyarrow as pa

    try:
        with database.stream(statement, chunk_rows, LABEL) as chunks:
            for chunk in chunks:
                yield pa.table(dict(zip(chunk[0]._fields, map(arrow_array, zip(*chunk, strict=True)), strict=True)))
    except Refused as refusal:
        raise BadTable(f"{LABEL}: the database cannot read it ({refusal.reason}): correct it or its rights") from None
