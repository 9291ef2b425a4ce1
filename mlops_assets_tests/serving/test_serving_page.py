"""docs/serving.md: its requests are of the routes and inputs that there are, its codes those of the code."""

import json
import re
import shlex

import pytest

from mlops_assets.dataset import load_dataset
from mlops_assets_tests.documents import ROOT, blocks

PAGE = ROOT / "docs" / "serving.md"
TEXT = PAGE.read_text(encoding="utf-8")
CURLS = [shlex.split(line) for block in blocks(PAGE, "bash") for line in block.splitlines()]
CODE = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "mlops_assets" / "serving").glob("*.py"))


@pytest.mark.parametrize("words", CURLS, ids=lambda words: words[1])
def test_documented_requests_are_understood(served, words):
    document = served.client.get("/openapi.json").json()
    path = words[1].partition(":8000")[2]
    sent = words[words.index("--json") + 1] if "--json" in words else None
    assert ("post" if sent else "get") in document["paths"][path]
    if sent:
        assert tuple(json.loads(sent)) == load_dataset("nyc_flights", {}).inputs()


def test_documented_routes_are_those_of_the_openapi_page(served):
    document = served.client.get("/openapi.json").json()
    told = set(re.findall(r"`(?:GET|POST) (/[^`?]+)`", TEXT))
    assert told - {"/model/refresh"} <= set(document["paths"])
    assert {path for path in document["paths"] if f"{path}`" not in TEXT and path != "/model/refresh"} == set()


def test_every_code_of_an_error_is_documented():
    codes = set(re.findall(r'ApiError\(\s*\d{3}, "(\w+)"', CODE)) - {"internal"}
    assert codes and {code for code in codes if f"`{code}`" not in TEXT} == set()


def test_what_an_answer_holds_is_documented(served):
    answer = served.client.post("/predict?explain=true", json={"zone": 3, "size": 42.5}).json()
    for name in answer:
        assert f'"{name}"' in TEXT or f"`{name}`" in TEXT
