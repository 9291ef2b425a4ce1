"""Feeds: a store is read once, then only what is new; a store that fails costs nothing that was read before."""

from threading import Event

import pandas as pd
import pytest

from mlops_assets.dashboards.sources import feeds
from mlops_assets.dashboards.sources.feeds import Derived, Feed, Snapshot
from mlops_assets.dashboards.sources.source import columns
from mlops_assets.errors import TrackingError

COLUMNS = columns(id="text: Which.", time="time: When.", size="number: How much.")


def row(number, size=1.0):
    return {"id": str(number), "time": f"2024-01-{number:02}T00:00:00Z", "size": size}


class Store:
    """Pages of rows to give, newest first; what was known at each look is remembered."""

    def __init__(self, *pages):
        self.pages, self.known, self.failure, self.gate = list(pages), [], None, None

    def read(self, known):
        self.known.append(list(known["id"]))
        for page in self.pages:
            yield page
            if self.gate:
                self.gate.wait()
        if self.failure:
            raise self.failure


@pytest.fixture(autouse=True)
def no_rest(monkeypatch):
    monkeypatch.setattr(feeds, "REST_SECONDS", 0)


@pytest.fixture
def make_feed():
    return lambda store, most=10, **given: Feed("test", store.read, COLUMNS, most=most, **given)


def ids(feed):
    return list(feed.reading(patience=30).frame["id"])


def test_rows_are_in_the_order_of_time_whatever_the_order_of_pages(make_feed):
    assert ids(make_feed(Store([row(3), row(2)], [row(1)]))) == ["1", "2", "3"]


def test_the_second_look_knows_what_the_first_has_read(make_feed):
    store = Store([row(1), row(2)])
    feed = make_feed(store)
    ids(feed)
    store.pages = [[row(3)]]
    assert ids(feed) == ["1", "2", "3"]
    assert store.known == [[], ["1", "2"]]


def test_a_row_that_is_read_again_replaces_itself(make_feed):
    store = Store([row(1, size=1)])
    feed = make_feed(store)
    ids(feed)
    store.pages = [[row(1, size=5)]]
    assert list(feed.reading(30).frame["size"]) == [5]


def test_the_table_is_the_same_object_while_nothing_changes(make_feed):
    store = Store([row(1)])
    feed = make_feed(store)
    first = feed.reading(30).frame
    assert feed.reading(30).frame is first  # though the row was read again


def test_only_the_newest_rows_are_kept(make_feed):
    assert ids(make_feed(Store([row(3), row(2), row(1)]), most=2)) == ["2", "3"]


def test_a_chart_does_not_wait_for_a_long_first_look(make_feed):
    store = Store([row(2)], [row(1)])
    store.gate = Event()
    feed = make_feed(store)
    reading = feed.reading(patience=0)
    assert not reading.complete
    store.gate.set()
    assert feed.reading(30).complete
    assert ids(feed) == ["1", "2"]


def test_without_any_row_an_error_is_raised(make_feed):
    store = Store()
    store.failure = TrackingError("MLflow is away")
    with pytest.raises(TrackingError, match="away"):
        make_feed(store).reading(30)


def test_rows_that_were_read_stay_while_the_store_is_away(make_feed):
    store = Store([row(1)])
    feed = make_feed(store)
    ids(feed)
    store.pages, store.failure = [], TrackingError("MLflow is away")
    reading = feed.reading(30)
    assert (list(reading.frame["id"]), str(reading.failure)) == (["1"], "MLflow is away")
    store.failure = None
    assert feed.reading(30).failure is None


def test_a_first_look_that_was_cut_off_begins_again(make_feed):
    store = Store([row(3)])
    store.failure = TrackingError("cut off")
    feed = make_feed(store)
    assert ids(feed) == ["3"]
    store.pages, store.failure = [[row(3)], [row(2)]], None
    assert ids(feed) == ["2", "3"]
    assert store.known == [[], []]


def test_what_was_deleted_in_the_store_is_gone_once_all_is_forgotten(make_feed):
    store = Store([row(1), row(2)])
    feed = make_feed(store)
    ids(feed)
    store.pages = [[row(2)]]
    feed.forget()
    assert ids(feed) == ["2"]


def test_a_snapshot_lets_the_next_feed_go_on(make_feed, tmp_path):
    snapshot = Snapshot(tmp_path, "test", "sqlite:///one.db", COLUMNS)
    ids(make_feed(Store([row(1)]), snapshot=snapshot))
    store = Store([row(2)])
    assert ids(make_feed(store, snapshot=snapshot)) == ["1", "2"]
    assert store.known == [["1"]]


def test_a_snapshot_is_of_one_store_and_one_set_of_columns(make_feed, tmp_path):
    ids(make_feed(Store([row(1)]), snapshot=Snapshot(tmp_path, "test", "one", COLUMNS)))
    assert Snapshot(tmp_path, "test", "another", COLUMNS).read() is None
    assert Snapshot(tmp_path, "test", "one", COLUMNS[:2]).read() is None


@pytest.mark.parametrize("foreign", [False, True])
def test_a_snapshot_that_is_damaged_or_foreign_is_read_again_from_the_store(make_feed, tmp_path, foreign):
    snapshot = Snapshot(tmp_path, "test", "one", COLUMNS)
    ids(make_feed(Store([row(1)]), snapshot=snapshot))
    if foreign:
        pd.DataFrame({"other": [1]}).to_parquet(snapshot.path)
    else:
        snapshot.path.write_bytes(b"not a table")
    assert ids(make_feed(Store([row(1), row(2)]), snapshot=snapshot)) == ["1", "2"]


def test_a_snapshot_that_cannot_be_written_is_told_and_holds_up_no_row(make_feed, tmp_path):
    (tmp_path / "no folder").write_text("")
    feed = make_feed(Store([row(1)]), snapshot=Snapshot(tmp_path / "no folder", "test", "one", COLUMNS))
    reading = feed.reading(30)
    assert list(reading.frame["id"]) == ["1"] and isinstance(reading.failure, OSError)


def test_the_name_of_a_snapshot_tells_no_password(tmp_path):
    snapshot = Snapshot(tmp_path, "test", "postgresql://me:secret@host/db", COLUMNS)
    assert "secret" not in str(snapshot.path)


def test_what_is_derived_is_made_again_only_for_new_rows(make_feed):
    store, made = Store([row(1)]), []
    feed = make_feed(store)
    derived = Derived(lambda frame: made.append(len(frame)) or frame, lambda: feed.reading(30))
    derived.reading(), derived.reading()
    store.pages = [[row(2)]]
    derived.reading()
    assert made == [1, 2]
