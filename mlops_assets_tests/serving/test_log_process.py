"""The process that writes the prediction log: alive while it is needed, replaced when it dies, gone with the server."""

import os
import signal
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from mlops_assets.errors import StorageError
from mlops_assets.serving.log_process import AnsweredRequest, LogProcess


@pytest.fixture
def project(copy):
    return copy.project()


@pytest.fixture
def writer(project):
    writer = LogProcess(project)
    yield writer
    writer.close()


def answered(number, days=0):
    at = datetime.now(UTC) - timedelta(days=days)
    return AnsweredRequest(
        f"{number:032x}", at, 7, [{"zone": 1}, {"size": 2.5}], [1.0, 2.0], [0.5, 1.5], [1.5, float("nan")]
    )


def test_it_writes_what_it_is_given(project, writer):
    writer.add([answered(1), answered(2)])
    [rows] = project.prediction_log.read(datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
    told = [(int(row.request_id), row.row, row.model_version) for row in rows]
    assert told == [(1, 0, 7), (1, 1, 7), (2, 0, 7), (2, 1, 7)]
    assert (rows[1].inputs, rows[1].prediction, rows[1].low) == ({"size": 2.5}, 2.0, 1.5)
    assert rows[1].high != rows[1].high


def test_the_same_request_again_is_kept_once(project, writer):
    writer.add([answered(1)])
    writer.add([answered(1), answered(2)])
    assert project.prediction_log.count() == 4


def test_it_forgets(project, writer):
    writer.add([answered(1, days=20), answered(2)])
    writer.forget(datetime.now(UTC) - timedelta(days=10))
    assert project.prediction_log.count() == 2


def test_one_that_was_killed_is_told_of_once_and_replaced(project, writer):
    writer.add([answered(1)])
    os.kill(writer._process.pid, signal.SIGKILL)
    with pytest.raises(StorageError, match="has died; another one is started"):
        writer.add([answered(2)])
    writer.add([answered(2)])
    assert project.prediction_log.count() == 4


def test_signals_for_the_server_do_not_end_it(project, writer):
    writer.add([answered(1)])
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(writer._process.pid, number)
    writer.add([answered(2)])
    assert project.prediction_log.count() == 4


def test_closed_it_ends(writer):
    writer.add([answered(1)])
    process = writer._process
    writer.close()
    assert process.returncode == 0


def test_what_its_database_says_comes_back(project, writer):
    writer.add([answered(1)])
    with closing(sqlite3.connect(project.home / "mlops.db")) as database, database:
        database.execute("DROP TABLE prediction_log")
    with pytest.raises(StorageError, match="no such table: prediction_log"):
        writer.add([answered(2)])
