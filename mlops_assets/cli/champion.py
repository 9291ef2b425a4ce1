"""`rollback` and `history`: who holds, and who held, the alias `champion`."""

from __future__ import annotations

from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from mlops_assets.assets.records import reigns, report_rollback
from mlops_assets.instance import open_instance
from mlops_assets.project import open_project


def roll_back() -> None:
    """Move the alias back, and record that in Dagster too, so that predictions know."""
    project = open_project()
    with open_instance(project) as instance:
        before, now = project.registry.rollback(at=datetime.now(UTC))
        report_rollback(instance, before, now, reigns(project.registry))
    Console().print(f"Champion: version {now.number} ({now.model_type}) again, instead of version {before.number}.")


def show_history() -> None:
    project = open_project()
    table = Table(title=f"Champions of {project.spec.name}", title_justify="left")
    for heading in ("version", "model", "from", "until", "why"):
        table.add_column(heading)
    for item in project.registry.history():
        until = f"{item.until:%Y-%m-%d %H:%M}" if item.until else "now"
        table.add_row(str(item.version), item.model_type, f"{item.since:%Y-%m-%d %H:%M}", until, item.reason)
    Console().print(table)
