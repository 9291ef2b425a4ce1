"""`backup` and `restore`: everything into one file, and back; `-` is a pipe."""

from __future__ import annotations

import sys
from pathlib import Path

from mlops_assets.cli.runner import exclusive
from mlops_assets.operation.backup import back_up, stream_backup
from mlops_assets.operation.restore import restore
from mlops_assets.project import open_project

PIPE = Path("-")


def make_backup(target: Path, database: Path | None) -> None:
    if target == PIPE:
        stream_backup(open_project(), sys.stdout.buffer, database)
        return
    made = back_up(open_project(), target, database)
    print(f"{target}: {made.files:,} files, {made.size / 1e6:,.1f} MB")
    for place in made.absent:
        print(f"not in it, because it lies elsewhere: {place}")


def restore_backup(source: Path, *, replace: bool, with_database: bool) -> None:
    project = open_project()
    given = sys.stdin.buffer if source == PIPE else source
    with exclusive(project):
        about = restore(project, given, replace=replace, with_database=with_database)
    print(f"{about.dataset} is as it was at {about.made_at[:16].replace('T', ' ')} UTC")
