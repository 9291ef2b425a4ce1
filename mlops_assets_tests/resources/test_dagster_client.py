"""The launch client where Dagster is not there, or not itself; against a real one it is tested with its page."""

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import pytest

from mlops_assets.errors import LaunchError
from mlops_assets.resources.dagster_client import LONGEST_WAIT, MOST_FAILURES, LaunchClient
from mlops_assets_tests.servers import answering, free_port

RUN = {"__typename": "Run", "runId": "r", "jobName": "predict", "assetMaterializations": []}


@contextmanager
def server(*replies):
    """Address of a server that gives these replies, (status, body), one after the other."""
    script = list(replies)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            status, body = script.pop(0)
            told = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, *_):
            pass

    with answering(Handler) as address:
        yield address


def run(status):
    return 200, {"data": {"runOrError": RUN | {"status": status}}}


def test_a_server_that_is_not_there_is_told_with_what_to_do():
    with pytest.raises(
        LaunchError, match=r"^Dagster at 127.0.0.1:\d+ does not answer .* start it \(mlops-assets dev"
    ) as error:
        LaunchClient(f"http://me:hunter2@127.0.0.1:{free_port()}").find("r")
    assert "hunter2" not in str(error.value)
    assert error.value.__suppress_context__


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        ((404, b"<html>nothing here</html>"), "does not answer as Dagster does: 404"),
        ((200, b"[]"), "does not answer as Dagster does"),
        (
            (400, {"errors": [{"message": "Cannot query\nfield"}]}),
            "does not answer as Dagster does: Cannot query field",
        ),
        ((401, b""), "asks who you are: put user and password into ~/.netrc"),
        ((200, {"data": {"runOrError": {"__typename": "PythonError", "message": "no\nstorage"}}}), "run r: no storage"),
    ],
)
def test_an_answer_that_is_not_dagsters_is_told_in_one_line(reply, message):
    with server(reply) as address, pytest.raises(LaunchError, match=message):
        LaunchClient(address).find("r")


def test_a_url_that_is_none_is_told():
    with pytest.raises(LaunchError, match="does not answer"):
        LaunchClient("dagster").find("r")


def test_waits_grow_until_the_run_has_ended():
    waits = []
    with server(*[run("QUEUED")] * 10, run("STARTED"), run("SUCCESS")) as address:
        assert LaunchClient(address).wait("r", waits.append).succeeded
    assert waits == sorted(waits) and len(waits) == 11
    assert waits[0] < 1 and waits[-1] == LONGEST_WAIT


def test_a_server_that_is_started_anew_meanwhile_is_waited_for():
    away = (503, b"starting")
    with server(run("STARTED"), *[away] * MOST_FAILURES, run("STARTED"), away, run("FAILURE")) as address:
        assert LaunchClient(address).wait("r", lambda _: None).status == "FAILURE"


def test_a_server_that_stays_away_is_given_up():
    with (
        server(*[(503, b"")] * (MOST_FAILURES + 1)) as address,
        pytest.raises(LaunchError, match="as Dagster does: 503"),
    ):
        LaunchClient(address).wait("r", lambda _: None)


def test_a_run_that_was_deleted_is_not_waited_for():
    gone = (200, {"data": {"runOrError": {"__typename": "RunNotFoundError", "message": "none"}}})
    with server(run("STARTED"), gone) as address, pytest.raises(LaunchError, match="was it deleted"):
        LaunchClient(address).wait("r", lambda _: None)


def test_the_first_failed_step_of_many_pages_says_why():
    def page(*events, more=False):
        return 200, {
            "data": {"logsForRun": {"__typename": "EventConnection", "cursor": "c", "hasMore": more, "events": events}}
        }

    step = {
        "__typename": "ExecutionStepFailureEvent",
        "failureMetadata": {"description": "row 0:\nno zone"},
        "error": None,
    }
    later = step | {"failureMetadata": {"description": "another"}}
    end = {"__typename": "RunFailureEvent", "message": "Steps failed"}
    with server(page({"__typename": "LogMessageEvent"}, more=True), page(step, later, end)) as address:
        assert LaunchClient(address).failure("r") == "row 0: no zone"
    with server(page(end)) as address:
        assert LaunchClient(address).failure("r") == "Steps failed"


def test_how_far_a_retraining_is_comes_from_the_tags_of_its_runs():
    def tags(**values):
        return {"tags": [{"key": f"mlops/{name}", "value": value} for name, value in values.items()]}

    answer = {"runOrError": tags(parts="18 of 27"), "runsOrError": {"results": [tags(task="hyperparameters[XGBoost]")]}}
    with server((200, {"data": answer})) as address:
        assert LaunchClient(address).progress("r") == "18 of 27 parts, hyperparameters of XGBoost"
    unknown = {"runOrError": {"message": "no such run"}, "runsOrError": {"results": []}}
    with server((200, {"data": unknown})) as address, pytest.raises(LaunchError, match="cannot tell of run r: no such"):
        LaunchClient(address).progress("r")


def test_a_run_that_goes_on_is_looked_at_each_time():
    looks = []
    with server(run("STARTED"), run("STARTED"), run("SUCCESS")) as address:
        LaunchClient(address).wait("r", lambda _: None, look=lambda: looks.append(1))
    assert len(looks) == 2
