"""Take the pictures of the documentation, from a real run of the default dataset.

`python -m docs.screenshots [HOME]`, with what `make browser` installs and a Chromium of the system. Without a home
folder a new one is made, which takes as long as `make run`.
"""

import io
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from mlops_assets_tests.board_pages import Boards
from mlops_assets_tests.browser import open_page, open_server, open_uis
from mlops_assets_tests.homes import MAIN, ROOT, UNSET

if TYPE_CHECKING:
    from PIL.Image import Image
    from playwright.sync_api import Page

IMAGES = Path(__file__).resolve().parent / "images"
GROUPS = ("data_preparation", "training", "champion", "prediction")
QUESTION = "?departure_at=2013-12-20T18:00&scheduled_departure=1800&scheduled_arrival=2110&carrier=UA&origin=EWR"
QUESTION += "&destination=SFO&distance=2565&compare-with=1"
BOARDS = ("overview", "data-preparation", "model", "data", "predictions", "backtest")
DARK = ("overview", "model")
PHONES = (("overview", "light"), ("retraining", "dark"), ("model", "light"), ("predictions", "dark"))
STRIP_WIDTH, STRIP_HEIGHT = 560, 420
PHONE_WIDTH, PHONE_HEIGHT, BETWEEN = 400, 1000, 24
ASKED_SECONDS = 120  # for which rows are asked online, so that there are rates and latencies to show
TERMINAL_COLUMNS = 104
COLOURS = 256
SETTLED = 4_000  # milliseconds in which a drawn page gets its data
ASSET = {"x": 236, "y": 0, "width": 1380, "height": 1250}  # an asset's page without what is beside it
RUN_COLUMNS = ("metrics.`rmse`", "metrics.`validation_rmse`", "params.`learning_rate`", "params.`max_depth`")
# What a person would click together once: no assistant beside the page, and columns that say something.
MLFLOW_VIEW = f"""
localStorage.setItem("mlflow.assistant.fab.autoOpenedOnFirstLoad_v1", "true");
localStorage.setItem('MLflowLocalStorage-1.1-ExperimentPage-["1"]-ReactComponentState',
    JSON.stringify({{selectedColumns: {json.dumps([*RUN_COLUMNS, "attributes.`Models`"])}}}));
"""


def run_pipeline(env: dict[str, str]) -> str:
    """What `mlops-assets run` shows in a terminal, from the table of assets on."""
    shown = env | {"FORCE_COLOR": "1", "TERM": "xterm-256color", "COLUMNS": str(TERMINAL_COLUMNS)}
    command = [sys.executable, "-c", MAIN, "run"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | shown, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    start = max(place for place, line in enumerate(lines) if "Assets" in line)
    return "\n".join(lines[start:])


def as_page(terminal: str) -> str:
    """Coloured terminal output as an HTML page."""
    from rich.console import Console
    from rich.terminal_theme import MONOKAI
    from rich.text import Text

    console = Console(record=True, file=io.StringIO(), width=TERMINAL_COLUMNS)
    console.print(Text.from_ansi(terminal))
    html = console.export_html(theme=MONOKAI, inline_styles=True)
    return html.replace("<body>", "<body style='display: inline-block; padding: 1em; font-size: 15px'>")


def visit(page: "Page", address: str, waits_for: str) -> None:
    """Open an address, and wait until a text is there and the rest has followed."""
    page.goto(address)
    page.get_by_text(waits_for).first.wait_for()
    page.wait_for_timeout(SETTLED)


def strip(names: tuple[str, ...] = ("leaderboard", "dashboard-overview", "form")) -> "Image":
    """The upper parts of these pictures side by side, for the README."""
    from PIL import Image

    made = Image.new("RGB", (len(names) * STRIP_WIDTH + (len(names) - 1) * BETWEEN, STRIP_HEIGHT), "white")
    for place, name in enumerate(names):
        picture = Image.open(IMAGES / f"{name}.png").convert("RGB")
        picture = picture.resize((STRIP_WIDTH, round(picture.height * STRIP_WIDTH / picture.width)))
        shown = picture.crop((0, 0, STRIP_WIDTH, min(picture.height, STRIP_HEIGHT)))
        made.paste(shown, (place * (STRIP_WIDTH + BETWEEN), 0))
    return made


def as_image(picture: bytes) -> "Image":
    from PIL import Image

    return Image.open(io.BytesIO(picture)).convert("RGB")


def save(picture: "bytes | Image", name: str) -> None:
    """Write a screenshot as a PNG of few colours."""
    path = IMAGES / f"{name}.png"
    image = as_image(picture) if isinstance(picture, bytes) else picture
    image.quantize(COLOURS, kmeans=2).save(path, optimize=True)  # keeps the colour of a small badge
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1000:.0f} kB")


