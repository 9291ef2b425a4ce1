"""`backup` and `restore`: everything into one file, and back; `-` is a pipe."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mlops_assets.assets.records import reigns, report_rollback
from mlops_assets.cli.runner import exclusive
from mlops_assets.instance import open_instance
from mlops_assets.operation.backup import back_up, stream_backup
from mlops_assets.operation.restore import restore
from mlops_assets.operation.retention import expired, remove
from mlops_assets.project import open_project

PIPE = Path("-")


def make_backup(target: Path, database: Path | None) -> None:
    if target == PIPE:
        stream_backup(open_project(), sys.stdout.buffer, database)
        return
    backup = back_up(open_project(), target, database)
    print(f"{target}: {backup.files:,} files, {backup.size / 1e6:,.1f} MB")
    for place in backup.absent:
        print(f"not in it, because it lies elsewhere: {place}")


def restore_backup(source: Path, *, replace: bool, with_database: bool) -> None:
    project = open_project()
    stream = sys.stdin.buffer if source == PIPE else source
    with exclusive(project):
        about = restore(project, stream, replace=replace, with_database=with_database)
    print(f"{about.dataset} is as it was at {about.made_at[:16].replace('T', ' ')} UTC")


def clean_up(*, dry_run: bool) -> None:
    project, now = open_project(), datetime.now(UTC)
    with open_instance(project) as instance:
        kinds = expired(instance, project, now)
        table = Table(title="Would be removed" if dry_run else "Removed", title_justify="left")
        table.add_column("what")
        for heading in ("older than", "how many", "MB on disk"):
            table.add_column(heading, justify="right")
        for kind in kinds:
            limit = f"{kind.days:g} days" if kind.days else "kept for ever"
            table.add_row(kind.kind, limit, f"{kind.count:,}", f"{kind.size / 1e6:,.1f}")
        if not dry_run:
            remove(project, kinds, now)
    Console().print(table)


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
