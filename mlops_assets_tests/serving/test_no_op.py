"""The server without a model, which benchmarks stand beside the real one: it has to answer as that does."""

import httpx
import pytest

from benchmarks.noop import build
from mlops_assets_tests.serving.served import running


@pytest.mark.parametrize("path", ["/predict", "/no-op"])
def test_the_server_without_a_model_answers_with_what_the_real_one_tells(served, rows, path):
    real = served.client.post("/predict", json=rows[0]).json()
    with running(build(served.project)) as url:
        answer = httpx.post(url + path, json=rows[0], timeout=60)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["prediction"] == 1.0
    assert (told.keys(), told["model"].keys()) == (real.keys(), real["model"].keys())
