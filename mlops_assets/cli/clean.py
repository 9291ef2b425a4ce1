"""`clean`: remove what nobody needs any more, or only say what that is."""

from __future__ import annotations

from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from mlops_assets.instance import open_instance
from mlops_assets.operation.retention import expired, remove
from mlops_assets.project import open_project


def clean_up(*, dry_run: bool) -> None:
    project, now = open_project(), datetime.now(UTC)
    with open_instance(project) as instance:
        found = expired(instance, project, now)
        table = Table(title="Would be removed" if dry_run else "Removed", title_justify="left")
        for heading, side in (
            ("what", "left"),
            ("older than", "right"),
            ("how many", "right"),
            ("MB on disk", "right"),
        ):
            table.add_column(heading, justify=side)
        for kind in found:
            limit = f"{kind.days:g} days" if kind.days else "kept for ever"
            table.add_row(kind.kind, limit, f"{kind.count:,}", f"{kind.size / 1e6:,.1f}")
        if not dry_run:
            remove(project, found, now)
    Console().print(table)
