"""The form as a person uses it, in a real browser: with the keyboard, on a phone, by a link, without the internet."""

import re
from contextlib import contextmanager

import httpx
import pytest

from mlops_assets_tests.browser import needs_browser, open_browser, open_server
from mlops_assets_tests.contrast import faint_texts
from mlops_assets_tests.homes import write_few_trees

pytestmark = needs_browser

KEY = "some-key-0123456789"
WIDE, PHONE = (1400, 900), (400, 800)


@pytest.fixture(scope="module")
def home(new_shop):
    home = new_shop(MLOPS_MODEL_TYPES="Ridge,XGBoost")
    home.env["MLOPS_SEARCH_SPACES"] = write_few_trees(home.folder)
    assert home.command("run").code == 0
    return home


@pytest.fixture(scope="module")
def url(home):
    log = home.folder / "serve.log"
    with open_server(home.env, log) as url:
        yield url
    assert "Traceback" not in log.read_text()


@pytest.fixture(scope="module")
def browser(home):
    with open_browser() as browser:
        yield browser


@pytest.fixture
def quiet_page(browser, url):
    """A function that opens a page on which nothing may go wrong: no error in the console, no failed request, no other
    host.
    """

    @contextmanager
    def opened(size=WIDE):
        troubles = []
        context = browser.new_context(viewport={"width": size[0], "height": size[1]})
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda message: message.type in ("error", "warning") and troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("requestfailed", lambda request: troubles.append(f"failed: {request.url}"))
        page.on("request", lambda request: request.url.startswith((url, "data:")) or troubles.append(request.url))
        page.on(
            "response", lambda response: response.status < 400 or troubles.append(f"{response.status} {response.url}")
        )
        yield page
        context.close()
        assert troubles == []

    return opened


def test_every_text_stands_out_from_what_is_behind_it(quiet_page, url):
    with quiet_page() as page:
        page.goto(f"{url}/?zone=3&size=42.5")
        page.locator(".answer").wait_for()
        assert faint_texts(page) == []
        page.locator("#scheme").click()
        page.locator("html[data-mantine-color-scheme=dark]").wait_for()
        page.wait_for_timeout(500)  # for what changes its colour slowly
        assert faint_texts(page) == []


def press(page, key):
    """Press a key as a person does: not within the frame in which the page still answers the one before."""
    page.wait_for_timeout(300)
    page.keyboard.press(key)


def prediction(page, version=None):
    """What a card says, with all its digits, once it is there."""
    which = f"[data-version='{version}']" if version else ""
    return float(page.locator(f"[data-prediction]{which}").first.get_attribute("data-prediction"))


def over_http(url, row):
    return httpx.post(f"{url}/predict", json=row, timeout=120).json()


@pytest.mark.parametrize("size", [WIDE, PHONE])
def test_filled_in_and_sent_by_keyboard_it_shows_what_post_predict_answers(quiet_page, url, size):
    with quiet_page(size) as page:
        page.goto(url)
        page.get_by_role("textbox", name="Zone").focus()
        press(page, "3")
        page.locator("[role=option][data-combobox-selected]", has_text="3").wait_for()
        press(page, "Enter")  # chooses
        press(page, "Tab")
        page.keyboard.type("42.5")
        press(page, "Enter")  # submits
        page.wait_for_url("**/?zone=3&size=42.5")
        answer = over_http(url, {"zone": 3, "size": 42.5})
        assert prediction(page) == pytest.approx(answer["prediction"], rel=1e-9)
        shown = page.locator(".big").inner_text()
        decimals = len(shown.partition(".")[2])
        assert float(shown.replace(",", "")) == pytest.approx(answer["prediction"], abs=0.5 * 10**-decimals)
        assert "90% interval" in page.locator(".interval").inner_text()
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_the_link_repeats_the_query(quiet_page, url):
    with quiet_page() as page:
        page.goto(url)
        page.get_by_role("button", name="Example").click()
        page.get_by_role("button", name="Predict").click()
        first = prediction(page)
        page.wait_for_url("**/?*size=*")
        link = page.url
        assert "zone=" in link
    with quiet_page() as page:
        page.goto(link)
        assert prediction(page) == first
        assert page.url == link
        assert page.get_by_role("textbox", name="Size").input_value() in link
        page.get_by_role("textbox", name="Size").fill("7")
        page.keyboard.press("Enter")
        page.wait_for_url("**size=7*")
        page.locator(f"[data-prediction]:not([data-prediction='{first}'])").wait_for()
        page.go_back()
        page.locator(f"[data-prediction='{first}']").wait_for()
        assert page.get_by_role("textbox", name="Size").input_value() in link


def test_two_models_answer_side_by_side(quiet_page, url, home):
    champion = over_http(url, {"zone": 2, "size": 10})["model"]["version"]
    registry = home.project().registry
    other = next(made for made in registry.newest(10) if made.model_type != registry.version(champion).model_type)
    with quiet_page() as page:
        page.goto(f"{url}/?zone=2&size=10")
        page.get_by_role("textbox", name="Compare with").click()
        page.get_by_role("option", name=re.compile(f"^{other.number}: ")).click()
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Predict").click()
        own = registry.load(other.number).predict([{"zone": 2, "size": 10}])[0]
        assert prediction(page, other.number) == pytest.approx(own, rel=1e-9)
        assert prediction(page, champion) == pytest.approx(
            over_http(url, {"zone": 2, "size": 10})["prediction"], rel=1e-9
        )
        places = [card.bounding_box() for card in page.locator(".answer").all()]
        assert places[0]["y"] == places[1]["y"] and places[0]["x"] < places[1]["x"]
        assert f"compare-with={other.number}" in page.url


def test_a_category_that_the_model_does_not_know_can_be_asked_for(quiet_page, url):
    with quiet_page() as page:
        page.goto(url)
        page.get_by_role("textbox", name="Zone").fill("77")
        page.get_by_role("option", name="77").click()
        page.get_by_role("textbox", name="Size").fill("10")
        page.get_by_role("button", name="Predict").click()
        page.get_by_text("zone 77 was not among the training rows").wait_for()


def test_a_wrong_value_is_told_at_its_field(quiet_page, url):
    with quiet_page() as page:
        page.goto(f"{url}/?zone=three")
        page.get_by_text("Zone must be a whole number: 'three' is not one").nth(1).wait_for()
        assert page.get_by_role("textbox", name="Zone").get_attribute("aria-invalid") == "true"


def test_the_scheme_is_switched_and_kept(quiet_page, url):
    with quiet_page() as page:
        page.goto(url)
        page.get_by_role("button", name="Switch between light and dark").click()
        dark = page.locator("html[data-mantine-color-scheme=dark]")
        dark.wait_for()
        page.reload()
        page.get_by_role("button", name="Predict").wait_for()
        assert dark.count() == 1


@pytest.mark.slow
def test_with_keys_the_browser_asks_once_and_then_the_form_works(browser, home):
    with open_server(home.env | {"MLOPS_API_KEYS": KEY}, home.folder / "keyed.log") as url:
        assert httpx.get(url, timeout=120).status_code == 401
        page = browser.new_context(http_credentials={"username": "me", "password": KEY}).new_page()
        page.goto(f"{url}/?zone=3&size=42.5")
        assert prediction(page) > 0
