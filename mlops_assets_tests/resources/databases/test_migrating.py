"""Migrations: from whatever the tables were to what they are, once, and never back."""

import subprocess
import sys
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext

from mlops_assets.errors import StorageError
from mlops_assets.resources.databases.database import Database
from mlops_assets.resources.databases.schema import (
    MAIL_OUTBOX,
    METADATA,
    PREDICTION_LOG,
    REVISION,
    VERSION_TABLE,
    migrate,
    revision_of,
    steps,
)
from mlops_assets_tests.homes import ROOT

OPEN = """
import sys
from mlops_assets.resources.databases.database import Database
print(Database(sys.argv[1]).revision())
"""
# Of the release before there were migrations.
BEFORE = sa.MetaData()
for table in (MAIL_OUTBOX, PREDICTION_LOG):
    table.to_metadata(BEFORE)
BEFORE.tables["mail_outbox"].indexes.clear()


@pytest.fixture
def engine(database_url):
    return sa.create_engine(database_url, poolclass=sa.NullPool)


def keep_a_row(connection):
    at = datetime(2026, 3, 1, tzinfo=UTC)
    row = {"request_id": "a", "row": 0, "dataset": "shop", "at": at, "event_at": at.replace(tzinfo=None)}
    connection.execute(PREDICTION_LOG.insert(), row | {"model_version": 1, "inputs": {"x": 1}, "prediction": 2.5})


def differences(connection):
    return compare_metadata(MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}), METADATA)


def kept(connection):
    return connection.execute(sa.select(PREDICTION_LOG.c.request_id, PREDICTION_LOG.c.prediction)).tuples().all()


def test_the_steps_lead_to_the_tables_of_today_one_after_the_other():
    script = steps()
    assert script.get_heads() == [REVISION]
    assert [step.revision for step in script.walk_revisions()] == [f"{n:04}" for n in range(int(REVISION), 0, -1)]
    assert not [step.revision for step in script.walk_revisions() if hasattr(step.module, "downgrade")]


def test_an_empty_database_gets_the_tables_of_today(database_url, engine):
    assert Database(database_url).revision() == REVISION
    with engine.connect() as connection:
        assert differences(connection) == []


@pytest.mark.parametrize("revision", [f"{n:04}" for n in range(1, int(REVISION))])
def test_an_older_database_is_brought_up_to_date_and_keeps_its_rows(database_url, engine, revision):
    with engine.begin() as connection:
        migrate(connection, revision)
        keep_a_row(connection)
    with Database(database_url).transaction() as connection:
        assert revision_of(connection) == REVISION
        assert differences(connection) == []
        assert kept(connection) == [("a", 2.5)]


def test_a_database_from_before_the_migrations_is_adopted_with_its_rows(database_url, engine):
    BEFORE.create_all(engine)
    with engine.begin() as connection:
        keep_a_row(connection)
    with Database(database_url).transaction() as connection:
        assert revision_of(connection) == REVISION
        assert differences(connection) == []
        assert kept(connection) == [("a", 2.5)]


def test_a_database_of_a_newer_release_is_left_alone(database_url):
    with Database(database_url).transaction() as connection:
        connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(StorageError, match=r"of a newer release \(revision 9999, .*update mlops-assets"):
        Database(database_url).revision()


def test_a_migration_that_fails_leaves_nothing_behind(database_url, engine, monkeypatch):
    with engine.begin() as connection:
        migrate(connection, "0001")
    monkeypatch.setattr(Operations, "create_index", lambda steps, *_: steps.execute("CREATE INDEX i ON nowhere (at)"))
    with pytest.raises(StorageError, match="cannot be used"):
        Database(database_url).revision()
    with engine.connect() as connection:
        assert revision_of(connection) == "0001"
        assert "dashboard_edits" not in sa.inspect(connection).get_table_names()


def test_processes_that_meet_an_old_database_at_once_migrate_it_once(database_url, engine):
    with engine.begin() as connection:
        migrate(connection, "0001")
    command = [sys.executable, "-c", OPEN, database_url]
    workers = [subprocess.Popen(command, cwd=ROOT, stdout=-1, stderr=-1, text=True) for _ in range(4)]
    assert [worker.communicate() for worker in workers] == [(f"{REVISION}\n", "")] * 4


def test_the_tables_of_mlflow_in_the_same_database_are_left_alone(new_postgres):
    with sa.create_engine(new_postgres).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('mlflow''s own')")
    with Database(new_postgres).transaction() as connection:
        assert connection.exec_driver_sql("SELECT * FROM alembic_version").scalar() == "mlflow's own"
