"""MLflow's webhook: believed only with the signature that MLflow itself makes, and only for some minutes."""

import json

import pytest
from mlflow.webhooks.delivery import _generate_hmac_signature

from mlops_assets.serving.errors import ApiError
from mlops_assets.serving.status import OLDEST, WebhookSecret, sign

SECRET, NOW = "a secret of webhooks", 1_750_000_000
BODY = json.dumps({"entity": "model_version_alias", "action": "created", "data": {"alias": "champion"}})


def headers(secret=SECRET, delivery="d-1", stamp=NOW, body=BODY):
    signature = _generate_hmac_signature(secret, delivery, str(stamp), body)
    return {"x-mlflow-signature": signature, "x-mlflow-delivery-id": delivery, "x-mlflow-timestamp": str(stamp)}


@pytest.fixture
def secret():
    return WebhookSecret(SECRET, clock=lambda: NOW)


def test_what_mlflow_signs_is_believed(secret):
    secret.verify(headers(), BODY.encode())
    secret.verify(headers(stamp=NOW - OLDEST), BODY.encode())


@pytest.mark.parametrize(
    "sent",
    [
        {},
        headers(secret="another"),
        headers(body=BODY + " "),
        headers(stamp=NOW - OLDEST - 1),
        headers(stamp=NOW + OLDEST + 1),
        headers() | {"x-mlflow-delivery-id": "d-2"},
        headers() | {"x-mlflow-timestamp": str(NOW + 1)},
        headers() | {"x-mlflow-timestamp": "now"},
        headers() | {"x-mlflow-signature": "v1,"},
        headers() | {"x-mlflow-signature": "ü"},
    ],
)
def test_anything_else_is_refused(secret, sent):
    with pytest.raises(ApiError, match="not signed with the secret of this server, or too old"):
        secret.verify(sent, BODY.encode())


def test_with_a_secret_the_signature_stands_for_the_key(serve):
    import time

    served = serve(MLOPS_WEBHOOK_SECRET=SECRET, MLOPS_API_KEYS="some-key-0123456789")
    stamp = str(int(time.time()))
    sent = {"X-MLflow-Delivery-Id": "d", "X-MLflow-Timestamp": stamp}
    assert served.error("POST", "/model/refresh", content=BODY, headers=sent)["status"] == 401
    sent["X-MLflow-Signature"] = sign(SECRET, "d", stamp, BODY.encode())
    answer = served.client.post("/model/refresh", content=BODY, headers=sent)
    assert (answer.status_code, answer.json()) == (202, {"status": "looking"})
