"""What the server tells of itself."""

import pytest

from mlops_assets.addresses import mlflow_page


def test_health_tells_the_model_and_its_age(served):
    told = served.client.get("/health").json()
    assert told["status"] == "alive"
    assert told["model"]["version"] == served.champion.number
    assert told["model"]["type"] == "Ridge"
    assert 0 <= told["model"]["age_seconds"] < 3600
    assert told["last_look"] is not None and told["last_reload_error"] is None


def test_ready_tells_the_version_that_answers(served):
    assert served.client.get("/ready").json() == {"status": "ready", "model_version": served.champion.number}


def test_the_model_page_tells_inputs_metrics_verdict_and_links(served):
    told = served.client.get("/model").json()
    version = served.project.registry.champion()
    assert told["model"] == served.champion.card
    assert told["verdict"] == version.tags["verdict"]
    assert told["periods"] == ["2024-01", "2024-02", "2024-03"]
    assert told["registry_page"] == mlflow_page(served.project.tracking.ui_url, version.page)
    assert {"validation_rmse", "test_rmse"} <= set(told["metrics"])
    assert (told["unit"], told["coverage"]) == ("euros", 0.9)
    inputs = {item["name"]: item for item in told["signature"]}
    assert list(inputs) == ["zone", "size"]
    assert inputs["zone"]["categories"] == ["1", "2", "3", "4", "5"]
    assert inputs["size"]["low"] < inputs["size"]["high"]


def test_its_examples_can_be_sent_as_they_are(served):
    examples = served.client.get("/model").json()["examples"]
    assert examples
    answer = served.client.post("/predict", json=examples).json()
    assert [row["unseen"] + row["out_of_range"] for row in answer["predictions"]] == [[]] * len(examples)


def test_metrics_are_in_the_format_of_prometheus(served):
    from prometheus_client.parser import text_string_to_metric_families

    answer = served.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    [version] = families["mlops_model_version"].samples
    assert version.value == served.champion.number
    assert all(name.startswith("mlops_") for name in families)


@pytest.mark.parametrize("path", ["/predict", "/predict/batch", "/ready", "/model"])
def test_without_a_champion_the_server_lives_and_says_what_to_do(served_empty, path):
    method = "POST" if "predict" in path else "GET"
    error = served_empty.error(method, path, json={"size": 1.0})
    assert (error["status"], error["code"]) == (503, "not_ready")
    assert error["message"] == "there is no champion: run the pipeline (mlops-assets run)"
    assert served_empty.client.get("/health").json()["model"] is None
    assert served_empty.client.get("/openapi.json").status_code == 200
