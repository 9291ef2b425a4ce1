"""The dashboards in a real browser: seen, moved, edited, downloaded, in light and dark, at 1400 and 400 pixels."""

import threading
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from mlops_assets.cli.catalogue import read_catalogue
from mlops_assets.dashboards.store import BoardStore
from mlops_assets_tests.browser import CHROMIUM, FLAGS
from mlops_assets_tests.servers import free_port

pytest.importorskip("playwright", reason="Playwright is not installed: make browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium: install it on the system")

PAGES = ("overview", "data-preparation", "sklearn-training", "retraining", "prediction", "model", "data", "predictions")
# A mark of Plotly: a point, a bar, a line, a slice, a box, a cell.
MARKS = ".js-plotly-plot :is(.point, .points path, .js-line, .slice, .box, .hm, .trace path)"
MILLISECONDS = 60_000


@dataclass(frozen=True)
class Served:
    """Address of the dashboards, and what is kept of edits and layouts."""

    address: str
    store: BoardStore


@pytest.fixture(scope="module")
def served(shop, tmp_path_factory):
    """The dashboards of a shop that has run, with a database of their own."""
    import uvicorn
    from fastapi import FastAPI

    from mlops_assets.dashboards.app import mount_dashboards

    database = f"sqlite:///{tmp_path_factory.mktemp('browser') / 'own.db'}"
    project, port = shop.project(MLOPS_DATABASE_URL=database), free_port()
    with shop.instance() as instance:
        api = FastAPI()
        mount_dashboards(api, project, instance, read_catalogue(project))
        server = uvicorn.Server(uvicorn.Config(api, port=port, log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        yield Served(f"http://127.0.0.1:{port}/dashboards/", BoardStore(project.database, project.spec.name))
        server.should_exit = True
        thread.join()


@pytest.fixture
def address(served):
    return served.address


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_board(browser, address):
    """A context manager that gives a page with a dashboard whose charts are drawn; what goes wrong fails the test."""

    @contextmanager
    def opened(board="overview", *, width=1400, scheme="light"):
        context = browser.new_context(viewport={"width": width, "height": 1000}, color_scheme=scheme)
        page = context.new_page()
        page.set_default_timeout(MILLISECONDS)
        said, elsewhere = [], []
        page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda asked: elsewhere.append(asked.url) if is_external(asked.url, address) else None)
        page.goto(f"{address}?board={board}")
        wait_until_drawn(page)
        yield page
        context.close()
        assert (said, elsewhere) == ([], [])

    return opened


def is_external(url, address):
    return not url.startswith((address.removesuffix("dashboards/"), "data:", "blob:"))


def wait_until_drawn(page):
    page.locator(".chart-card").first.wait_for()
    page.wait_for_function("() => !document.querySelector('#content .waiting')")
    page.wait_for_function(
        "() => [...document.querySelectorAll('#content .graph')].every(g => g.querySelector('.main-svg'))"
    )


def card(page, title):
    return page.locator("#content section", has=page.get_by_role("heading", name=title, exact=True))


def place(page, title):
    """Where a card stands once it has stopped moving: x, y, width, height, rounded."""
    before = None
    while (box := card(page, title).bounding_box()) != before:
        before = box
        page.wait_for_timeout(300)
    top = page.evaluate("window.scrollY")
    return [round(number) for number in (box["x"], box["y"] + top, box["width"], box["height"])]


def drag(page, locator, by):
    locator.scroll_into_view_if_needed()
    box = locator.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + by[0] / 2, y + by[1] / 2, steps=5)
    page.mouse.move(x + by[0], y + by[1], steps=5)
    with page.expect_response("**/_dash-update-component*"):  # the layout is kept
        page.mouse.up()


@pytest.mark.parametrize("board", PAGES)
def test_charts_hold_marks(open_board, board):
    with open_board(board) as page:
        assert page.locator(".message.wrong").count() == 0
        charts = page.locator("#content .graph").count()
        assert page.locator(f"#content {MARKS}").count() >= charts


@pytest.mark.parametrize("board", ["overview", "model"])
def test_a_phone_shows_all_of_it_without_scrolling_sideways(open_board, board):
    with open_board(board, width=400) as page:
        assert page.evaluate("document.documentElement.scrollWidth") == 400
        assert page.locator("#content .graph").count() > 0
        assert page.locator(".card-grip:visible").count() == 0
        assert page.locator(".react-resizable-handle:visible").count() == 0


