"""Who was champion when: changes as tags of versions, each sealed with those before it."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

PROMOTED, ROLLED_BACK, PENDING = "promoted/", "rolled_back/", "pending/"
SEAL = "seal/"  # before the key of a change: a digest of it and of the seal before, so that none is altered unnoticed
_STAMP = "%Y-%m-%dT%H%M%S.%fZ"


@dataclass(frozen=True)
class Promotion:
    """A time as champion: `version` was it from `since` to `until`, which is None for the present one."""

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


def seal_of(change: Change, before: str) -> str:
    """A digest of a change of champion and of the seal of the one before it; empty before the first."""
    sealed = [before, change.tag_key, change.version, change.reason]
    return hashlib.sha256(json.dumps(sealed).encode()).hexdigest()


def broken_seals(changes: Sequence[Change], seals: Mapping[str, str]) -> list[Change]:
    """Changes, oldest first, that are not as they were sealed, or come after a sealed one without a seal.

    `seals` by the keys of changes. What was recorded before there were seals has none.
    """
    broken, before = [], ""
    for change in changes:
        seal = seals.get(change.tag_key, "")
        if (seal or before) and seal != seal_of(change, before):
            broken.append(change)
        before = seal or before
    return broken


def pending_keys(tags: Mapping[str, str]) -> list[str]:
    """Keys of changes that were begun and not finished."""
    return [key for key in tags if key.startswith(PENDING)]


def changes_of(tags_by_version: Mapping[int, Mapping[str, str]], champion: int | None) -> list[Change]:
    """Changes of champion, oldest first; one that is pending counts where its version holds the alias."""
    changes = set()
    for version, tags in tags_by_version.items():
        for key, reason in tags.items():
            done = key.removeprefix(PENDING) if version == champion else key
            for kind in (PROMOTED, ROLLED_BACK):
                if done.startswith(kind):
                    at = datetime.strptime(done.removeprefix(kind), _STAMP).replace(tzinfo=UTC)
                    changes.add(Change(version, at, reason, kind == ROLLED_BACK))
    return sorted(changes, key=lambda change: change.at)


def line_of_champions(changes: Iterable[Change]) -> list[int]:
    """Champions up to the present one; a rollback takes those after its version off the line."""
    line: list[int] = []
    for change in changes:
        while change.is_rollback and line and line[-1] != change.version:
            line.pop()
        if not line or line[-1] != change.version:
            line.append(change.version)
    return line
