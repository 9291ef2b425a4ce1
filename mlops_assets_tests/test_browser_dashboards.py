"""Dashboards as people use them: looked at, moved, edited and downloaded, light and dark, on a desk and on a phone."""

from itertools import product

import httpx
import pytest

from mlops_assets.dashboards.library import BoardStore
from mlops_assets_tests.board_pages import (
    MARKS,
    Boards,
    card,
    comes_to,
    corner,
    drag,
    place,
    reload,
    wait_until_drawn,
)
from mlops_assets_tests.browser import needs_browser, open_page, open_server
from mlops_assets_tests.contrast import faint_texts

pytestmark = needs_browser

PAGES = ("overview", "retraining", "model", "data", "predictions")
LIKE_RETRAINING = ("data-preparation", "sklearn-training", "prediction")


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """Address of a database of their own, in which layouts and edits are kept."""
    return f"sqlite:///{tmp_path_factory.mktemp('dashboards') / 'own.db'}"


@pytest.fixture(scope="module")
def boards(shop, database):
    """The dashboards of a shop that has run, and was asked online."""
    log = shop.folder / "dashboards.log"
    with open_server(shop.env | {"MLOPS_DATABASE_URL": database}, log) as address, open_page() as page:
        httpx.post(f"{address}/predict", json=[{"zone": zone, "size": 10.0 * zone} for zone in range(1, 6)])
        yield Boards(page, address)
    assert "Traceback" not in log.read_text()


NO_CARD_IS_TOO_WIDE = """() => [...document.querySelectorAll("#content .chart-card")].every(
    card => card.scrollWidth <= card.clientWidth + 1)"""


@pytest.mark.parametrize("board", [*PAGES, *(pytest.param(board, marks=pytest.mark.slow) for board in LIKE_RETRAINING)])
def test_charts_hold_marks_on_a_desk_and_on_a_phone(boards, board):
    with boards.open(board) as page:
        assert page.locator(".message.wrong").count() == 0
        charts = page.locator("#content .graph").count()
        assert page.locator(f"#content {MARKS}").count() >= charts > 0
        page.set_viewport_size({"width": 400, "height": 1000})
        page.wait_for_function("() => document.documentElement.scrollWidth === 400")
        page.locator(":is(.card-grip, .react-resizable-handle):visible").first.wait_for(state="detached")
        page.wait_for_function(NO_CARD_IS_TOO_WIDE)
        small = "texts => texts.filter(text => parseFloat(getComputedStyle(text).fontSize) < 10).length"
        assert page.locator("#content :is(.xtick, .ytick, .legendtext)").evaluate_all(small) == 0
        assert page.locator(f"#content {MARKS}").count() >= charts


def test_numbers_and_tables_stand_in_their_places_before_any_script_has_come(boards):
    titles = ("Champion", "Leaderboard", "Freshness")
    with boards.open() as page:
        places = [place(page, title) for title in titles]
    page = boards.another_page(viewport={"width": 1400, "height": 1000})
    page.route("**/_dash-component-suites/**", lambda route: route.abort())
    page.goto(f"{boards.address}/dashboards/?board=overview")
    assert card(page, "Champion").locator(".figure").inner_text() and card(page, "Leaderboard").locator("td").count()
    assert [place(page, title) for title in titles] == places
    page.close()


def test_the_form_leads_to_them_and_they_lead_back(boards):
    with boards.open("data") as page:
        page.get_by_role("link", name="Predict", exact=True).click()
        page.get_by_role("button", name="Predict").wait_for()
        page.get_by_role("link", name="Dashboards", exact=True).click()
        wait_until_drawn(page)


def test_figures_follow_the_scheme(boards):
    text = "document.querySelector('#content .xtick text')"
    with boards.open(scheme="light") as page:
        light = page.evaluate(f"getComputedStyle({text}).fill")
    with boards.open(scheme="dark") as page:
        page.wait_for_function(f"light => getComputedStyle({text}).fill !== light", arg=light)
        page.locator("#scheme").click()
        page.wait_for_function(f"light => getComputedStyle({text}).fill === light", arg=light)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("board", ["overview", "predictions"])
def test_every_text_stands_out_from_what_is_behind_it(boards, board, scheme):
    with boards.open(board, scheme=scheme) as page:
        assert faint_texts(page) == []


def test_a_text_that_does_not_is_found(boards):
    page = boards.another_page()
    page.set_content("<p style='color: #868e96'>faint</p><p style='color: #868e96; font-size: 30px'>large</p>clear")
    (found,) = faint_texts(page)
    assert found.startswith("faint: 3.3")
    page.close()


