"""An alert: what happened, told in plain words, and who hears of it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from urllib.parse import quote

from pydantic import TypeAdapter

from mlops_assets.database_urls import redact
from mlops_assets.project import Project
from mlops_assets.run_tags import TO
from mlops_assets.settings import Settings

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
class Alert:
    """One event that people want to hear of. The same event always has the same `key`.

    `happened_at` is in UTC. Every text is one line, free of secrets and of real column names.
    """

    key: str
    kinds: tuple[Kind, ...]
    happened_at: datetime
    title: str
    cause: str
    facts: tuple[Fact, ...] = ()
    details: tuple[str, ...] = ()
    command: str | None = None
    links: tuple[Link, ...] = ()

    def to_json(self) -> str:
        return _ADAPTER.dump_json(self).decode()


_ADAPTER = TypeAdapter(Alert)


def alert_from_json(text: str) -> Alert:
    return _ADAPTER.validate_json(text)


def recipients(settings: Settings, kinds: Iterable[Kind]) -> tuple[str, ...]:
    """Who hears of these kinds, each once. Successes are told only to those who asked for them."""
    people: dict[str, None] = {}
    for kind in kinds:
        own = getattr(settings, f"mail_to_{kind}")
        people |= dict.fromkeys(own or (settings.mail_to if kind != "success" else ()))
    return tuple(people)


def one_line(project: Project, text: str) -> str:
    """Text from a run as one line of bounded length, without what must not leave the project."""
    text = project.spec.redact(text)
    settings = project.settings
    for uri in (settings.tracking_uri, settings.source_uri):
        text = redact(uri.get_secret_value(), text) if uri else text
    if settings.smtp_password:
        text = text.replace(settings.smtp_password.get_secret_value(), "***")
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_LINE else f"{text[: _LONGEST_LINE - 2]} …"


def named(asset: str, partition: str | None) -> str:
    return f"{asset}[{partition}]" if partition else asset


def materialize_command(asset: str, partitions: str | None) -> str:
    """What makes an asset, one partition of it, or those from the first to the last."""
    words = ["dagster", "asset", "materialize", "-m", "mlops_assets.definitions", "--select", asset]
    option = "--partition-range" if partitions and TO in partitions else "--partition"
    return shlex.join([*words, option, partitions] if partitions else words)


def run_link(settings: Settings, run_id: str) -> Link:
    return Link("run", f"{settings.dagster_url.rstrip('/')}/runs/{run_id}")


def asset_link(settings: Settings, asset: str, partition: str | None = None) -> Link:
    page = f"{settings.dagster_url.rstrip('/')}/assets/{quote(asset)}"
    return Link(named(asset, partition), f"{page}?view=partitions&partition={quote(partition)}" if partition else page)
