"""MLflow's webhooks: signed messages that something in the registry has changed. A hint; polling is the truth."""

from __future__ import annotations

import base64
import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256

from mlops_assets.backend.errors import ApiError

OLDEST = 300  # seconds; a message that was recorded cannot be played again for ever
_VERSION = "v1"


@dataclass(frozen=True)
class WebhookSecret:
    """Verifies what MLflow signs: HMAC-SHA256 of `<delivery id>.<timestamp>.<body>` (standardwebhooks.com)."""

    secret: str
    clock: Callable[[], float] = time.time

    def verify(self, headers: Mapping[str, str], body: bytes) -> None:
        """Raises ApiError where the message is not signed with the secret, or is too old."""
        delivery, stamp = headers.get("x-mlflow-delivery-id", ""), headers.get("x-mlflow-timestamp", "")
        signed = sign(self.secret, delivery, stamp, body)
        is_signed = hmac.compare_digest(signed.encode(), headers.get("x-mlflow-signature", "").encode())
        is_fresh = stamp.isdecimal() and abs(self.clock() - int(stamp)) <= OLDEST
        if not (is_signed and is_fresh):
            raise ApiError(401, "bad_signature", "the webhook is not signed with the secret of this server, or too old")


def sign(secret: str, delivery: str, stamp: str, body: bytes) -> str:
    """The signature as MLflow's header X-MLflow-Signature has it."""
    content = f"{delivery}.{stamp}.".encode() + body
    digest = hmac.new(secret.encode(), content, sha256).digest()
    return f"{_VERSION},{base64.b64encode(digest).decode()}"
