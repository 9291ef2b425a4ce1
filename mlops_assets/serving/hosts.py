"""The names that this server goes by. A page of another site can make its own name point to this machine, and so have a
browser here ask as if it were us; what it cannot change is the name in the headers `Host` and `Origin`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from mlops_assets.serving.errors import ApiError
from mlops_assets.settings import Settings


@dataclass(frozen=True)
class OwnHosts:
    """Names besides those of this machine, in lower case and without ports."""

    names: frozenset[str] = frozenset()

    @classmethod
    def of(cls, settings: Settings) -> OwnHosts:
        urls = (settings.serve_url, settings.serve_api_url)
        return cls(frozenset({*(_name(url) for url in urls if url), *map(str.lower, settings.serve_hosts)}))

    def check(self, headers: Mapping[bytes, bytes]) -> None:
        """Raises ApiError where a request was meant for another name, or comes from a page of another one."""
        host = headers.get(b"host", b"")
        if not self._is_own(host):
            message = f"this server is not {_shown(host)}: without an API key it answers to its own names only"
            raise ApiError(421, "foreign_host", f"{message} (MLOPS_SERVE_HOSTS adds some)")
        if (origin := headers.get(b"origin")) is not None and not self._is_own(origin.partition(b"//")[2]):
            message = f"pages of {_shown(origin)} may not ask this server: without an API key only its own may"
            raise ApiError(403, "foreign_origin", f"{message} (MLOPS_SERVE_HOSTS adds some)")

    def _is_own(self, authority: bytes) -> bool:
        name = _name("//" + authority.decode("latin-1"))
        return name in self.names or is_loopback(name)


@lru_cache(maxsize=64)
def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@lru_cache(maxsize=64)  # each request has one of a few
def _name(url: str) -> str:
    """The name in an address, in lower case; empty where there is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _shown(name: bytes) -> str:
    return f"'{name.decode('ascii', 'replace'):.100}'"
