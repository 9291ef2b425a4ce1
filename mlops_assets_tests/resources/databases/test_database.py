"""The project's own database: made by whoever comes first, usable by many, and silent about what is in it."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from mlops_assets.dataset import DatasetSpec
from mlops_assets.errors import SettingsError, StorageError
from mlops_assets.project import Project
from mlops_assets.resources.databases.database import Database, insert_new
from mlops_assets.resources.databases.schema import METADATA, PREDICTION_LOG, VERSION_TABLE
from mlops_assets.settings import read_settings
from mlops_assets_tests.homes import ROOT
from mlops_assets_tests.servers import free_port

ROW = {"request_id": "a", "row": 0, "dataset": "shop", "model_version": 1, "inputs": {}, "prediction": 1.0}


def row(**changes):
    at = datetime(2026, 3, 1, tzinfo=UTC)
    return ROW | {"at": at, "event_at": at.replace(tzinfo=None), "low": None, "high": None} | changes


def ids(database):
    with database.transaction() as connection:
        return connection.scalars(sa.select(PREDICTION_LOG.c.request_id).order_by("request_id")).all()


def test_tables_are_made_where_they_are_missing_and_kept_where_they_are_not(database_url):
    with Database(database_url).transaction() as connection:
        connection.execute(PREDICTION_LOG.insert(), row())
        assert set(sa.inspect(connection).get_table_names()) == {*METADATA.tables, VERSION_TABLE}
    assert ids(Database(database_url)) == ["a"]


def test_an_error_undoes_the_whole_transaction(database_url):
    database = Database(database_url)
    with pytest.raises(ZeroDivisionError), database.transaction() as connection:
        connection.execute(PREDICTION_LOG.insert(), row())
        raise ZeroDivisionError
    assert ids(database) == []


def test_rows_that_are_there_are_left_out_of_an_insert(database_url):
    database = Database(database_url)
    for names in ("ab", "bc"):
        with database.transaction() as connection:
            rows = [row(request_id=name, model_version=ord(names[0])) for name in names]
            connection.execute(insert_new(connection, PREDICTION_LOG), rows)
    with database.transaction() as connection:
        found = connection.execute(sa.select(PREDICTION_LOG.c.request_id, PREDICTION_LOG.c.model_version)).tuples()
        assert dict(found.all()) == {"a": ord("a"), "b": ord("a"), "c": ord("b")}


def test_processes_that_open_a_new_database_at_once_all_write_to_it(database_url):
    script = f"""
from datetime import UTC, datetime
import sys
from mlops_assets.resources.databases.database import Database
from mlops_assets.resources.databases.schema import PREDICTION_LOG
now = datetime.now(UTC)
row = {ROW!r} | {{"request_id": sys.argv[1], "at": now, "event_at": now.replace(tzinfo=None)}}
with Database({database_url!r}).transaction() as connection:
    connection.execute(PREDICTION_LOG.insert(), row)
"""
    workers = [
        subprocess.Popen([sys.executable, "-c", script, name], cwd=ROOT, stderr=subprocess.PIPE, text=True)
        for name in "abcd"
    ]
    assert [worker.communicate()[1] for worker in workers] == [""] * 4
    assert ids(Database(database_url)) == list("abcd")


def test_a_reader_of_sqlite_does_not_wait_for_a_writer(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'mlops.db'}")
    ids(database)
    with closing(sqlite3.connect(tmp_path / "mlops.db", isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        assert ids(database) == []


def test_without_a_url_the_database_lies_in_the_dataset_s_folder(tmp_path, tiny):
    project = Project(read_settings({"MLOPS_HOME": str(tmp_path)}), DatasetSpec.model_validate(tiny))
    with project.database.transaction():
        assert (tmp_path / "tiny" / "mlops.db").is_file()


def test_the_url_of_the_settings_is_used_and_never_shown(tmp_path, tiny):
    url = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    project = Project(read_settings({"MLOPS_DATABASE_URL": url}), DatasetSpec.model_validate(tiny))
    with project.database.transaction():
        assert (tmp_path / "elsewhere.db").is_file()
    assert url not in repr(project.settings)


@pytest.mark.parametrize("url", ["mysql://me:hunter2@host/db", "hunter2", "sqlite:///", "sqlite://hunter2"])
def test_another_kind_of_database_is_refused_at_the_door(url):
    with pytest.raises(SettingsError, match="MLOPS_DATABASE_URL: it must begin with postgresql://") as error:
        read_settings({"MLOPS_DATABASE_URL": url})
    assert "hunter2" not in str(error.value)


def test_a_url_that_cannot_be_parsed_is_told_without_it():
    with (
        pytest.raises(SettingsError, match="is no SQLAlchemy URL") as error,
        Database("postgresql://a:hunter2@b:port/d").transaction(),
    ):
        pass
    assert "hunter2" not in str(error.value)


def test_a_server_that_does_not_answer_is_told_without_its_password():
    url = f"postgresql://me:hunter2@127.0.0.1:{free_port()}/db"
    with pytest.raises(StorageError, match="database of MLOPS_DATABASE_URL cannot be used: .*refused") as error:
        ids(Database(url))
    assert "hunter2" not in str(error.value)
    assert error.value.__suppress_context__


def test_a_statement_that_fails_is_told_without_its_values(database_url):
    database = Database(database_url)
    with (
        pytest.raises(StorageError, match="cannot be used: IntegrityError") as error,
        database.transaction() as connection,
    ):
        connection.execute(PREDICTION_LOG.insert(), row(request_id="very-private", dataset=None))
    assert "very-private" not in str(error.value)


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    Path(tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="the database mlops.db .* cannot be opened: Not a directory|File exists"):
        ids(Database(f"sqlite:///{tmp_path / 'file' / 'mlops.db'}"))
