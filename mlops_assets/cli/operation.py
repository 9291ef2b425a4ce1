"""`backup`, `restore`, `clean`; and `rollback`, `approve`, `history` of the alias `champion`. `-` is a pipe."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import UTC, datetime
from getpass import getuser
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mlops_assets.assets.records import reigns, report_by_hand
from mlops_assets.cli.runner import exclusive
from mlops_assets.cli.terminal import print_json
from mlops_assets.errors import InputError, TrackingError
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


def clean_up(*, dry_run: bool, as_json: bool) -> None:
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
    if as_json:
        answer = [{"what": it.kind, "older_than_days": it.days, "count": it.count, "bytes": it.size} for it in kinds]
        print_json(answer)
    else:
        Console().print(table)


def roll_back() -> None:
    """Move the alias back, and record that in Dagster too, so that predictions know."""
    project = open_project()
    with open_instance(project) as instance:
        before, now = project.registry.rollback(at=datetime.now(UTC))
        verdict = f"Rolled back by hand from version {before.number} to version {now.number}."
        report_by_hand(instance, now, "rolled back", verdict, reigns(project.registry))
    Console().print(f"Champion: version {now.number} ({now.model_type}) again, instead of version {before.number}.")


def approve_version(number: int, why: str, who: str | None) -> None:
    """Make the proposed version the champion, and record that in Dagster too."""
    project = open_project()
    if not why.strip():
        raise InputError("--why must say why: it is kept in the history")
    with open_instance(project) as instance:
        now = project.registry.approve(number, who=who or getuser(), why=why.strip(), at=datetime.now(UTC))
        verdict = f"Version {number} approved by {who or getuser()}: {why.strip()}"
        report_by_hand(instance, now, "approved", verdict, reigns(project.registry))
    Console().print(f"Champion: version {now.number} ({now.model_type}), approved by {who or getuser()}.")


def show_history(*, verify: bool, as_json: bool) -> None:
    project = open_project()
    if verify:
        sealed, broken = project.registry.verify_history()
        if broken:
            names = ", ".join(f"version {change.version} at {change.at:%Y-%m-%d %H:%M}" for change in broken)
            raise TrackingError(f"the history is not as it was written: {names}")
        if as_json:
            print_json({"sealed": sealed, "broken": []})
        else:
            print(f"{sealed} change(s) of champion are as they were written.")
        return
    if as_json:
        print_json([asdict(item) for item in project.registry.history()])
        return
    table = Table(title=f"Champions of {project.spec.name}", title_justify="left")
    for heading in ("version", "model", "from", "until", "why"):
        table.add_column(heading)
    for item in project.registry.history():
        until = f"{item.until:%Y-%m-%d %H:%M}" if item.until else "now"
        table.add_row(str(item.version), item.model_type, f"{item.since:%Y-%m-%d %H:%M}", until, item.reason)
    Console().print(table)
