"""Pages of dashboards in a browser: opened, waited for, moved; whoever opens one is told what went wrong on it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

# A mark of Plotly: a point, a bar, a line, a slice, a box, a cell.
MARKS = ".js-plotly-plot :is(.point, .points path, .js-line, .slice, .box, .hm, .trace path)"
MILLISECONDS = 60_000
# What is said of a call that was under way when the page was left, and why such a call fails.
LEFT, ABORTED = "Failed to fetch", "net::ERR_ABORTED"
SETTLED = 300  # milliseconds after which what still moves has another place


@dataclass(frozen=True)
class Boards:
    """The dashboards of a server at `address`, on one page of a browser, which compiles their scripts once."""

    page: "Page"
    address: str

    @contextmanager
    def open(self, board: str = "overview", *, width: int = 1400, scheme: str = "light") -> Iterator["Page"]:
        """The page with its charts drawn, for somebody who was never there; in the end its console holds no error, and
        it has asked no other server.
        """
        page = self.page
        own = (self.address, "data:", "blob:")
        wrong = []

        def listen(message) -> None:
            if message.type in ("error", "warning") and LEFT not in message.text:
                wrong.append(message.text)

        heard = {
            "console": listen,
            "pageerror": lambda error: wrong.append(str(error)),
            "request": lambda asked: None if asked.url.startswith(own) else wrong.append(asked.url),
            "requestfailed": lambda asked: None if asked.failure == ABORTED else wrong.append(asked.failure),
        }
        self.forget()
        page.set_viewport_size({"width": width, "height": 1000})
        page.emulate_media(color_scheme=scheme)
        page.set_default_timeout(MILLISECONDS)
        for event, listener in heard.items():
            page.on(event, listener)
        try:
            page.goto(f"{self.address}/dashboards/?board={board}")
            wait_until_drawn(page)
            yield page
        finally:
            for event, listener in heard.items():
                page.remove_listener(event, listener)
        if wrong:
            raise AssertionError(wrong)

    def another_page(self, **settings: Any) -> "Page":
        """An empty page of the same browser, of a person of its own; whoever takes it closes it."""
        return self.page.context.browser.new_page(**settings)

    def forget(self) -> None:
        """Leave the page, and take away what the browser keeps for it: from here on, it is another person's."""
        self.page.goto("about:blank")
        self.page.context.clear_cookies()
        session = self.page.context.new_cdp_session(self.page)
        session.send("Storage.clearDataForOrigin", {"origin": self.address, "storageTypes": "local_storage"})
        session.detach()


def wait_until_drawn(page: "Page") -> None:
    page.locator(".chart-card").first.wait_for()
    page.wait_for_function("() => !document.querySelector('#content .waiting')")
    page.wait_for_function(
        "() => [...document.querySelectorAll('#content .graph')].every(g => g.querySelector('.main-svg'))"
    )


def reload(page: "Page") -> None:
    page.reload()
    wait_until_drawn(page)


def card(page: "Page", title: str) -> "Locator":
    return page.locator("#content section", has=page.get_by_role("heading", name=title, exact=True))


def corner(page: "Page", title: str) -> "Locator":
    """What a card is resized by."""
    item = page.locator(".react-grid-item", has=page.get_by_role("heading", name=title, exact=True))
    return item.locator(".react-resizable-handle")


def place(page: "Page", title: str) -> list[int]:
    """Where a card stands once it has stopped moving: x, y, width, height, rounded."""
    before = None
    while (box := card(page, title).bounding_box()) is None or box != before:
        before = box
        page.wait_for_timeout(SETTLED)
    top = page.evaluate("window.scrollY")
    return [round(number) for number in (box["x"], box["y"] + top, box["width"], box["height"])]


def comes_to(page: "Page", title: str, wanted: list[int]) -> bool:
    """Whether a card comes to stand there, once the page has been drawn again."""
    return any(place(page, title) == wanted for _ in range(MILLISECONDS // SETTLED // 2))


def drag(page: "Page", grip: "Locator", by: tuple[int, int]) -> None:
    """Drag with the mouse, and wait until the server has been told."""
    grip.scroll_into_view_if_needed()
    box = grip.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + by[0] / 2, y + by[1] / 2, steps=5)
    page.mouse.move(x + by[0], y + by[1], steps=5)
    with page.expect_response(lambda answer: '"property":"layouts"' in (answer.request.post_data or "")):
        page.mouse.up()
