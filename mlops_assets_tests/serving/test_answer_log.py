"""The prediction log's writer: what was answered is in the database a moment later, and that never costs an answer."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from mlops_assets.errors import StorageError
from mlops_assets.resources.databases.database import Database
from mlops_assets.resources.databases.prediction_log import PredictionLog
from mlops_assets.serving.answer_log import MOST_WAITING, TRIES, AnswersLog
from mlops_assets.serving.log_process import AnsweredRequest
from mlops_assets.serving.metrics import Metrics
from mlops_assets_tests.serving.served import serving, wait_until

LONG_AGO, FAR_AHEAD = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
ROW = {"zone": 3, "size": 42.5}


def logged(project):
    return [row for chunk in project.prediction_log.read(LONG_AGO, FAR_AHEAD) for row in chunk]


def test_every_answer_is_logged_with_its_rows_and_the_version_that_gave_it(copy):
    with serving(copy) as served:
        one = served.client.post("/predict", json=ROW).json()
        few = served.client.post("/predict", json=[ROW, ROW | {"zone": 5}]).json()
        served.client.post("/predict", json={"size": "wrong"})
        many = served.client.post("/predict?explain=true", json=[ROW] * 70).json()
    rows = logged(served.project)
    ids = [one["request_id"], *[few["request_id"]] * 2, *[many["request_id"]] * 70]
    assert [row.request_id for row in rows] == ids
    assert {row.model_version for row in rows} == {one["model"]["version"]}
    own = {(row.request_id, row.row): row for row in rows}
    second = own[few["request_id"], 1]
    assert second.inputs == ROW | {"zone": 5}
    assert second.prediction == few["predictions"][1]["prediction"]
    assert (second.low, second.high) == tuple(few["predictions"][1]["interval"].values())
    assert own[one["request_id"], 0].inputs == ROW


def test_of_a_row_that_is_refused_the_log_keeps_nothing(copy):
    with serving(copy) as served:
        for row in ({"zone": 3}, ROW | {"zone": "x" * 1_000_000}):
            assert served.client.post("/predict", json=row).status_code == 422
        assert served.client.post("/predict", json=ROW).status_code == 200
    assert [row.inputs for row in logged(served.project)] == [ROW]


def test_a_database_that_is_locked_holds_up_no_answer_and_gets_its_rows_later(copy):
    with serving(copy) as served:
        served.client.post("/predict", json=ROW)
        log = served.app.state.predict.answers_log
        wait_until(lambda: not log.waiting_rows)
        with closing(sqlite3.connect(served.project.home / "mlops.db", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            answers = [served.client.post("/predict", json=ROW).status_code for _ in range(50)]
            assert log.waiting_rows == 50
            other.execute("ROLLBACK")
    assert answers == [200] * 50
    assert len(logged(served.project)) == 51


def test_a_database_that_is_gone_costs_rows_of_the_log_which_are_counted(copy, tmp_path, caplog):
    (tmp_path / "file").touch()
    with serving(copy, MLOPS_DATABASE_URL=f"sqlite:///{tmp_path}/file/mlops.db") as served:
        many = [ROW] * (MOST_WAITING // 2)
        statuses = [served.client.post("/predict", json=many).status_code for _ in range(3)]
        text = served.client.get("/metrics").text
    assert statuses == [200, 200, 200]
    assert f'mlops_logged_rows_total{{outcome="dropped"}} {len(many)}.0' in text
    assert "the prediction log cannot be written" in caplog.text
    assert f"{2 * len(many)} answered rows are not in the prediction log" in caplog.text


def test_a_password_of_the_database_is_in_no_message(copy, caplog):
    url = "postgresql://teller:hush-hush@127.0.0.1:1/nothing"
    with serving(copy, MLOPS_DATABASE_URL=url, MLOPS_TRACKING_URI=f"sqlite:///{copy.folder}/mlflow.db") as served:
        served.client.post("/predict", json=ROW)
    assert "the prediction log cannot be written" in caplog.text
    assert "hush-hush" not in caplog.text


class InThread:
    """A writer that uses the project's log itself, and whose database refuses some rows for ever."""

    def __init__(self, log):
        self.log = log

    def add(self, part):
        if any(row.get("size") == -1 for answered in part for row in answered.rows):
            raise StorageError("no such rows")
        self.log.add([row for answered in part for row in answered.logged()])

    def forget(self, before):
        self.log.forget(before)


@pytest.fixture
def kept(shop, tmp_path):
    return PredictionLog(Database(f"sqlite:///{tmp_path}/log.db"), shop.project().spec)


def answered(number, days=0, **inputs):
    at = datetime.now(UTC) - timedelta(days=days)
    return AnsweredRequest(f"{number:032x}", at, 1, [inputs], [1.0], [0.5], [float("nan")])


def test_what_the_database_refuses_for_ever_does_not_hold_up_what_follows(kept):
    metrics = Metrics()
    log = AnswersLog(InThread(kept), 0, metrics)
    for number in range(5):
        log.put(answered(number, size=-1 if number == 1 else number))
    for _ in range(TRIES + 1):
        log.write()
    assert kept.count() == 4
    assert 'outcome="dropped"} 1.0' in metrics.text().decode()


def test_rows_older_than_the_settings_keep_them_are_forgotten(kept):
    log = AnswersLog(InThread(kept), keep_days=10, metrics=Metrics())
    for number, days in enumerate((0, 9, 11, 500)):
        log.put(answered(number, days, size=1.0))
    log.write()
    log.forget()
    assert kept.count() == 2
