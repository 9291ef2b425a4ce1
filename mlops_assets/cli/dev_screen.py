"""What `dev` shows: a panel of links that stays last, and above it a line for each run that began or ended."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import dagster as dg
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from mlops_assets.addresses import dagster_run_page
from mlops_assets.run_tags import RETRAINING, STARTED_BY, partitions_of

if TYPE_CHECKING:
    from rich.console import RenderableType

LOOK_SECONDS = 2.0  # between two looks at Dagster's runs
_ENDED = {
    dg.DagsterRunStatus.SUCCESS: "ended",
    dg.DagsterRunStatus.FAILURE: "[red]failed[/red]",
    dg.DagsterRunStatus.CANCELED: "[yellow]was canceled[/yellow]",
}


class DevScreen:
    """Use it as a context manager. Where there is no terminal, links and lines are printed one below the other."""

    def __init__(self, console: Console, links: Mapping[str, str], runs: RunNews, log: Path) -> None:
        """`links`: addresses by name. `log`: the file that has what the servers say."""
        self._console, self._links, self._runs, self._log = console, links, runs, log
        self._up: set[str] = set()
        self._looked_at = 0.0
        self._live = Live(console=console, get_renderable=self._panel, refresh_per_second=4)

    def __enter__(self) -> DevScreen:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def look(self) -> None:
        """Look at what has happened since; cheap, and to be called often."""
        if time.monotonic() - self._looked_at < LOOK_SECONDS:
            return
        for name, address in self._links.items():
            if name not in self._up and _answers(address):
                self._up.add(name)
                if not self._console.is_terminal:
                    self._console.print(f"{name}: {address}", soft_wrap=True)
        for line in self._runs.since_last_look():
            self._console.print(line, highlight=False, soft_wrap=not self._console.is_terminal)
        self._looked_at = time.monotonic()

    def _panel(self) -> RenderableType:
        table = Table.grid(padding=(0, 1))
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for name, address in self._links.items():
            mark = "[green]●[/green]" if name in self._up else "[dim]○[/dim]"
            table.add_row(mark, name, escape(address))
        state = "Ctrl-C stops all" if len(self._up) == len(self._links) else "starting; it takes half a minute"
        return Panel(table, title="mlops-assets", subtitle=f"{state}; log: {self._log.name}", expand=False)


class RunNews:
    """One line for each run of Dagster that began or ended since the last look."""

    def __init__(self, instance: dg.DagsterInstance, dagster: str) -> None:
        """`dagster`: where its UI is."""
        self._instance, self._dagster = instance, dagster
        self._since = datetime.now(UTC)
        self._told: dict[str, dg.DagsterRunStatus] = {}

    def since_last_look(self) -> Iterator[str]:
        changed = dg.RunsFilter(updated_after=self._since)
        for record in self._instance.get_run_records(changed, order_by="update_timestamp", ascending=True, limit=100):
            self._since = record.update_timestamp.replace(tzinfo=UTC) - timedelta(milliseconds=1)
            run = record.dagster_run
            is_told = run.status == dg.DagsterRunStatus.STARTED or run.status in _ENDED
            if is_told and self._told.get(run.run_id) != run.status:
                self._told[run.run_id] = run.status
                yield self._line(record)

    def _line(self, record: dg.RunRecord) -> str:
        run, partitions = record.dagster_run, partitions_of(record.dagster_run.tags)
        name = escape(f"{run.job_name} of {partitions}" if partitions else run.job_name)
        at = datetime.fromtimestamp(record.end_time or record.start_time or time.time())
        if run.status == dg.DagsterRunStatus.STARTED:
            starter = "" if RETRAINING in run.tags else f" ({run.tags.get(STARTED_BY, 'manual')})"
            return f"[dim]{at:%H:%M:%S}[/dim] {name} began{starter}"
        took = f" after {record.end_time - record.start_time:.0f} s" if record.end_time and record.start_time else ""
        page = f": {dagster_run_page(self._dagster, run.run_id)}" if run.status != dg.DagsterRunStatus.SUCCESS else ""
        return f"[dim]{at:%H:%M:%S}[/dim] {name} {_ENDED[run.status]}{took}{page}"


def last_lines(log: Path, count: int = 15) -> str:
    """The end of what the servers said, for when one of them has ended by itself."""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-count:])


def _answers(address: str) -> bool:
    parts = urlsplit(address)
    with suppress(OSError), socket.create_connection((parts.hostname, parts.port), timeout=0.2):
        return True
    return False
