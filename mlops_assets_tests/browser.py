"""What `mlops-assets dev` and `serve` open, in a real browser: for tests and the pictures of the documentation."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from mlops_assets_tests.homes import MAIN, ROOT
from mlops_assets_tests.servers import free_port

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = which("chromium") or which("chromium-browser") or which("google-chrome")
needs_browser = pytest.mark.skipif(
    CHROMIUM is None or find_spec("playwright") is None,
    reason="there is no Chromium on the system, or no Playwright (make browser)",
)
# A browser that asks nobody on the internet for anything.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
START_SECONDS, STOP_SECONDS = 180, 60


@dataclass(frozen=True)
class Uis:
    """Addresses of the two UIs and of the server, and the file that holds what all three said."""

    dagster: str
    mlflow: str
    server: str
    log: Path


@contextmanager
def open_uis(env: Mapping[str, str], log: Path) -> Iterator[Uis]:
    """`mlops-assets dev` on free ports, until all answer; ended afterwards, with all that it started."""
    ports = [free_port() for _ in range(3)]
    uis = Uis(*(f"http://127.0.0.1:{port}" for port in ports), log)
    options = zip(("--port", "--mlflow-port", "--serve-port"), map(str, ports), strict=True)
    words = "dev", "--verbose", *(word for option in options for word in option)
    with _started(words, env, log) as process:
        wait_for(process, f"{uis.dagster}/server_info", log)
        wait_for(process, f"{uis.mlflow}/health", log)
        wait_for(process, f"{uis.server}/health", log)
        yield uis


@contextmanager
def open_server(env: Mapping[str, str], log: Path) -> Iterator[str]:
    """Address of `mlops-assets serve` on a free port, once it has loaded the champion; ended afterwards."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with _started(("serve", "--port", str(port)), env, log) as process:
        wait_for(process, f"{address}/ready", log)
        yield address


@contextmanager
def open_browser() -> Iterator["Browser"]:
    """A headless Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def open_page(width: int = 1500, height: int = 950) -> Iterator["Page"]:
    """A page of a browser of its own."""
    with open_browser() as browser:
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(60_000)
        yield page


@contextmanager
def _started(words: Sequence[str], env: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen]:
    """`mlops-assets` with these words, in a process whose output goes to the log."""
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", MAIN, *words],
            env=os.environ | env | {"PYTHONPATH": str(ROOT)},
            cwd=ROOT,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise


def wait_for(process: subprocess.Popen, url: str, log: Path) -> None:
    for _ in range(2 * START_SECONDS):
        try:
            with urlopen(url, timeout=10):
                return
        except (URLError, TimeoutError, ConnectionError):
            pass
        try:
            process.wait(0.5)
        except subprocess.TimeoutExpired:
            continue
        break
    raise RuntimeError(f"{url} does not answer: {log.read_text()[-2000:]}")
