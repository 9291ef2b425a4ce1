"""Limits: how often, how large, how slow; what goes beyond is refused clearly and costs nothing."""

import socket

import orjson
import pytest

from mlops_assets.serving.errors import ApiError
from mlops_assets.serving.limits import BURST_SECONDS, RateLimit

ROW = {"zone": 3, "size": 42.5}


class Clock:
    now = 1_000.0

    def __call__(self):
        return self.now


def admitted(limit, caller, tries):
    count = 0
    for _ in range(tries):
        try:
            limit.admit(caller)
            count += 1
        except ApiError as error:
            assert (error.status, error.code) == (429, "too_many_requests")
    return count


def test_a_caller_may_come_in_bursts_and_then_at_its_rate():
    clock = Clock()
    limit = RateLimit(5, clock)
    assert admitted(limit, "a", 100) == 5 * BURST_SECONDS
    clock.now += 1
    assert admitted(limit, "a", 100) == 5
    clock.now += 3600
    assert admitted(limit, "a", 100) == 5 * BURST_SECONDS


def test_callers_do_not_take_from_each_other():
    limit = RateLimit(1, Clock())
    assert [admitted(limit, caller, 10) for caller in "abc"] == [BURST_SECONDS] * 3


def test_a_rate_below_one_a_second_admits_one_and_says_how_long_to_wait():
    limit = RateLimit(0.1, Clock())
    limit.admit("a")
    with pytest.raises(ApiError, match="try again in 10 s") as refused:
        limit.admit("a")
    assert refused.value.headers == ((b"retry-after", b"10"),)


def test_no_rate_is_no_limit():
    assert admitted(RateLimit(0, Clock()), "a", 1_000) == 1_000


def test_no_more_callers_are_remembered_than_there_is_room_for():
    limit = RateLimit(1, Clock())
    for number in range(20_000):
        limit.admit(f"caller {number}")
    assert len(limit._buckets) == 10_000


def test_a_server_refuses_what_comes_too_often_but_never_its_health(serve):
    served = serve(MLOPS_SERVE_RATE="0.001")
    assert served.client.post("/predict", json=ROW).status_code == 200
    error = served.error("POST", "/predict", json=ROW)
    assert (error["status"], error["code"]) == (429, "too_many_requests")
    assert served.client.get("/ready").status_code == 200


def test_each_key_has_a_rate_of_its_own(serve):
    keys = ["first-key-0123456789", "second-key-0123456789"]
    served = serve(MLOPS_SERVE_RATE="0.001", MLOPS_API_KEYS=",".join(keys))
    statuses = [served.client.post("/predict", json=ROW, headers={"X-API-Key": key}).status_code for key in keys * 2]
    assert statuses == [200, 200, 429, 429]


@pytest.mark.parametrize("path", ["/predict", "/predict/batch", "/model/refresh"])
def test_a_body_that_is_too_large_is_refused_whether_its_length_is_told_or_not(serve, path):
    served = serve(MLOPS_SERVE_BODY_MB="0.001")
    body = orjson.dumps([ROW] * 100)
    for content in (body, iter([body[:500], body[500:]])):
        error = served.error("POST", path, content=content, headers={"Content-Type": "application/json"})
        assert (error["status"], error["code"]) == (413, "too_large")
        assert "larger than 0.001 MB" in error["message"]
    assert served.client.post("/predict", json=ROW).status_code == 200


def test_a_body_that_does_not_arrive_is_not_waited_for(serve):
    served = serve(MLOPS_SERVE_TIMEOUT="0.2")
    host, port = served.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as line:
        head = "POST /predict HTTP/1.1\r\nHost: [::1]\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
        line.sendall(head.encode() + b'{"zone"')
        answer = b"".join(iter(lambda: line.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 408")
    assert b'"code":"too_slow"' in answer


def test_large_bodies_that_are_at_work_hold_off_others_until_they_are_done(serve):
    served = serve(MLOPS_SERVE_BODY_MB="0.001")
    served.app.state.predict.bodies._held = 4_000
    error = served.error("POST", "/predict", json=ROW)
    assert (error["status"], error["code"]) == (503, "busy")
    served.app.state.predict.bodies._held = 0
    assert served.client.post("/predict", json=ROW).status_code == 200
    assert served.app.state.predict.bodies._held == 0


def test_an_answer_that_takes_too_long_is_given_up(serve, monkeypatch):
    from threading import Event

    served, go_on = serve(MLOPS_SERVE_TIMEOUT="3"), Event()
    model = type(served.champion.model)
    answer = model.answer
    monkeypatch.setattr(model, "answer", lambda *arguments: go_on.wait() and answer(*arguments))
    error = served.error("POST", "/predict", json=[ROW] * 100)
    assert (error["status"], error["code"]) == (503, "too_slow")
    go_on.set()
    assert served.client.post("/predict", json=[ROW] * 100).status_code == 200
