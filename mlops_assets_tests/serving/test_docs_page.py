"""The page at `/docs/`: the API for people."""

import json
import shlex

import pytest

KEY = "some-key-0123456789"


def layout(served):
    return served.client.get("/docs/_dash-layout").json()


def texts(component):
    """All texts of a page, and values of its buttons that copy."""
    match component:
        case str():
            yield component
        case list():
            for each in component:
                yield from texts(each)
        case {"props": props}:
            yield from texts(props.get("children"))
            if component["type"] == "CopyButton":
                yield props["value"]


def commands(served):
    return [shlex.split(text)[1:] for text in dict.fromkeys(texts(layout(served))) if text.startswith("curl ")]


def test_every_operation_is_there_with_a_command(served):
    document = served.client.get("/openapi.json").json()
    told = commands(served)
    assert len(told) == sum(len(operations) for operations in document["paths"].values())
    urls = {served.url + path for path in document["paths"]}
    assert {word for words in told for word in words if word.startswith("http")} == urls


def test_its_commands_that_predict_can_be_run_as_they_stand(served):
    predicting = [words for words in commands(served) if "--json" in words]
    assert len(predicting) == 2
    for url, _, body in predicting:
        answer = served.client.post(url, json=json.loads(body))
        assert answer.status_code == 200
        assert answer.json()["prediction"]


def test_the_answer_that_it_shows_is_the_one_that_is_given(served):
    [url, _, body] = next(words for words in commands(served) if words[0].endswith("/predict"))
    shown = next(json.loads(text) for text in texts(layout(served)) if text.startswith("{\n"))
    given = served.client.post(url, json=json.loads(body)).json()
    assert shown | {"request_id": ""} == given | {"request_id": ""}


@pytest.mark.parametrize("field", ["zone", "size", "model.version", "interval.low", "error.message"])
def test_fields_are_explained(served, field):
    assert field in set(texts(layout(served)))


def test_without_a_champion_it_is_there_all_the_same(served_empty):
    assert any(words[0].endswith("/predict") or words[-1].endswith("/predict") for words in commands(served_empty))


def test_where_keys_are_needed_its_commands_send_one(serve):
    served = serve(MLOPS_API_KEYS=KEY)
    assert served.client.get("/docs/").status_code == 401
    served.client.headers["X-API-Key"] = KEY
    assert all(words[-2:] == ["-H", "X-API-Key: $MLOPS_API_KEY"] for words in commands(served))


def test_the_address_without_a_slash_leads_there(served):
    answer = served.client.get("/docs", follow_redirects=True)
    assert answer.status_code == 200 and str(answer.url).endswith("/docs/")
