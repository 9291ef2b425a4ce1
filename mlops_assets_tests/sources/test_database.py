"""Connections to databases: down, broken off, missing, misnamed."""

import pytest
import sqlalchemy as sa

from mlops_assets.errors import SourceError, SourceUnreachable
from mlops_assets.sources.database import Database
from mlops_assets.sources.retries import Retry


def test_a_database_that_is_down_is_unreachable(make_spec, open_rows, waits, web):
    url = f"postgresql://someone:password@127.0.0.1:{web.server.server_port}/trips"  # no database speaks there
    web.server.server_close()
    wanted = r"^the list of periods: the database cannot be reached \(tries: 3\): check that it runs"
    with pytest.raises(SourceUnreachable, match=wanted):
        open_rows(make_spec({"kind": "sql", "url": url, "table": "trips"})).partitions()
    assert len(waits) == 2


def test_work_is_done_anew_when_the_connection_breaks_off(postgres, waits):
    kills = iter(["pg_terminate_backend(pg_backend_pid())", "1"])

    def work(connection):
        return connection.execute(sa.text(f"SELECT {next(kills)}")).scalar()

    assert Database(postgres, 5, Retry(1, waits.append)).ask(work, "period 2024-01") == 1
    assert len(waits) == 1


def test_a_missing_sqlite_file_is_not_created(make_spec, open_rows, tmp_path):
    with pytest.raises(SourceError, match="the SQLite file of source.url does not exist"):
        open_rows(make_spec({"kind": "sql", "url": f"sqlite:///{tmp_path}/no.db", "table": "trips"})).partitions()
    assert not (tmp_path / "no.db").exists()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("trips.db", "source.url is no SQLAlchemy URL"),
        ("nosuch://host/name", "source.url is no SQLAlchemy URL"),
        ("mysql+aiomysql://host/name", "the database driver aiomysql is not installed"),
    ],
)
def test_a_url_that_cannot_be_used_says_why(make_spec, open_rows, url, message):
    with pytest.raises(SourceError, match=message):
        open_rows(make_spec({"kind": "sql", "url": url, "table": "trips"})).partitions()
