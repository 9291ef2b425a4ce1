"""MLflow's tables in a SQLite file: whole after a kill at any statement, whoever made them."""

import shutil
import sqlite3
from contextlib import closing

import pytest
import sqlalchemy as sa

from mlops_assets.compat import mlflow_revisions
from mlops_assets.errors import TrackingError
from mlops_assets.resources.mlflow import tables
from mlops_assets.resources.mlflow.connection import connect, import_mlflow
from mlops_assets.resources.mlflow.tables import prepare_tables

SPREAD = 6
NEW_RUN = """INSERT INTO runs (run_uuid, experiment_id, status, lifecycle_stage, user_id, start_time)
    VALUES (?, 7, 'FINISHED', 'active', 'me', 0)"""


def schema(file):
    """Every table and index as SQLite keeps them; Alembic writes constraints in whatever order."""
    with closing(sqlite3.connect(file)) as connection:
        rows = connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
        parts = {
            (kind, name): sorted(line.strip(" ,\t") for line in (sql or "").split("\n")) for kind, name, sql in rows
        }
        return parts, connection.execute("SELECT version_num FROM alembic_version").fetchall()


def content(file):
    with closing(sqlite3.connect(file)) as connection:
        return list(connection.iterdump())


def old_tables(file, revision):
    """MLflow's tables as an older release has left them."""
    from alembic import command
    from mlflow.store.db.utils import _get_alembic_config
    from mlflow.store.tracking.dbmodels.initial_models import Base

    engine = sa.create_engine(f"sqlite:///{file}", poolclass=sa.NullPool)
    Base.metadata.create_all(engine)
    config = _get_alembic_config(f"sqlite:///{file}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def revisions():
    from alembic.script import ScriptDirectory
    from mlflow.store.db.utils import _get_alembic_config

    script = ScriptDirectory.from_config(_get_alembic_config(""))
    return [step.revision for step in reversed(list(script.walk_revisions()))]


@pytest.fixture(scope="module", autouse=True)
def quiet():
    import_mlflow()


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """What MLflow makes by itself, and the file as it was before each statement of that."""
    from mlflow.store.db.utils import _initialize_tables

    folder = tmp_path_factory.mktemp("own")
    file = folder / "mlflow.db"
    engine = sa.create_engine(f"sqlite:///{file}", poolclass=sa.NullPool)
    moments = []

    @sa.event.listens_for(engine, "before_cursor_execute")
    def remember(connection, cursor, statement, *rest):
        if file.exists() and statement.lstrip().split()[0].upper() not in ("SELECT", "PRAGMA"):
            moment = folder / f"{len(moments)}"
            moment.mkdir()
            for part in folder.glob("mlflow.db*"):
                shutil.copy(part, moment)
            moments.append(moment)

    _initialize_tables(engine)
    return file, moments


@pytest.fixture
def old(tmp_path):
    """Tables of an older release with an experiment and a run in them."""
    file = tmp_path / "mlflow.db"
    old_tables(file, revisions()[-6])
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("INSERT INTO experiments (experiment_id, name, lifecycle_stage) VALUES (7, 'old', 'active')")
        connection.execute(NEW_RUN, ["r"])
    return file


def names_of_runs(file):
    client = connect(f"sqlite:///{file}")
    return sorted(run.info.run_id for run in client.search_runs(["7"]))


def test_they_are_those_that_mlflow_makes(own, tmp_path):
    prepare_tables(tmp_path / "mlflow.db")
    assert schema(tmp_path / "mlflow.db") == schema(own[0])
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]


def goes_on(moment, own, folder):
    for part in moment.iterdir():
        shutil.copy(part, folder)
    prepare_tables(folder / "mlflow.db")
    assert schema(folder / "mlflow.db") == schema(own[0])


