"""API keys: who may call. Only hashes of keys are kept in memory, and comparing them takes the same time for all."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from mlops_assets.errors import SettingsError
from mlops_assets.serving.errors import ApiError
from mlops_assets.settings import Settings

HASHED = "sha256:"
SHORTEST = 16
SECURITY = {  # how the OpenAPI page describes the ways to send one
    "bearer": {"type": "http", "scheme": "bearer"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "basic": {"type": "http", "scheme": "basic", "description": "Any name, and the key as password."},
}
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class ApiKeys:
    """SHA-256 hashes of the keys that open the server; without any, everyone who reaches it may call.

    Keys are random and long, so that a plain hash cannot be turned back; passwords would need a slow one.
    """

    hashes: tuple[bytes, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.hashes)

    def caller(self, headers: Mapping[bytes, bytes]) -> str:
        """A name for the key in a request's headers (lower-case names), for limits and logs.

        Raises ApiError where there is none, or one that is not known.
        """
        presented = sha256(_presented(headers)).digest()
        matches = [number for number, key_hash in enumerate(self.hashes, 1) if hmac.compare_digest(presented, key_hash)]
        if not matches:
            raise _refusal(headers)
        return f"key {matches[0]}"


def read_keys(settings: Settings) -> ApiKeys:
    """The keys of the settings and of the file that they name; raises SettingsError."""
    entries = [("MLOPS_API_KEYS", place, key.get_secret_value()) for place, key in enumerate(settings.api_keys, 1)]
    if settings.api_key_file:
        entries += [("MLOPS_API_KEY_FILE", line, key) for line, key in _lines(settings.api_key_file)]
    return ApiKeys(_hashes(entries))


def hash_of(key: str) -> str:
    """How a key is written where it shall not be readable."""
    return HASHED + sha256(key.encode()).hexdigest()


def _hashes(entries: Iterable[tuple[str, int, str]]) -> tuple[bytes, ...]:
    hashes = []
    for source, place, key in entries:
        if key.startswith(HASHED):
            digest = key.removeprefix(HASHED).lower()
            if not _HASH.fullmatch(digest):
                raise SettingsError(f"{source}: entry {place} is not `{HASHED}` and 64 hexadecimal digits")
            hashes.append(bytes.fromhex(digest))
        elif len(key) < SHORTEST:
            raise SettingsError(
                f"{source}: entry {place} is shorter than {SHORTEST} characters: make one with `mlops-assets new-key`"
            )
        else:
            hashes.append(sha256(key.encode()).digest())
    return tuple(dict.fromkeys(hashes))


def _lines(path: Path) -> list[tuple[int, str]]:
    try:
        text = path.expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise SettingsError(f"MLOPS_API_KEY_FILE cannot be read: {reason}") from None
    lines = ((number, line.partition("#")[0].strip()) for number, line in enumerate(text.splitlines(), 1))
    return [(number, line) for number, line in lines if line]


def _presented(headers: Mapping[bytes, bytes]) -> bytes:
    if key := headers.get(b"x-api-key"):
        return key.strip()
    scheme, _, rest = headers.get(b"authorization", b"").partition(b" ")
    match scheme.lower():
        case b"bearer":
            return rest.strip()
        case b"basic":  # what a browser sends once it has asked for a password: the key
            try:
                return base64.b64decode(rest.strip(), validate=True).partition(b":")[2]
            except binascii.Error:
                return b""
    return b""


def _refusal(headers: Mapping[bytes, bytes]) -> ApiError:
    message = "an API key is needed: send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`"
    is_browser = b"text/html" in headers.get(b"accept", b"")
    scheme = b'Basic realm="any name, and the API key as password"' if is_browser else b"Bearer"
    return ApiError(401, "unauthorized", message, headers=((b"www-authenticate", scheme),))
