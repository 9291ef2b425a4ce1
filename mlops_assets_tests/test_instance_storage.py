"""Dagster's records in SQLite: whole after a kill while they were made; a full disk or damage is told as such."""

import errno
import os
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from queue import Queue

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.events import DagsterEvent
from dagster._serdes import ConfigurableClassData

from mlops_assets import instance_storage
from mlops_assets.compat import sqlite_storage
from mlops_assets.errors import StorageError
from mlops_assets.instance import open_instance
from mlops_assets.instance_storage import open_sqlite
from mlops_assets_tests.homes import Home

DATA = ConfigurableClassData("mlops_assets.instance_storage", "ProjectStorage", "{}\n")
FILES = ("history/runs.db", "history/runs/index.db", "schedules/schedules.db")


def message(run_id, text, event=None):
    return dg.EventLogEntry(
        error_info=None, level=20, user_message=text, run_id=run_id, timestamp=1e9, dagster_event=event
    )


def files_of(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def works(folder):
    """Whether what Dagster asks of each database is answered."""
    storage = open_sqlite(folder, DATA)
    runs = storage.run_storage.get_runs()
    events = storage.event_log_storage.has_asset_key(dg.AssetKey("rows"))
    storage.schedule_storage.all_instigator_state()
    storage.dispose()
    return runs == [] and events is False


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    open_sqlite(folder, DATA).dispose()
    return folder


@pytest.fixture
def home(tmp_path, monkeypatch):
    home = Home(tmp_path / "home")
    for name, value in home.env.items():
        monkeypatch.setenv(name, value)
    return home


def test_all_three_databases_are_made_and_nothing_is_left_beside_them(whole):
    assert files_of(whole) == {*FILES, "storage.lock"}
    assert works(whole)


def test_files_of_the_runs_used_last_stay_open_and_no_more(tmp_path):
    storage = open_sqlite(tmp_path, DATA)
    log = storage.event_log_storage

    def still_open():
        """Files whose connection is open: each has a log beside it."""
        return {path.stem for path in tmp_path.rglob("*.db-wal")}

    runs = [f"00000000-0000-0000-0000-{number:012}" for number in range(instance_storage.OPEN + 3)]
    log.get_maximum_record_id()
    for run_id in runs:
        log.get_logs_for_run(run_id)
    assert still_open() == {instance_storage.INDEX, *runs[1 - instance_storage.OPEN :]}
    storage.dispose()
    assert not still_open()


def test_who_watches_a_run_is_told_of_events_while_their_file_is_open_elsewhere(tmp_path):
    writer, reader = (open_sqlite(tmp_path, DATA).event_log_storage for _ in range(2))
    run_id, seen = "00000000-0000-0000-0000-000000000001", Queue()
    writer.store_event(message(run_id, "before"))
    reader.watch(run_id, None, lambda event, cursor: seen.put(event.user_message))
    try:
        for text in ("first", "second"):
            writer.store_event(message(run_id, text))
            while seen.get(timeout=60) != text:
                pass
    finally:
        reader.dispose()
        writer.dispose()


def test_an_event_of_a_check_is_written_in_one_transaction_of_the_index(tmp_path):
    log = open_sqlite(tmp_path, DATA).event_log_storage
    begun = []
    with log.index_connection() as connection:
        sa.event.listen(connection.engine, "begin", begun.append)
    check = dg.AssetCheckEvaluation(dg.AssetKey("rows"), "complete", True, {})
    event = DagsterEvent("ASSET_CHECK_EVALUATION", "rows", event_specific_data=check)
    log.store_event(message("00000000-0000-0000-0000-000000000001", "checked", event))
    log.dispose()
    assert len(begun) == 1


@pytest.mark.parametrize("left", range(len(FILES) + 1))
def test_a_kill_between_two_of_them_costs_nothing(tmp_path, monkeypatch, left):
    move, moved = instance_storage.move_database, []

    def until(beside, place):
        if len(moved) == left:
            raise KeyboardInterrupt
        moved.append(place)
        move(beside, place)

    monkeypatch.setattr(instance_storage, "move_database", until)
    if left < len(FILES):
        with pytest.raises(KeyboardInterrupt):
            open_sqlite(tmp_path, DATA)
    monkeypatch.undo()
    assert works(tmp_path)
    assert files_of(tmp_path) == {*FILES, "storage.lock"}


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("how_far", ["empty", "tables without a revision", "a revision without the first pages"])
def test_one_that_was_half_made_in_its_place_is_made_again(whole, tmp_path, file, how_far):
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    if how_far == "empty":
        (tmp_path / file).write_bytes(b"")
    else:
        table = "alembic_version" if how_far.startswith("tables") else "secondary_indexes"
        with closing(sqlite3.connect(tmp_path / file)) as connection, connection:
            connection.execute(f"DELETE FROM {table}")
    assert works(tmp_path)
    with closing(sqlite3.connect(tmp_path / file)) as connection:
        for table in ("alembic_version", "secondary_indexes"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() > (0,)


def test_one_that_holds_something_is_left_as_it_is(tmp_path):
    storage = sqlite_storage(str(tmp_path), DATA)
    storage.run_storage.add_run(dg.DagsterRun(job_name="kept"))
    storage.dispose()
    with closing(sqlite3.connect(tmp_path / "history/runs.db")) as connection, connection:
        connection.execute("DELETE FROM secondary_indexes")
    storage = open_sqlite(tmp_path, DATA)
    assert [run.job_name for run in storage.run_storage.get_runs()] == ["kept"]
    storage.dispose()


@pytest.mark.parametrize(
    ("file", "advice"),
    [
        ("history/runs.db", r"history/runs\.db is damaged: restore a backup .*, or delete \S*/history: the history"),
        ("history/runs/index.db", r"index\.db is damaged: restore a backup .*, or delete \S*/history: the history"),
        ("schedules/schedules.db", r"schedules\.db is damaged: restore a backup .*, or delete the file: what"),
    ],
)
def test_damage_is_told_with_what_to_do(home, file, advice):
    with open_instance(home.project()):
        pass
    damaged = home.folder / "nyc_flights/dagster" / file
    damaged.write_bytes(b"no database" * 1000)
    with pytest.raises(StorageError, match=advice), open_instance(home.project()) as instance:
        instance.get_runs()


def test_a_full_disk_is_named(home):
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL
    with pytest.raises(StorageError, match=r"the disk at / is full \([\d,]+ MB free\): make room"):
        with open_instance(home.project()):
            raise full


def event(run_id, message):
    return dg.EventLogEntry(None, "info", message, run_id, 1_700_000_000.0)


def test_the_events_of_a_run_are_kept_in_a_file_of_its_own_that_dagster_itself_can_read(tmp_path):
    storage = open_sqlite(tmp_path, DATA)
    for run_id in ("one", "two", "one"):
        storage.event_log_storage.store_event(event(run_id, f"of {run_id}"))
    storage.dispose()
    assert {file.name for file in (tmp_path / "history/runs").glob("*.db")} == {"one.db", "two.db", "index.db"}
    assert not list((tmp_path / "history").glob(".run.*"))
    again = sqlite_storage(str(tmp_path), DATA)
    assert [entry.user_message for entry in again.event_log_storage.get_logs_for_run("one")] == ["of one", "of one"]
    again.dispose()


def test_a_file_that_dagster_itself_has_made_goes_on(tmp_path):
    before = sqlite_storage(str(tmp_path), DATA)
    before.event_log_storage.store_event(event("one", "before"))
    before.dispose()
    storage = open_sqlite(tmp_path, DATA)
    storage.event_log_storage.store_event(event("one", "after"))
    assert [entry.user_message for entry in storage.event_log_storage.get_logs_for_run("one")] == ["before", "after"]
    storage.dispose()


def test_two_who_begin_the_same_run_lose_no_event(tmp_path):
    first, second = open_sqlite(tmp_path, DATA), open_sqlite(tmp_path, DATA)
    with ThreadPoolExecutor() as pool:
        stores = [storage.event_log_storage for storage in (first, second) * 4]
        list(pool.map(lambda store: store.store_event(event("one", "told")), stores))
    assert len(list(first.event_log_storage.get_logs_for_run("one"))) == 8
    for storage in (first, second):
        storage.dispose()


def test_where_a_file_system_has_no_links_dagster_makes_the_file_itself(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", fail)
    storage = open_sqlite(tmp_path, DATA)
    storage.event_log_storage.store_event(event("one", "told"))
    assert [entry.user_message for entry in storage.event_log_storage.get_logs_for_run("one")] == ["told"]
    storage.dispose()