@pytest.mark.parametrize("share", range(SPREAD))
def test_what_a_kill_has_left_is_made_again(own, tmp_path, share):
    moments = own[1]
    goes_on(moments[share * len(moments) // SPREAD], own, tmp_path)


@pytest.mark.slow
def test_what_a_kill_at_any_statement_has_left_is_made_again(own, tmp_path):
    assert len(own[1]) > 100
    for moment in own[1]:
        folder = tmp_path / moment.name
        folder.mkdir()
        goes_on(moment, own, folder)


def test_a_table_that_was_to_stand_for_another_is_no_hindrance(own, tmp_path):
    half = next(moment for moment in own[1] if "_alembic_tmp_" in str(content(moment / "mlflow.db")))
    goes_on(half, own, tmp_path)


def test_a_journal_without_its_database_spoils_nothing(own, tmp_path):
    (tmp_path / "mlflow.db-journal").write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + bytes(600))
    prepare_tables(tmp_path / "mlflow.db")
    assert schema(tmp_path / "mlflow.db") == schema(own[0])


def test_tables_at_the_newest_revision_are_left_alone(own, tmp_path):
    file = tmp_path / "mlflow.db"
    shutil.copy(own[0], file)
    before = file.stat()
    prepare_tables(file)
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


def test_old_tables_are_upgraded_with_what_is_in_them(old):
    prepare_tables(old)
    assert names_of_runs(old) == ["r"]
    with closing(sqlite3.connect(old)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == (mlflow_revisions()[0],)
    assert {path.name for path in old.parent.iterdir()} <= {"mlflow.db", "mlflow.db.lock"}


def test_an_upgrade_that_breaks_off_leaves_the_file_as_it_was(old, monkeypatch):
    before = content(old)
    made = tables.make_mlflow_tables

    def breaks_off(connection):
        made(connection)
        raise OSError("the power is gone")

    monkeypatch.setattr(tables, "make_mlflow_tables", breaks_off)
    with pytest.raises(OSError, match="power"):
        prepare_tables(old)
    assert content(old) == before
    monkeypatch.undo()
    prepare_tables(old)
    assert names_of_runs(old) == ["r"]


def test_an_upgrade_in_place_that_was_cut_off_goes_on(old):
    with closing(sqlite3.connect(old)) as connection, connection:
        connection.execute("CREATE TABLE _alembic_tmp_runs (run_uuid VARCHAR(32))")
    prepare_tables(old)
    assert names_of_runs(old) == ["r"]


def test_one_that_cannot_go_on_is_told(old):
    with closing(sqlite3.connect(old)) as connection, connection:
        connection.execute("ALTER TABLE tags RENAME TO _alembic_tmp_tags")
    before = content(old)
    with pytest.raises(TrackingError, match=r"was cut off, and cannot be gone on with: restore a backup"):
        prepare_tables(old)
    assert content(old) == before


def test_what_others_write_while_the_tables_are_upgraded_is_not_lost(old, monkeypatch):
    made, calls = tables.make_mlflow_tables, []

    def while_another_writes(connection):
        if not calls:
            with closing(sqlite3.connect(old)) as other, other:
                other.execute(NEW_RUN, ["s"])
        calls.append(1)
        made(connection)

    monkeypatch.setattr(tables, "make_mlflow_tables", while_another_writes)
    prepare_tables(old)
    assert len(calls) == 2
    assert names_of_runs(old) == ["r", "s"]


def test_tables_of_a_newer_release_are_left_alone_and_told(own, tmp_path):
    file = tmp_path / "mlflow.db"
    shutil.copy(own[0], file)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'ffff'")
    with pytest.raises(TrackingError, match=r"of a newer MLflow \(revision ffff\): install that one"):
        prepare_tables(file)


def test_a_file_that_is_no_database_is_told_as_such(tmp_path):
    file = tmp_path / "mlflow.db"
    file.write_bytes(b"garbage" * 1000)
    with pytest.raises(TrackingError, match=r"mlflow\.db is damaged: restore a backup .* or delete the file: runs"):
        connect(f"sqlite:///{file}")
    assert file.read_bytes() == b"garbage" * 1000


def test_a_file_in_which_others_keep_tables_gets_mlflows_beside_them(tmp_path):
    file = tmp_path / "shared.db"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE TABLE theirs (n INTEGER)")
        connection.execute("INSERT INTO theirs VALUES (5)")
    connect(f"sqlite:///{file}")
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT n FROM theirs").fetchall() == [(5,)]
