"""What a result was made from: a recipe with a digest. With an equal digest nothing is computed again."""

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from types import MappingProxyType
from typing import Any, TypeAlias

Json: TypeAlias = "dict[str, Json] | list[Json] | str | float | None"  # what JSON gives back
_DIGEST = re.compile(r"[0-9a-f]{32,}")
_LONGEST_VALUE = 60


# XGBoost comes in one of two packages.
_ALSO_AS = {"xgboost": "xgboost-cpu"}


@cache
def installed(package: str) -> tuple[str, str]:
    """The name under which a package is installed, and its version; raises PackageNotFoundError."""
    try:
        return package, version(package)
    except PackageNotFoundError:
        if package not in _ALSO_AS:
            raise
        return _ALSO_AS[package], version(_ALSO_AS[package])


@dataclass(frozen=True)
class Recipe:
    """Named parts, such as code, settings, data and upstream, whose values JSON can hold.

    Raises TypeError that names the part where a value is not JSON (a path, say).
    """

    parts: Mapping[str, Any]
    digest: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        parts = {name: _plain(value, name) for name, value in self.parts.items()}
        object.__setattr__(self, "parts", MappingProxyType(parts))
        object.__setattr__(self, "digest", hashlib.sha256(self.to_json().encode()).hexdigest())

    def __hash__(self) -> int:
        return hash(self.digest)

    def to_json(self) -> str:
        """Canonical JSON: keys sorted, no spaces, floats at full precision."""
        return _canonical(dict(self.parts))

    @classmethod
    def from_json(cls, text: str) -> "Recipe":
        return cls(json.loads(text))


def changes(old: Recipe, new: Recipe) -> tuple[str, ...]:
    """A line for each difference, such as `settings: max_trials 10 -> 20` or `data: period 2024-03 is new`."""
    lines = []
    for part in sorted(old.parts.keys() | new.parts.keys()):
        if part not in new.parts:
            lines.append(f"{part} is gone")
        elif part not in old.parts:
            lines.append(f"{part} is new")
        else:
            lines += [f"{part}: {line}" for line in _differences("", old.parts[part], new.parts[part])]
    return tuple(lines)


def _differences(path: str, old: Json, new: Json) -> Iterator[str]:
    if _canonical(old) == _canonical(new):
        return
    if isinstance(old, list) and isinstance(new, list) and not any(map(_is_nested, old + new)):
        yield _joined(path, _list_change(old, new))
    elif isinstance(old, dict) and isinstance(new, dict):
        yield from _mapping_differences(path, old, new)
    elif isinstance(old, list) and isinstance(new, list):
        yield from _mapping_differences(path, _numbered(old), _numbered(new))
    elif (_is_digest(old) and _is_digest(new)) or _brief(old) == _brief(new):
        yield _joined(path, "changed")
    else:
        yield _joined(path, f"{_brief(old)} -> {_brief(new)}")


def _mapping_differences(path: str, old: dict[str, Json], new: dict[str, Json]) -> Iterator[str]:
    for key in sorted(old.keys() | new.keys()):
        below = _joined(path, key)
        if key not in new:
            yield f"{below} is gone"
        elif key not in old:
            yield f"{below} is new" + ("" if _is_nested(new[key]) or _is_digest(new[key]) else f" ({_brief(new[key])})")
        else:
            yield from _differences(below, old[key], new[key])


def _list_change(old: list[Json], new: list[Json]) -> str:
    before, after = Counter(map(_brief, old)), Counter(map(_brief, new))
    gained, lost = ", ".join(after - before), ", ".join(before - after)
    parts = [f"gained {gained}"] if gained else []
    parts += [f"lost {lost}"] if lost else []
    return " and ".join(parts) or "are in another order"


def _joined(path: str, words: str) -> str:
    return f"{path} {words}".strip()


def _numbered(items: list[Json]) -> dict[str, Json]:
    return {f"#{position}": item for position, item in enumerate(items, start=1)}


def _is_nested(value: Json) -> bool:
    return isinstance(value, dict | list)


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def _brief(value: Json) -> str:
    text = value[:8] if isinstance(value, str) and _is_digest(value) else _canonical(value)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"


def _canonical(value: Json) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _plain(value: object, where: str) -> Json:
    """`value` as JSON would give it back: tuples are lists, subclasses of str are str."""
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"{where} has the key {key!r}, which is no text: use a str")
        return {str(key): _plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, str):
        return str(value)
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    raise TypeError(f"{where} is {value!r}, which JSON cannot hold: use text, a number or None")
