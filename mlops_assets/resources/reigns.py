"""Who was champion when, as tags on the versions of a registered model tell it.

A change of champion is one tag on the version that became it: key `promoted/<time>` or `rolled_back/<time>`, value
the reason. While the alias is on its way, `pending/` stands before the key.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

PROMOTED, ROLLED_BACK, PENDING = "promoted/", "rolled_back/", "pending/"
_STAMP = "%Y-%m-%dT%H%M%S.%fZ"


@dataclass(frozen=True)
class Promotion:
    """A reign: `version` was champion from `since` to `until`, which is None for the present one."""

    version: int
    model_type: str
    since: datetime
    until: datetime | None
    reason: str


@dataclass(frozen=True)
class Change:
    """One change of champion."""

    version: int
    at: datetime
    reason: str
    is_rollback: bool

    @property
    def tag_key(self) -> str:
        return (ROLLED_BACK if self.is_rollback else PROMOTED) + self.at.astimezone(UTC).strftime(_STAMP)


def pending_keys(tags: Mapping[str, str]) -> list[str]:
    """Keys of changes that were begun and not finished."""
    return [key for key in tags if key.startswith(PENDING)]


def changes_of(tags_by_version: Mapping[int, Mapping[str, str]], champion: int | None) -> list[Change]:
    """Changes of champion, oldest first; one that is pending counts where its version holds the alias."""
    found = set()
    for version, tags in tags_by_version.items():
        for key, reason in tags.items():
            done = key.removeprefix(PENDING) if version == champion else key
            for kind in (PROMOTED, ROLLED_BACK):
                if done.startswith(kind):
                    at = datetime.strptime(done.removeprefix(kind), _STAMP).replace(tzinfo=UTC)
                    found.add(Change(version, at, reason, kind == ROLLED_BACK))
    return sorted(found, key=lambda change: change.at)


def line_of_champions(changes: Iterable[Change]) -> list[int]:
    """Champions up to the present one; a rollback takes those after its version off the line."""
    line: list[int] = []
    for change in changes:
        while change.is_rollback and line and line[-1] != change.version:
            line.pop()
        if not line or line[-1] != change.version:
            line.append(change.version)
    return line
