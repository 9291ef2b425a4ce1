"""The prediction log: what goes in comes out, once, by the time of asking or of the event."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mlops_assets.errors import StorageError
from mlops_assets.resources.databases import prediction_log
from mlops_assets.resources.databases.database import Database
from mlops_assets.resources.databases.prediction_log import Extent, LoggedRow, PredictionLog

NOON = datetime(2024, 3, 10, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
INPUTS = {"at": "2024-03-10T09:00:00", "town": "Ay", "zone": 3, "size": 2.5}


def logged(request="r", row=0, asked=NOON, **inputs):
    return LoggedRow(request, row, asked, 7, INPUTS | inputs, 12.5, 10.0, 15.0)


@pytest.fixture
def open_log(database_url, make_spec):
    return lambda **changes: PredictionLog(Database(database_url), make_spec(**changes))


@pytest.fixture
def log(open_log):
    return open_log()


def everything(log):
    return [row for chunk in log.read_events(None, None) for row in chunk]


def test_rows_come_out_as_they_went_in(log):
    rows = [logged("b"), logged("a", 1, NOON - HOUR, town="Zoë \x00", zone=None), logged("a", 0, NOON - HOUR)]
    log.add(rows)
    assert everything(log) == [rows[2], rows[1], rows[0]]


def test_a_row_that_is_added_again_stays_as_it_was(log):
    log.add([logged()])
    log.add([replace(logged(), prediction=99.0), logged(row=1)])
    assert [(row.row, row.prediction) for row in everything(log)] == [(0, 12.5), (1, 12.5)]


def test_either_all_rows_are_added_or_none(log):
    with pytest.raises(StorageError):
        log.add([logged(), replace(logged(row=1), prediction=None)])
    assert log.count() == 0
    log.add([])


def test_an_answer_without_an_interval_has_none_when_it_is_read(log):
    log.add([replace(logged(size=math.nan), low=math.nan, high=math.nan)])
    (row,) = everything(log)
    assert math.isnan(row.low) and math.isnan(row.high)
    assert row.inputs["size"] is None


def test_reading_takes_the_start_and_leaves_the_end(log):
    log.add([logged(str(hour), asked=NOON + hour * HOUR) for hour in range(4)])
    chunks = list(log.read(NOON + HOUR, NOON + 3 * HOUR, chunk_rows=1))
    assert [[row.request_id for row in chunk] for chunk in chunks] == [["1"], ["2"]]


def requests(chunks):
    return [row.request_id for chunk in chunks for row in chunk]


def test_events_are_found_by_the_wall_clock_of_their_time(open_log, tiny):
    berlin = {"type": "time", "timezone": "Europe/Berlin"}
    log = open_log(columns=tiny["columns"] | {"at": berlin})
    times = {"naive": "2024-03-31T23:30:00", "utc": "2024-03-31T22:30:00Z", "west": "2024-03-31T17:00:00-06:00"}
    log.add([logged(name, asked=NOON + 90 * DAY, at=told) for name, told in times.items()])
    assert requests(log.read_events(datetime(2024, 3, 1), datetime(2024, 4, 1))) == ["naive"]
    assert requests(log.read_events(datetime(2024, 4, 1), None)) == ["utc", "west"]
    assert requests(log.read_events(None, datetime(2024, 4, 1, 1))) == ["naive", "utc"]


def test_the_moment_of_asking_stands_for_the_time_of_an_event_that_is_not_told(open_log, tiny):
    features = {"categorical": ["zone"], "numeric": {"size": {}}}  # the time is no input
    log = open_log(features=features)
    log.add([logged("march"), logged("april", asked=NOON + 30 * DAY)])
    assert requests(log.read_events(datetime(2024, 3, 1), datetime(2024, 4, 1))) == ["march"]
    log = open_log()
    log.add([logged("empty", asked=NOON + 60 * DAY, at=None)])
    assert requests(log.read_events(datetime(2024, 5, 1), None)) == ["empty"]


def test_the_extent_grows_with_each_row_and_tells_where_none_is(log):
    extents = [log.extent(None, None)]
    for row in (logged("a"), logged("b"), logged("c", asked=NOON + HOUR)):
        log.add([row])
        extents.append(log.extent(datetime(2024, 3, 1), datetime(2024, 4, 1)))
    assert extents == sorted(set(extents))
    assert extents[0] == Extent() == log.extent(datetime(2024, 4, 1), None)


def test_datasets_that_share_a_database_do_not_see_each_other(log, open_log):
    log.add([logged()])
    other = open_log(name="other")
    assert (other.count(), everything(other), other.forget(NOON + DAY)) == (0, [], 0)
    assert log.count() == 1


def test_what_is_old_is_forgotten_a_part_at_a_time(log, monkeypatch):
    monkeypatch.setattr(prediction_log, "FORGET_ROWS", 3)
    log.add([logged("many", number) for number in range(5)])  # asked in the same moment
    log.add([logged(str(hour), asked=NOON + hour * HOUR) for hour in range(1, 6)])
    assert log.forget(NOON + 4 * HOUR) == 8
    assert requests(log.read(NOON, NOON + DAY)) == ["4", "5"]
    assert log.forget(NOON) == 0


def test_a_database_that_cannot_be_used_is_a_storage_error(tmp_path, make_spec):
    (tmp_path / "mlops.db").write_text("this is no database, and long enough to be seen as none " * 20)
    log = PredictionLog(Database(f"sqlite:///{tmp_path / 'mlops.db'}"), make_spec())
    for use in (lambda: log.add([logged()]), log.count, lambda: list(log.read(NOON, NOON + DAY))):
        with pytest.raises(StorageError, match="mlops.db"):
            use()
