"""The OpenAPI page is true: its examples are answered, and requests made from it find no failure of the server."""

from dataclasses import replace

import hypothesis
import jsonschema_rs
import pytest
import schemathesis
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from mlops_assets.serving.openapi import describe

ROUTES = (
    "POST /predict",
    "POST /predict/batch",
    "POST /model/refresh",
    "GET /model",
    "GET /health",
    "GET /ready",
    "GET /metrics",
)
EXAMPLES = 40  # requests a route
MADE = hypothesis.settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)


@pytest.fixture(scope="session")
def document(served):
    return served.client.get("/openapi.json").json()


@pytest.fixture(scope="session")
def page(served, document):
    """The page for schemathesis, which sends requests to the server that runs."""
    schema = schemathesis.openapi.from_dict(document, config=SchemathesisConfig())
    schema.config.update(base_url=served.url)
    return schema


def test_the_answer_to_a_table_has_the_columns_of_classes(served):
    champion = served.champion
    three = champion.model.spec.target.model_copy(update={"kind": "category", "classes": ("a", "b", "c"), "keep": None})
    model = replace(champion.model, spec=champion.model.spec.model_copy(update={"target": three}))
    schema = describe(served.app, replace(champion, model=model), False)["components"]["schemas"]["BatchAnswer"]
    assert {"decision", "probability_a", "probability_b", "probability_c", "likely"} <= set(schema["required"])
    assert schema["properties"]["probability_a"] == {"type": "array", "items": {"type": "number"}}


def send(page, route, mode, *excluded):
    """Send requests made from the page to a route, and check the answers against it."""
    method, path = route.split()

    @MADE
    @hypothesis.given(case=page[path][method].as_strategy(generation_mode=mode))
    def send_one(case):
        case.call_and_validate(excluded_checks=excluded)

    send_one()


@pytest.mark.parametrize("route", ROUTES)
def test_requests_that_keep_to_the_page_are_answered_as_it_says(page, route):
    # No schema can say that all lists of a table have the same length.
    excluded = [positive_data_acceptance] if route == "POST /predict/batch" else []
    send(page, route, GenerationMode.POSITIVE, *excluded)


@pytest.mark.parametrize("route", ["POST /predict", "POST /predict/batch"])
def test_requests_that_break_it_are_refused_as_it_says_or_understood_all_the_same(page, route):
    # A number may also come as a text.
    send(page, route, GenerationMode.NEGATIVE, negative_data_rejection)


def test_the_page_names_every_route(document):
    assert {route.split()[1] for route in ROUTES} <= set(document["paths"])


def test_the_inputs_are_those_of_the_champion(document):
    row = document["components"]["schemas"]["Row"]
    assert list(row["properties"]) == ["zone", "size"]
    assert row["additionalProperties"] is False
    assert row["required"] == ["zone", "size"]
    assert row["properties"]["size"]["type"] == "number"  # and not null
    assert row["properties"]["size"]["description"].startswith("Length of the longest side. In cm. From ")
    assert "One of 1, 2, 3, 4, 5" in row["properties"]["zone"]["description"]


def test_what_rules_say_of_a_number_is_its_minimum_and_maximum(served, monkeypatch):
    model = served.champion.model
    limited = tuple(replace(item, least=0.0) if item.name == "size" else item for item in model.signature)
    monkeypatch.setitem(vars(model), "signature", limited)
    size = describe(served.app, served.champion, False)["components"]["schemas"]["Row"]["properties"]["size"]
    assert size["minimum"] == 0 and "maximum" not in size


def test_its_examples_are_answered_without_a_flag(served, document):
    content = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    for example in content["examples"].values():
        answer = served.client.post("/predict", json=example["value"]).json()
        for row in answer.get("predictions", [answer]):
            assert (row["unseen"], row["out_of_range"]) == ([], [])
    batch = document["paths"]["/predict/batch"]["post"]["requestBody"]["content"]["application/json"]
    assert served.client.post("/predict/batch", json=batch["example"]).json()["rows"] == 3


@pytest.mark.parametrize(
    ("path", "body", "name"),
    [
        ("/predict", {"zone": 3, "size": 42.5}, "OneAnswer"),
        ("/predict?explain=true", {"zone": 3, "size": 4}, "OneAnswer"),
        ("/predict", [{"zone": 3, "size": 4}, {"zone": 99, "size": 4}], "ListAnswer"),
        ("/predict/batch", {"zone": [3, 99], "size": [1, 2]}, "BatchAnswer"),
        ("/predict", {"zone": "x"}, "ErrorAnswer"),
    ],
)
def test_answers_have_the_shape_that_the_page_says(served, document, path, body, name):
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    jsonschema_rs.validator_for(schema).validate(served.client.post(path, json=body).json())


def test_with_keys_the_page_says_how_to_send_one(serve):
    key = "some-key-0123456789"
    told = serve(MLOPS_API_KEYS=key).client.get("/openapi.json", headers={"X-API-Key": key}).json()
    assert {name for item in told["security"] for name in item} == set(told["components"]["securitySchemes"])
