"""The docs as a site: every page is in it, it asks nothing of the network, and its search needs no server."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec

import pytest

from mlops_assets_tests.browser import needs_browser, open_page
from mlops_assets_tests.documents import ROOT

pytestmark = pytest.mark.skipif(find_spec("material") is None, reason="needs the extra docs (make docs)")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_page_is_in_the_site_and_in_its_navigation(site):
    navigation = (ROOT / "mkdocs.yml").read_text()
    for page in (ROOT / "docs").rglob("*.md"):
        name = page.relative_to(ROOT / "docs")
        assert str(name) in navigation
        made = "index.html" if name.stem == "README" else f"{name.stem}.html"
        assert (site / name.parent / made).is_file(), name


def test_it_loads_nothing_from_the_network(site):
    loaded = re.compile(r'(?:<script|<link|<img|<iframe)[^>]*(?:src|href)="?(https?:[^">\s]+)')
    assert [found for page in site.rglob("*.html") for found in loaded.findall(page.read_text())] == []


def test_a_file_outside_the_docs_that_a_page_links_is_in_it(site):
    link = re.search(r'href="(files/[^"]*nyc_flights[^"]*)"', (site / "own-data.html").read_text())[1]
    assert "name: nyc_flights" in (site / link).read_text()


@needs_browser
def test_its_search_works_without_a_server(site):
    with open_page() as page:
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto((site / "index.html").as_uri())
        page.locator("body").press("s")
        page.locator("input:focus").wait_for()
        page.keyboard.type("webhook")
        page.locator(".md-search-result__link", has_text="who hears of what").first.wait_for()
        assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
