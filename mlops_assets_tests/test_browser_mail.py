"""Every kind of mail as a reader sees it: in Chromium, light and dark, wide and on a phone."""

import pytest

from mlops_assets.cli.mail import write_previews
from mlops_assets_tests.browser import needs_browser, open_browser

pytestmark = needs_browser
KINDS = [
    "check",
    "digest",
    "drift",
    "failure",
    "freshness",
    "performance",
    "promoted",
    "proposed",
    "refused",
    "success",
    "tick",
]
# The colours of text, page and button as they are painted.
SEEN = """() => {
  const style = one => getComputedStyle(one);
  const button = document.querySelector('a[style*="background"]');
  return {
    text: style(document.querySelector('h1')).color,
    button: button && [style(button).color, style(button).backgroundColor],
    wide: document.documentElement.scrollWidth,
    bars: [...document.querySelectorAll('td > div')].map(bar => bar.getBoundingClientRect().width),
  };
}"""


@pytest.fixture(scope="module")
def browser():
    with open_browser() as browser:
        yield browser


@pytest.mark.parametrize(("scheme", "ink"), [("light", "rgb(0, 0, 0)"), ("dark", "rgb(255, 255, 255)")])
@pytest.mark.parametrize("width", [900, 400])
def test_every_mail_is_legible(browser, tmp_path, monkeypatch, scheme, ink, width):
    monkeypatch.setenv("MLOPS_HOME", str(tmp_path / "home"))
    write_previews(tmp_path / "mails")
    pages = sorted((tmp_path / "mails").iterdir())
    assert [page.stem for page in pages] == KINDS
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 700})
    page = context.new_page()
    for file in pages:
        page.goto(file.as_uri())
        seen = page.evaluate(SEEN)
        assert seen["text"] == ink, file.stem
        assert seen["wide"] <= width, file.stem
        if file.stem != "digest":
            assert seen["button"] == ["rgb(255, 255, 255)", "rgb(28, 95, 184)"], file.stem
        if file.stem in {"promoted", "refused", "proposed"}:
            assert len(seen["bars"]) == 5 and max(seen["bars"]) > 2 * min(seen["bars"]) > 0
    context.close()
