"""Take the pictures of the documentation, from a real run of the default dataset.

`python -m docs.screenshots [HOME]`, with what `make browser` installs and a Chromium of the system. Without a home
folder a new one is made, which takes as long as `make run`.
"""

import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_assets_tests.browser import open_page, open_uis
from mlops_assets_tests.homes import MAIN, ROOT, UNSET

if TYPE_CHECKING:
    from playwright.sync_api import Page

IMAGES = Path(__file__).resolve().parent / "images"
GROUPS = ("data_preparation", "training", "champion", "prediction")
COLUMNS = 104
COLOURS = 128
# MLflow opens a panel beside its pages on a first visit.
NO_ASSISTANT = "localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')"
SETTLED = 5_000  # milliseconds in which a drawn page gets its data


def run_pipeline(env: dict[str, str]) -> str:
    """What `mlops-assets run` shows in a terminal, from the table of assets on."""
    shown = env | {"FORCE_COLOR": "1", "TERM": "xterm-256color", "COLUMNS": str(COLUMNS)}
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

    console = Console(record=True, file=io.StringIO(), width=COLUMNS)
    console.print(Text.from_ansi(terminal))
    html = console.export_html(theme=MONOKAI, inline_styles=True)
    return html.replace("<body>", "<body style='display: inline-block; padding: 1em; font-size: 15px'>")


def capture(page: "Page", address: str, name: str, *, waits_for: str, element: str | None = None) -> None:
    """The picture of an address, once a text is there."""
    page.goto(address)
    page.get_by_text(waits_for).first.wait_for()
    page.wait_for_timeout(SETTLED)
    save(page, name, element)


def save(page: "Page", name: str, element: str | None = None) -> None:
    """Write what a page shows as a PNG of few colours."""
    from PIL import Image

    picture = page.locator(element).screenshot() if element else page.screenshot()
    path = IMAGES / f"{name}.png"
    Image.open(io.BytesIO(picture)).convert("RGB").quantize(COLOURS).save(path, optimize=True)
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1000:.0f} kB")


def take_all(home: Path) -> None:
    env = UNSET | {"MLOPS_HOME": str(home)}
    terminal = run_pipeline(env)
    with open_page(1800, 1000) as page:
        page.set_content(as_page(terminal))
        save(page, "leaderboard", "body")
    with open_uis(env, home / "dev.log") as uis:
        with open_page(1700, 640) as page:
            expanded = ",".join(f"global@global:{group}" for group in GROUPS)
            capture(page, f"{uis.dagster}/asset-groups?expanded={expanded}", "asset-graph", waits_for="champion_model")
        with open_page(1500, 1500) as page:
            capture(page, f"{uis.dagster}/assets/champion_model", "champion", waits_for="validation RMSE")
        with open_page(1500, 900) as page:
            page.add_init_script(NO_ASSISTANT)
            runs = f"{uis.mlflow}/#/experiments/1/runs?workflowType=machine_learning"
            capture(page, runs, "mlflow", waits_for="tune XGBoost")


def main() -> None:
    if len(sys.argv) > 1:
        take_all(Path(sys.argv[1]).absolute())
        return
    with tempfile.TemporaryDirectory() as folder:
        take_all(Path(folder))


if __name__ == "__main__":
    main()
