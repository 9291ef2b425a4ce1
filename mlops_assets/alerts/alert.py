"""An alert: what happened, told in plain words, and who hears of it."""

from __future__ import annotations

import shlex
import sysconfig
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from pydantic import TypeAdapter

from mlops_assets.database_urls import redact
from mlops_assets.project import Project
from mlops_assets.settings import Settings, project_root

Kind = Literal["failure", "champion", "drift", "freshness", "success"]
KINDS: tuple[Kind, ...] = ("failure", "champion", "drift", "freshness", "success")
_LONGEST_LINE = 400


@dataclass(frozen=True)
class Fact:
    """Something worth knowing, such as `RMSE`: `5.41 -> 5.32`."""

    name: str
    value: str


@dataclass(frozen=True)
class Link:
    """A page that says more."""

    name: str
    url: str


@dataclass(frozen=True)
class Change:
    """A quantity before and after, with its unit; no `before`: there was none."""

    name: str
    before: str
    after: str


@dataclass(frozen=True)
class Comparison:
    """A table of what was and what is, or of what else stands beside each other by the headings."""

    rows: tuple[Change, ...]
    before: str = "was"
    after: str = "is"


@dataclass(frozen=True)
class Bar:
    """A bar of a chart: its length is the share of `value` in the longest; `text` is what is written beside it."""

    name: str
    value: float
    text: str
    stands_out: bool = False


@dataclass(frozen=True)
class Bars:
    """A small chart."""

    title: str
    bars: tuple[Bar, ...]

    def share(self, bar: Bar) -> float:
        """The length of a bar, from 0 to 1."""
        longest = max(bar.value for bar in self.bars)
        return max(bar.value / longest, 0) if longest > 0 else 0


@dataclass(frozen=True)
class Alert:
    """One event that people want to hear of. The same event always has the same `key`.

    `title` is its subject, `summary` one sentence for whoever decides, `advice` the next step, `button` the page to
    open; `cause`, `facts`, `details` and `links` are for whoever repairs. `happened_at` is in UTC. Every text is one
    line, free of secrets and of real column names.
    """

    key: str
    kinds: tuple[Kind, ...]
    happened_at: datetime
    title: str
    cause: str
    summary: str = ""
    comparison: Comparison | None = None
    chart: Bars | None = None
    advice: str = ""
    command: str | None = None
    button: Link | None = None
    facts: tuple[Fact, ...] = ()
    details: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()

    def to_json(self) -> str:
        return _ADAPTER.dump_json(self).decode()


_ADAPTER = TypeAdapter(Alert)


def alert_from_json(text: str) -> Alert:
    return _ADAPTER.validate_json(text)


def chosen(settings: Settings, way: Literal["mail_to", "webhooks"], kind: Kind) -> tuple[str, ...]:
    """What the settings name for a kind, else for all; successes have to be asked for."""
    own = getattr(settings, f"{way}_{kind}")
    return own or (getattr(settings, way) if kind != "success" else ())


def one_line(project: Project, text: str) -> str:
    """Text from a run as one line of bounded length, without what must not leave the project."""
    text = project.spec.redact(text)
    settings = project.settings
    for uri in (settings.tracking_uri, settings.source_uri):
        text = redact(uri.get_secret_value(), text) if uri else text
    for secret in settings.alert_secrets:
        text = text.replace(secret.get_secret_value(), "***")
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_LINE else f"{text[: _LONGEST_LINE - 2]} …"


def named(asset: str, partition: str | None) -> str:
    return f"{asset}[{partition}]" if partition else asset


def to_paste(settings: Settings, *words: str) -> str:
    """`mlops-assets` with these words, to be pasted on the machine that this runs on."""
    home, dataset = settings.home_path, settings.dataset
    given = {"MLOPS_HOME": str(home)} if home != project_root() / "var" else {}
    given |= {"MLOPS_DATASET": dataset} if dataset != Settings.model_fields["dataset"].default else {}
    program = Path(sysconfig.get_path("scripts")) / "mlops-assets"
    environment = [f"{name}={shlex.quote(value)}" for name, value in given.items()]
    return f"cd {shlex.quote(str(project_root()))} && {' '.join([*environment, shlex.join([str(program), *words])])}"


def board_link(settings: Settings, board: str) -> Link:
    return Link("Open the dashboard", f"{settings.pages_url}/dashboards/?board={board}")


def run_link(settings: Settings, run_id: str) -> Link:
    return Link("run", f"{settings.dagster_url.rstrip('/')}/runs/{run_id}")


def asset_link(settings: Settings, asset: str, partition: str | None = None) -> Link:
    page = f"{settings.dagster_url.rstrip('/')}/assets/{quote(asset)}"
    return Link(named(asset, partition), f"{page}?view=partitions&partition={quote(partition)}" if partition else page)
