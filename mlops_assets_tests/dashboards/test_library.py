"""The library: files, edits above them, and what is wrong costs nothing but its own pages."""

import pytest

from mlops_assets.dashboards.boards import SHIPPED, BoardFile
from mlops_assets.dashboards.library import BoardStore, Library
from mlops_assets.errors import SpecError
from mlops_assets.resources.databases.database import Database

MINE = """
title: Mine
position: 1
charts:
  sizes: {title: Sizes, source: things, type: line, metrics: [{aggregation: sum, column: size}]}
"""


@pytest.fixture
def library(tmp_path, make_source, monkeypatch):
    """A library of one file and one source, without the shipped dashboards."""
    monkeypatch.setattr("mlops_assets.dashboards.boards.SHIPPED", tmp_path / "none")
    (tmp_path / "boards").mkdir()
    (tmp_path / "boards" / "mine.yaml").write_text(MINE)
    store = BoardStore(Database(f"sqlite:///{tmp_path / 'own.db'}"), "shop")
    return Library(tmp_path / "boards", store, {"things": make_source()})


@pytest.fixture
def refusal(library):
    """A function that gives why a changed file is refused."""

    def refuse(old, new):
        with pytest.raises(SpecError) as caught:
            library.check(BoardFile("mine", MINE.replace(old, new)))
        return str(caught.value)

    return refuse


def test_there_are_dashboards_to_ship():
    names = {path.stem for path in SHIPPED.glob("*.yaml")}
    assert names == {"overview", "pipeline", "model", "classes", "data", "predictions", "backtest"}


def test_an_edit_stands_above_its_file_until_it_is_reset(library):
    library.save(BoardFile("mine", MINE.replace("Mine", "Edited")))
    assert library.is_edited("mine")
    assert [page.board.title for page in library.page_list().pages] == ["Edited"]
    library.reset("mine")
    assert [page.board.title for page in library.page_list().pages] == ["Mine"]


def test_a_dashboard_made_in_the_browser_is_gone_when_it_is_reset(library):
    library.save(BoardFile("new", MINE))
    assert library.is_own("new") and not library.is_own("mine")
    assert {page.slug for page in library.page_list().pages} == {"mine", "new"}
    library.reset("new")
    assert {page.slug for page in library.page_list().pages} == {"mine"}


def test_a_wrong_file_loses_its_own_pages_and_is_told_of(library, tmp_path):
    (tmp_path / "boards" / "wrong.yaml").write_text("title: Wrong")
    page_list = library.page_list()
    assert [page.slug for page in page_list.pages] == ["mine"]
    assert list(page_list.problems) == ["wrong"]


def test_a_wrong_edit_is_passed_over_for_its_file(library):
    library._store.save_edit(BoardFile("mine", "title: what an older version had let pass"))
    page_list = library.page_list()
    assert [page.board.title for page in page_list.pages] == ["Mine"]
    assert "mine.yaml: key charts" in page_list.problems["mine"]


def test_a_wrong_edit_is_not_saved(library):
    with pytest.raises(SpecError):
        library.save(BoardFile("mine", "title: x"))
    assert not library.is_edited("mine")


def test_two_files_do_not_make_the_same_page(library):
    pages = "pages: {mine: {a: 1}}"
    with pytest.raises(SpecError, match="other.yaml: there is a page named 'mine' already"):
        library.save(BoardFile("other", MINE + pages))


def test_a_file_that_changes_shows_at_the_next_look(library, tmp_path):
    library.page_list()
    (tmp_path / "boards" / "mine.yaml").write_text(MINE.replace("Mine", "Changed"))
    assert library.page_list().pages[0].board.title == "Changed"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("source: things", "source: thing", "key source: 'thing' is not a source: did you mean things?"),
        ("column: size", "column: sizes", "key metrics: 'sizes' is not a column of things: did you mean size?"),
        ("type: line", "type: line, x: colour", "key x: 'colour' is not a column of things"),
        ("type: line", "type: line, group_by: [kinds]", "key group_by: 'kinds' is not a column of things"),
        ("type: line", "type: line, filters: {more: a}", "key filters: 'more' is not a column of things"),
        ("column: size", "column: kind", "key metrics: sum needs a number, and kind is a text"),
        ("sum, column: size", "share, column: size", "key metrics: share needs a flag, and size is a number"),
        ("type: line", "type: bar, x: kind, order: -sized", "key order: 'sized' is not a column or metric"),
        ("type: line", "type: custom, plot: parallel", "key plot: 'parallel' is not a registered plot"),
    ],
)
def test_what_cannot_be_drawn_is_refused_with_chart_and_key(refusal, old, new, message):
    assert f"mine.yaml: chart sizes, {message}" in refusal(old, new)


@pytest.mark.parametrize(("predicts", "slugs"), [("classes", ["mine"]), ("numbers", [])])
def test_a_page_for_classes_is_there_where_the_target_has_some(library, predicts, slugs):
    library.save(BoardFile("mine", MINE + "predicts: classes\n"))
    other = Library(library._folder, library._store, library._sources, predicts)
    assert [page.slug for page in other.page_list().pages] == slugs
