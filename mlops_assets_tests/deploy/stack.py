"""docker-compose.yml as Compose reads it, with the defaults of its variables."""

import re
from functools import cache

import yaml

from mlops_assets_tests.documents import ROOT

TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
_VARIABLE = re.compile(r"\$\{(\w+)(:-([^}]*))?\}")


def variables() -> set[tuple[str, str | None]]:
    """Each variable and its default; None where it has none."""
    return {(name, default if has else None) for name, has, default in _VARIABLE.findall(TEXT)}


@cache
def stack() -> dict:
    return yaml.safe_load(_VARIABLE.sub(lambda found: found[3] or "", TEXT))


def services() -> dict[str, dict]:
    """What is up all the time, without the tool that backs up."""
    return {name: service for name, service in stack()["services"].items() if service.get("profiles") != ["keeper"]}


def ours() -> dict[str, dict]:
    """The services that run our own image."""
    return {name: service for name, service in services().items() if "build" in service}
