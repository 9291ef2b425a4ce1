"""The store: edits and layouts survive, one dataset's beside another's."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from mlops_assets.dashboards.boards import BoardFile
from mlops_assets.dashboards.library import BoardStore, Place
from mlops_assets.resources.databases.database import Database


@pytest.fixture
def database(database_url):
    return Database(database_url)


@pytest.fixture
def store(database):
    return BoardStore(database, "shop")


def test_an_edit_is_kept_replaced_and_forgotten(store):
    store.save_edit(BoardFile("mine", "one"))
    store.save_edit(BoardFile("mine", "two"))
    assert store.edits() == {"mine": BoardFile("mine", "two")}
    store.forget_edit("mine")
    assert store.edits() == {}


def test_a_layout_is_kept_by_page_and_breakpoint(store):
    store.save_layout("overview", "wide", {"rmse": Place(0, 1, 2, 3)})
    store.save_layout("overview", "medium", {"rmse": Place(1, 1, 1, 1)})
    store.save_layout("model", "wide", {"rmse": Place(9, 9, 3, 3)})
    assert store.layouts("overview") == {"wide": {"rmse": Place(0, 1, 2, 3)}, "medium": {"rmse": Place(1, 1, 1, 1)}}
    store.forget_layout("overview")
    assert (store.layouts("overview"), len(store.layouts("model"))) == ({}, 1)


def test_a_layout_without_a_moved_chart_leaves_no_row(store):
    store.save_layout("overview", "wide", {"rmse": Place(0, 1, 2, 3)})
    store.save_layout("overview", "wide", {})
    assert store.layouts("overview") == {}


def test_of_two_who_save_at_once_one_wins_whole(store):
    layouts = [{name: Place(number, number, 2, 3) for name in ("rmse", "runs")} for number in range(8)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda moved: store.save_layout("overview", "wide", moved), layouts))
        list(threads.map(lambda number: store.save_edit(BoardFile("mine", str(number))), range(8)))
    assert store.layouts("overview")["wide"] in layouts
    assert store.edits()["mine"].text in "01234567"


def test_datasets_that_share_a_database_have_dashboards_of_their_own(store, database):
    other = BoardStore(database, "taxi")
    store.save_edit(BoardFile("mine", "shop's"))
    other.save_edit(BoardFile("mine", "taxi's"))
    other.save_layout("overview", "wide", {"rmse": Place(0, 0, 1, 1)})
    assert store.edits()["mine"].text == "shop's"
    assert store.layouts("overview") == {}