def test_a_chart_stays_where_it_was_dragged_until_the_layout_is_reset(boards):
    with boards.open() as page:
        before = place(page, "Champion")
        drag(page, card(page, "Champion").locator(".card-grip"), (1030, 0))
        moved = place(page, "Champion")
        assert moved[0] > before[0]
        reload(page)
        assert comes_to(page, "Champion", moved)
    with boards.open() as page:  # another browser
        assert comes_to(page, "Champion", moved)
        page.locator("#reset-layout").click()
        assert comes_to(page, "Champion", before)
        reload(page)
        assert comes_to(page, "Champion", before)


def test_a_chart_stays_as_large_as_it_was_made(boards):
    with boards.open("data") as page:
        title = "Clean rows by period"
        before = place(page, title)
        drag(page, corner(page, title), (0, 160))
        larger = place(page, title)
        assert larger[3] > before[3]
        reload(page)
        assert comes_to(page, title, larger)
        page.locator("#reset-layout").click()
        assert comes_to(page, title, before)


def test_looking_at_pages_keeps_no_layout(boards, shop, database):
    with boards.open("model") as page:
        for link, title in (("Overview", "Champion"), ("Model", "Search history")):
            page.get_by_role("link", name=link, exact=True).click()
            card(page, title).wait_for()
            wait_until_drawn(page)
    project = shop.project(MLOPS_DATABASE_URL=database)
    store = BoardStore(project.database, project.spec.name)
    assert store.layouts("model") == store.layouts("overview") == {}


def test_an_edit_is_checked_previewed_saved_and_taken_back(boards):
    with boards.open() as page:
        page.locator("#edit").click()
        editor = page.locator("#yaml")
        text = editor.input_value()
        page.get_by_text("This is right: 13 charts.").wait_for()
        editor.fill(text.replace("type: number", "type: numbr", 1))
        page.get_by_text("overview.yaml: chart champion, key type").wait_for()
        assert page.locator("#save").is_disabled()
        editor.fill(text.replace("title: Champion\n", "title: Our champion\n", 1))
        page.locator("#preview").get_by_role("heading", name="Our champion").wait_for()
        page.locator("#save").click()
        card(page, "Our champion").wait_for()
        reload(page)
        card(page, "Our champion").wait_for()
        page.locator("#edit").click()
        page.locator("#reset:enabled").click()
        card(page, "Champion").wait_for()


def test_a_dashboard_is_made_and_deleted_in_the_browser(boards):
    with boards.open() as page:
        page.locator("#new").click()
        page.locator("#name").fill("our-own")
        page.get_by_text("This is right: 1 chart.").wait_for()
        page.locator("#save:enabled").click()
        page.wait_for_url("**/dashboards/?board=our-own")
        card(page, "Runs by day").wait_for()
        page.locator("#edit").click()
        page.get_by_role("button", name="Delete").click()
        page.get_by_role("heading", name="Overview").wait_for()
        assert page.get_by_role("link", name="My dashboard").count() == 0


def test_a_chart_can_be_downloaded_as_data_and_as_a_picture(boards):
    files = (("its data", "csv", b""), ("a picture", "png", b"\x89PNG"))
    with boards.open() as page:
        for title, (what, ending, beginning) in product(("Leaderboard", "Trials by model type", "Champion"), files):
            card(page, title).hover()
            with page.expect_download() as download:
                card(page, title).get_by_role("button", name=f"Download {what}").click()
            assert download.value.suggested_filename.endswith(ending), title
            content = download.value.path().read_bytes()
            assert content.startswith(beginning) and len(content.splitlines()) > 1, title


def test_a_choice_in_a_card_draws_it_again(boards):
    with boards.open("model") as page:
        chosen = card(page, "Partial dependence").locator("input:visible")
        other = "zone" if chosen.input_value() == "size" else "size"
        chosen.click()
        page.get_by_role("option", name=other, exact=True).click()
        card(page, "Partial dependence").locator(".xtitle", has_text=other).wait_for()


def test_a_time_range_is_kept_for_each_page(boards):
    with boards.open("sklearn-training") as page:
        page.locator("#range").click()
        page.get_by_role("option", name="24 hours").click()
        page.wait_for_function("Object.keys(localStorage).some(key => key.startsWith('_dash_persistence.range'))")
        reload(page)
        page.wait_for_function("document.querySelector('#range').value === '24 hours'")


def test_a_dashboard_that_is_not_there_says_so(boards):
    page = boards.another_page()
    page.goto(f"{boards.address}/dashboards/?board=nowhere")
    page.get_by_text("There is no dashboard named nowhere.").wait_for()
    page.close()
