"""The middleware: every request has an id, is counted, and is answered in one shape whatever happens inside."""

import socket

import pytest

ROW = {"zone": 3, "size": 42.5}


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("POST", "/predict/", 404, "not_found"),
        ("GET", "/predict", 405, "method_not_allowed"),
        ("DELETE", "/model", 405, "method_not_allowed"),
        ("GET", "/redoc", 404, "not_found"),
    ],
)
def test_what_does_not_exist_is_told_in_the_shape_of_all_errors(served, method, path, status, code):
    error = served.error(method, path)
    assert (error["status"], error["code"]) == (status, code)


def test_a_wrong_method_is_told_the_right_one(served):
    assert served.client.get("/predict").headers["allow"] == "POST"


def test_every_answer_has_an_id_of_its_own_and_ids_sort_by_time(served):
    answers = [served.client.post("/predict", json=ROW) for _ in range(5)]
    ids = [answer.headers["x-request-id"] for answer in answers]
    assert len(set(ids)) == 5
    assert [id_[:12] for id_ in ids] == sorted(id_[:12] for id_ in ids)
    assert [answer.json()["request_id"] for answer in answers] == ids


def test_an_unexpected_failure_is_told_without_its_reason_and_logged_with_it(serve, monkeypatch, caplog):
    served = serve()

    def answer(self, columns):
        raise RuntimeError("secret inside")

    model = served.champion.model
    for answers in (model, model.row_scorer):
        monkeypatch.setattr(type(answers), "answer", answer)
    for path, body in [("/predict", ROW), ("/predict", [ROW] * 100)]:
        error = served.error("POST", path, json=body)
        assert (error["status"], error["code"]) == (500, "internal")
        assert "secret" not in error["message"]
        assert error["request_id"] in caplog.text and "secret inside" in caplog.text
    monkeypatch.undo()
    assert served.client.post("/predict", json=ROW).status_code == 200


def test_a_failure_after_the_answer_has_begun_is_seen_by_the_caller(serve, monkeypatch):
    import httpx

    served = serve()

    def answer(self, columns):
        raise RuntimeError("in the middle")

    monkeypatch.setattr(type(served.champion.model), "answer", answer)
    with pytest.raises(httpx.RemoteProtocolError):
        served.client.post("/predict/batch", json={"size": [1.0], "zone": [1]})


def test_requests_are_counted_by_route_and_status(serve):
    served = serve()
    for _ in range(3):
        served.client.post("/predict", json=ROW)
    served.client.post("/predict", json={"size": "x"})
    served.client.get("/secret/path")
    text = served.client.get("/metrics").text
    for line in (
        'mlops_requests_total{route="/predict",status="200"} 3.0',
        'mlops_requests_total{route="/predict",status="422"} 1.0',
        'mlops_requests_total{route="other",status="404"} 1.0',
        'mlops_predicted_rows_total{route="/predict"} 3.0',
        'mlops_request_seconds_count{route="/predict"} 4.0',
    ):
        assert line in text
    assert "secret" not in text


def test_what_is_no_http_gets_a_400_and_the_server_lives_on(served):
    host, port = served.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as line:
        line.sendall(b"\x16\x03\x01\x02\x00nonsense\r\n\r\n")
        assert line.recv(100).startswith(b"HTTP/1.1 400")
    assert served.client.get("/health").status_code == 200
