"""What `dev` shows: a panel that stays last, a line for each run that begins or ends, and no more."""

import os
from io import StringIO
from pathlib import Path

import dagster as dg
import pytest
from rich.console import Console

from mlops_assets.cli.dev_screen import DevScreen, RunNews, last_lines
from mlops_assets.run_tags import STARTED_BY
from mlops_assets_tests.screens import run_in_terminal, screen_of
from mlops_assets_tests.servers import free_port

SCREEN = """
from pathlib import Path
from types import SimpleNamespace
from rich.console import Console
from mlops_assets.cli.dev_screen import DevScreen

lines = [["02:10:01 retrain began (schedule)"], ["02:10:09 tune of XGBoost ended after 8 s"], []]
news = SimpleNamespace(since_last_look=lambda: lines.pop(0) if lines else [])
links = {"Form": "http://127.0.0.1:8000", "MLflow": "http://127.0.0.1:5001/#/experiments?workflowType=machine_learning"}
with DevScreen(Console(), links, news, Path("dev.log")) as screen:
    for _ in range(3):
        screen._looked_at = -9.0
        screen.look()
"""


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def test_a_run_is_told_when_it_begins_and_when_it_ends_once_each(instance):
    news = RunNews(instance, "http://dagster")
    tags = {STARTED_BY: "schedule", "dagster/partition": "XGBoost"}
    run = instance.add_run(dg.DagsterRun("tune", tags=tags, status=dg.DagsterRunStatus.STARTING))
    assert list(news.since_last_look()) == []
    instance.report_dagster_event(dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, "tune"), run.run_id)
    (began,) = news.since_last_look()
    assert began.endswith("tune of XGBoost began (schedule)")
    assert list(news.since_last_look()) == []
    instance.report_run_failed(instance.get_run_by_id(run.run_id))
    (failed,) = news.since_last_look()
    assert "tune of XGBoost [red]failed[/red]" in failed and failed.endswith(f"http://dagster/runs/{run.run_id}")


@pytest.mark.parametrize("columns", [80, 110])
def test_a_terminal_has_the_runs_above_and_one_panel_below(columns):
    env = dict(os.environ) | {"COLUMNS": str(columns), "LINES": "40"}
    shown = [line for line in screen_of(run_in_terminal(SCREEN, columns, env), columns) if line]
    assert shown[:2] == ["02:10:01 retrain began (schedule)", "02:10:09 tune of XGBoost ended after 8 s"]
    assert [line for line in shown if "mlops-assets" in line] == [shown[2]]
    assert len(shown) == 6 and "http://127.0.0.1:8000" in shown[3] and shown[4].count("machine_learning") == 1
    assert "dev.log" in shown[5]


def test_without_a_terminal_each_link_is_a_line_once_it_answers():
    console = Console(file=StringIO(), width=200)
    news = type("News", (), {"since_last_look": lambda self: []})()
    with DevScreen(console, {"Form": f"http://127.0.0.1:{free_port()}"}, news, Path("dev.log")) as screen:
        screen.look()
    assert console.file.getvalue().strip() == ""


def test_the_end_of_the_log_says_why_a_server_has_ended(tmp_path):
    log = tmp_path / "dev.log"
    log.write_text("\n".join(map(str, range(100))))
    assert last_lines(log, 2) == "98\n99"
