"""What is defined in the code location, as far as dashboards show it; the command line reads it from Dagster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Automation:
    """A schedule with its cron, or a sensor with the seconds between its ticks."""

    name: str
    cron: str | None = None
    timezone: str | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Catalogue:
    """Names of what the code location holds.

    `jobs`: the assets that each makes. `checks`: pairs of asset and check. `fresh_days`: by asset, the days after
    which it warns and fails.
    """

    jobs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    checks: tuple[tuple[str, str], ...] = ()
    automations: tuple[Automation, ...] = ()
    fresh_days: Mapping[str, tuple[float | None, float]] = field(default_factory=dict)
