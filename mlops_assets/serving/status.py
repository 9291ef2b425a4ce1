"""What the server tells of itself: its health, its model, its metrics; and the hint to look for a new champion."""

from __future__ import annotations

import base64
import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

from fastapi import APIRouter, Request, Response

from mlops_assets.serving.errors import ApiError
from mlops_assets.serving.limits import Bodies
from mlops_assets.serving.metrics import Metrics, PipelineMetrics
from mlops_assets.serving.predictor import Champion, Predictor
from mlops_assets.serving.schemas import ErrorAnswer, Health, LoadedModel, ModelPage, Ready, Refresh

REFRESH = "/model/refresh"
EXAMPLES = 3
NOT_READY: dict[int | str, dict[str, Any]] = {
    503: {"model": ErrorAnswer, "description": "There is no champion to answer with."}
}
OLDEST = 300  # seconds; a message that was recorded cannot be played again for ever
_VERSION = "v1"


def build_router(
    predictor: Predictor,
    bodies: Bodies,
    metrics: Metrics,
    secret: WebhookSecret | None,
    pipeline: PipelineMetrics | None,
    hint: Callable[[], None],
) -> APIRouter:
    router = APIRouter()

    @router.get("/health")
    async def health() -> Health:
        """The process is alive."""
        champion, check = predictor.loaded, predictor.last_check
        return Health(
            status="alive",
            model=_loaded(champion) if champion else None,
            last_look=check.at if check else None,
            last_reload_error=check.problem if check else None,
        )

    @router.get("/ready", responses=NOT_READY)
    async def ready() -> Ready:
        """A champion is loaded: requests are answered."""
        return Ready(status="ready", model_version=predictor.champion.number)

    @router.get("/model", responses=NOT_READY)
    async def model() -> ModelPage:
        """The model that answers: its inputs, its metrics, why it is champion, and where it came from."""
        return model_page(predictor.champion)

    @router.post(REFRESH, status_code=202, responses={401: {"model": ErrorAnswer, "description": "Not signed."}})
    async def refresh(request: Request) -> Refresh:
        """Look now who is champion. For MLflow's webhooks; the body is of no account, its signature is checked."""
        body = await bodies.read(request.scope["header_map"], request.receive)
        bodies.release(body)
        if secret:
            secret.verify(request.headers, body)
        hint()
        return Refresh(status="looking")

    @router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def prometheus() -> Response:
        """Counters for Prometheus: of this server, and of the pipeline behind it."""
        champion = predictor.loaded
        metrics.model_age.set(champion.age_seconds if champion else 0)
        text = metrics.text() + (await pipeline.text() if pipeline else b"")
        return Response(text, media_type=metrics.content_type)

    return router


def model_page(champion: Champion) -> ModelPage:
    version, model = champion.version, champion.model
    return ModelPage(
        model=champion.card,
        unit=champion.unit,
        coverage=model.coverage,
        loaded_at=champion.loaded_at,
        registered_at=version.created,
        registry_page=champion.origin.registry_page,
        verdict=version.tags.get("verdict"),
        periods=[period for period in version.tags.get("periods", "").split(",") if period],
        metrics=champion.origin.metrics,
        signature=[asdict(item) for item in model.signature],
        examples=example_rows(champion),
    )


def example_rows(champion: Champion) -> list[dict]:
    """Complete rows of those that the model is checked by."""
    whole = [row for row in champion.golden_rows if None not in row.values()]
    return [dict(row) for row in whole if len(row) == len(champion.model.signature)][:EXAMPLES]


def _loaded(champion: Champion) -> LoadedModel:
    return LoadedModel(
        version=champion.number,
        type=champion.version.model_type,
        loaded_at=champion.loaded_at,
        age_seconds=round(champion.age_seconds, 1),
    )


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