def test_figures_follow_the_scheme(open_board):
    def colour(page):
        page.wait_for_timeout(300)
        return page.locator("#content .xtick text").first.evaluate("text => getComputedStyle(text).fill")

    with open_board(scheme="dark") as page:
        dark = colour(page)
        page.locator("#scheme").click()
        page.wait_for_function(
            "dark => getComputedStyle(document.querySelector('#content .xtick text')).fill !== dark", arg=dark
        )
    with open_board(scheme="light") as page:
        assert colour(page) != dark


def test_a_chart_stays_where_it_was_dragged_until_the_layout_is_reset(open_board):
    with open_board() as page:
        before = place(page, "Champion")
        drag(page, card(page, "Champion").locator(".card-grip"), (1030, 0))
        moved = place(page, "Champion")
        assert moved[0] > before[0]
        page.reload()
        wait_until_drawn(page)
        assert place(page, "Champion") == moved
    with open_board() as page:  # another browser
        assert place(page, "Champion") == moved
        page.locator("#reset-layout").click()
        page.wait_for_timeout(500)
        assert place(page, "Champion") == before
        page.reload()
        wait_until_drawn(page)
        assert place(page, "Champion") == before


def test_a_chart_stays_as_large_as_it_was_made(open_board):
    with open_board("data") as page:
        before = place(page, "Clean rows by month")
        item = page.locator(".react-grid-item", has=page.get_by_role("heading", name="Clean rows by month"))
        drag(page, item.locator(".react-resizable-handle"), (0, 160))
        larger = place(page, "Clean rows by month")
        assert larger[3] > before[3]
        page.reload()
        wait_until_drawn(page)
        assert place(page, "Clean rows by month") == larger
        page.locator("#reset-layout").click()
        page.wait_for_timeout(500)
        assert place(page, "Clean rows by month") == before


def test_looking_at_pages_keeps_no_layout(open_board, served):
    with open_board("model") as page:
        page.get_by_role("link", name="Overview", exact=True).click()
        card(page, "Champion").wait_for()
        wait_until_drawn(page)
        page.get_by_role("link", name="Model", exact=True).click()
        card(page, "Search history").wait_for()
        wait_until_drawn(page)
        assert page.locator(".chart-card").count() == 11
    assert served.store.layouts("model") == served.store.layouts("overview") == {}


def test_an_edit_is_checked_previewed_saved_and_taken_back(open_board):
    with open_board() as page:
        page.locator("#edit").click()
        editor = page.locator("#yaml")
        editor.wait_for()
        text = editor.input_value()
        page.get_by_text("This is right: 13 charts.").wait_for()
        editor.fill(text.replace("type: number", "type: numbr", 1))
        page.get_by_text("overview.yaml: chart champion, key type").wait_for()
        assert page.locator("#save").is_disabled()
        editor.fill(text.replace("title: Champion\n", "title: Our champion\n", 1))
        page.locator("#preview").get_by_role("heading", name="Our champion").wait_for()
        page.locator("#save").click()
        card(page, "Our champion").wait_for()
        page.reload()
        card(page, "Our champion").wait_for()
        page.locator("#edit").click()
        page.locator("#reset:enabled").click()
        card(page, "Champion").wait_for()


def test_a_dashboard_is_made_and_deleted_in_the_browser(open_board):
    with open_board() as page:
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


def test_every_chart_can_be_downloaded_as_data_and_as_a_picture(open_board):
    with open_board() as page:
        for title in ("Leaderboard", "Trials by model type", "Champion"):
            for what, ending in (("its data", "csv"), ("a picture", "png")):
                card(page, title).hover()
                with page.expect_download() as download:
                    card(page, title).get_by_role("button", name=f"Download {what}").click()
                assert download.value.suggested_filename.endswith(ending)
                assert download.value.path().stat().st_size > 20


def test_a_choice_in_a_card_draws_it_again(open_board):
    with open_board("model") as page:
        chosen = card(page, "Partial dependence").locator("input:visible")
        before = chosen.input_value()
        chosen.click()
        other = "zone" if before == "size" else "size"
        page.get_by_role("option", name=other, exact=True).click()
        card(page, "Partial dependence").locator(".xtitle", has_text=other).wait_for()


def test_a_time_range_is_kept_for_each_page(open_board):
    with open_board("sklearn-training") as page:
        page.locator("#range").click()
        page.get_by_role("option", name="24 hours").click()
        page.reload()
        wait_until_drawn(page)
        assert page.locator("#range").input_value() == "24 hours"


def test_a_dashboard_that_is_not_there_says_so(browser, address):
    page = browser.new_page()
    page.goto(f"{address}?board=nowhere")
    page.get_by_text("There is no dashboard named nowhere.").wait_for()
    page.close()
