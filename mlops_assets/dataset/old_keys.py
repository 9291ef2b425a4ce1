"""Names that keys of a dataset's YAML had when a period was always a month: they are taken, and told."""

from collections.abc import Iterator, Mapping
from typing import Any

# The new name of a key, by the part that it stands in.
RENAMED = {
    "time": {"first_month": "first", "last_month": "last", "keep_other_months": "keep_other_periods"},
    "window": {
        "train_months": "train_periods",
        "validation_months": "validation_periods",
        "test_months": "test_periods",
    },
}
_SINCE: dict[str, dict[str, Any]] = {"time": {"every": "month"}, "window": {"gaps": "allow"}}  # keys that came later
_IN_URI = "{month}", "{period}"


def renewed(document: Any) -> tuple[Any, tuple[str, ...]]:
    """A document with the names of now, and a sentence for each old one; a key that is given twice stays as it is."""
    if not isinstance(document, dict):
        return document, ()
    told: list[str] = []
    document = dict(document)
    for part, names in RENAMED.items():
        if isinstance(document.get(part), dict):
            document[part] = dict(_renamed(document[part], part, names, told))
    source, (old, new) = document.get("source"), _IN_URI
    if isinstance(source, dict) and old in str(source.get("uri", "")):
        document["source"] = source | {"uri": uri_now(source["uri"])}
        told.append(f"{old} in source.uri is {new} now")
    return document, tuple(told)


def renewed_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a recipe that was recorded then, as they are called now: what has not changed stays made."""
    return dict(settings) | {
        part: _SINCE[part] | {names.get(key, key): value for key, value in settings[part].items()}
        for part, names in RENAMED.items()
        if isinstance(settings.get(part), dict)
    }


def uri_now(uri: str) -> str:
    """A URI that may be written as then, as it is written now."""
    return uri.replace(*_IN_URI)


def uri_then(uri: str) -> str:
    """A URI as it was written then, so that its digest is the same."""
    old, new = _IN_URI
    return uri.replace(new, old)


def _renamed(keys: dict[Any, Any], part: str, names: dict[str, str], told: list[str]) -> Iterator[tuple[Any, Any]]:
    for key, value in keys.items():
        new = names.get(key)
        if new is None or new in keys:
            yield key, value
        else:
            told.append(f"{part}.{key} is {part}.{new} now")
            yield new, value
