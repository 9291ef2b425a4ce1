"""A question as a link: `?carrier=UA&distance=1400&compare-with=3` asks it again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

COMPARE = "compare-with"  # no alias has a hyphen
MOST_COMPARED = 3
_LONGEST = 10_000  # characters of a link, which browsers and servers take


@dataclass(frozen=True)
class Query:
    """Values of inputs by alias, as they are written, and the versions to compare the champion with."""

    values: dict[str, Any]
    compare: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.values or self.compare)


def parse_query(search: str | None) -> Query:
    """The question of an address's part from `?` on; what is no number is not taken for a version."""
    pairs = dict(parse_qsl((search or "")[:_LONGEST].removeprefix("?")))
    numbers = [part for part in pairs.pop(COMPARE, "").split(",") if part.isascii() and part.isdigit()]
    return Query(pairs, tuple(dict.fromkeys(int(part) for part in numbers))[:MOST_COMPARED])


def format_query(query: Query) -> str:
    pairs = [(name, str(value)) for name, value in query.values.items()]
    if query.compare:
        pairs.append((COMPARE, ",".join(map(str, query.compare))))
    return f"?{urlencode(pairs, safe=',:')}" if pairs else ""


def given(names: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    """The values of those fields that are not empty."""
    return {name: value for name, value in zip(names, values, strict=True) if value not in (None, "")}