def take_form(env: dict[str, str], log: Path) -> None:
    """The form: the champion's answer beside that of the model trained first."""
    with open_server(env, log) as address, open_page(1400, 800) as page:
        page.goto(f"{address}/{QUESTION}")
        page.locator(".answer").nth(1).wait_for()
        page.wait_for_timeout(SETTLED)
        save(page.screenshot(), "form")


def whole(page: "Page") -> bytes:
    """A picture of all of a page: one that is longer than the window is not always painted to its end."""
    page.wait_for_timeout(SETTLED)
    width, height = page.viewport_size["width"], page.evaluate("document.documentElement.scrollHeight")
    page.set_viewport_size({"width": width, "height": height})
    page.wait_for_timeout(SETTLED)
    return page.screenshot()


def ask_online(address: str) -> None:
    """Rows like the model's examples, for a while and at a changing rate."""
    rows = httpx.get(f"{address}/model").json()["examples"]
    end, chance = time.monotonic() + ASKED_SECONDS, random.Random(0)
    while time.monotonic() < end:
        httpx.post(f"{address}/predict", json=chance.choices(rows, k=chance.choice([1, 1, 2, 5])))
        time.sleep(chance.expovariate(6))


def take_dashboards(env: dict[str, str], log: Path) -> None:
    """Every page light, some dark, and some on a phone, side by side."""
    from PIL import Image

    with open_server(env, log) as address, open_page() as page:
        ask_online(address)
        boards = Boards(page, address)
        for board in BOARDS:
            for scheme in ("light", "dark") if board in DARK else ("light",):
                with boards.open(board, scheme=scheme) as shown:
                    save(whole(shown), f"dashboard-{board}{'-dark' * (scheme == 'dark')}")
        width = len(PHONES) * (PHONE_WIDTH + BETWEEN) - BETWEEN
        phones = Image.new("RGB", (width, PHONE_HEIGHT), "white")
        for place, (board, scheme) in enumerate(PHONES):
            with boards.open(board, width=PHONE_WIDTH, scheme=scheme) as shown:
                shown.wait_for_timeout(SETTLED)
                phones.paste(as_image(shown.screenshot()), (place * (PHONE_WIDTH + BETWEEN), 0))
        save(phones, "dashboards-phone")


def take_all(home: Path) -> None:
    env = UNSET | {"MLOPS_HOME": str(home)}
    terminal = run_pipeline(env)
    with open_page(1800, 1000) as page:
        page.set_content(as_page(terminal))
        save(page.locator("body").screenshot(), "leaderboard")
    take_form(env, home / "serve.log")
    subprocess.run([sys.executable, "-c", MAIN, "backtest"], cwd=ROOT, env=os.environ | env, check=True)
    take_dashboards(env, home / "serve.log")
    save(strip(), "strip")
    with open_uis(env, home / "dev.log") as uis:
        with open_page(2000, 860) as page:
            expanded = ",".join(f"global@global:{group}" for group in GROUPS)
            visit(page, f"{uis.dagster}/asset-groups?expanded={expanded}", "champion_model")
            page.get_by_text("Hide navigation").click()
            page.reload()  # so that the graph fills the room
            page.wait_for_timeout(SETTLED)
            save(page.screenshot(), "asset-graph")
        with open_page(2200, ASSET["height"]) as page:
            visit(page, f"{uis.dagster}/assets/champion_model", "validation RMSE")
            save(page.screenshot(clip=ASSET), "champion")
        with open_page(1400, 900) as page:
            page.add_init_script(MLFLOW_VIEW)
            visit(page, f"{uis.mlflow}/#/experiments/1/runs?workflowType=machine_learning", "tune XGBoost")
            row = page.get_by_role("row").filter(has_text="tune XGBoost").first
            row.get_by_role("button").first.click()  # shows its trials
            page.wait_for_timeout(SETTLED)
            save(page.screenshot(), "mlflow")


def main() -> None:
    if len(sys.argv) > 1:
        take_all(Path(sys.argv[1]).absolute())
        return
    with tempfile.TemporaryDirectory() as folder:
        take_all(Path(folder))


if __name__ == "__main__":
    main()
