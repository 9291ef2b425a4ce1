"""Several processes on one port: they share its callers, its figures, its log and its champion, and end together."""

import json
import os
import signal
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from http.client import HTTPConnection

import pytest

from mlops_assets_tests.serving.served import wait_until
from mlops_assets_tests.serving.test_server import ROW, children, lives, logged, process
from mlops_assets_tests.warm import pid_of

ASKED = 40


@contextmanager
def two(home):
    """Two workers that are ready: the process that has started them, their ids, and their address."""
    with process(home, MLOPS_SERVE_WORKERS="2", MLOPS_MODEL_POLL_SECONDS="100000") as (server, _, url):
        wait_until(lambda: are_ready(url))
        yield server, workers(server), url


def workers(server):
    return [pid_of(int(pid)) for pid in children(pid_of(server.pid))]


def call(url, method, path, body=None):
    """Status and body of an answer, over a connection of its own, which any of the workers may take."""
    with closing(HTTPConnection(url.removeprefix("http://"), timeout=60)) as connection:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def are_ready(url):
    return all(call(url, "GET", "/ready")[0] == 200 for _ in range(20))


def ask(url, count=ASKED):
    """The versions that answered so many requests."""
    answers = [call(url, "POST", "/predict", json.dumps(ROW)) for _ in range(count)]
    assert {status for status, _ in answers} == {200}
    return {json.loads(body)["model"]["version"] for _, body in answers}


def counted(url, name):
    lines = call(url, "GET", "/metrics")[1].splitlines()
    [value] = [line.rpartition(" ")[2] for line in lines if line.startswith(f"{name} ")]
    return float(value)


def all_gone(*pids):
    return not any(lives(pid) for pid in pids)


def test_they_share_callers_figures_log_and_champion_and_leave_nobody(copy):
    registry = copy.project().registry
    champion = registry.champion().number
    other = min({version.number for version in registry._versions()} - {champion})
    with two(copy) as (server, pids, url):
        assert len(pids) == 2
        assert ask(url) == {champion}
        rows = 'mlops_predicted_rows_total{route="/predict"}'
        assert {counted(url, rows) for _ in range(10)} == {ASKED}
        assert {counted(url, "mlops_model_version") for _ in range(10)} == {champion}
        assert all(children(pid) for pid in pids)  # each has written, by a process of its own

        registry.promote(other, reason="A test.", at=datetime.now(UTC))
        assert call(url, "POST", "/model/refresh")[0] == 202
        wait_until(lambda: ask(url, 20) == {other})

        everyone = [*pids, *(child for pid in pids for child in children(pid))]
        server.send_signal(signal.SIGTERM)
        assert server.wait(20) == 0
        wait_until(lambda: all_gone(*everyone))
    assert len(logged(copy)) >= ASKED + 20
    assert "Traceback" not in (copy.folder / "serve.err").read_text()


@pytest.mark.slow
def test_one_that_is_killed_is_replaced_and_without_the_process_that_started_them_they_end_by_themselves(copy):
    with two(copy) as (server, pids, url):
        ask(url)
        os.kill(pids[0], signal.SIGKILL)
        wait_until(lambda: len(workers(server)) == 2 and pids[0] not in workers(server))
        wait_until(lambda: are_ready(url))
        ask(url)
        assert counted(url, 'mlops_predicted_rows_total{route="/predict"}') == 2 * ASKED
        assert "another one is started" in (copy.folder / "serve.err").read_text()

        pids = workers(server)
        server.kill()
        server.wait()
        wait_until(lambda: all_gone(*pids))


@pytest.mark.parametrize("count", ["0", "65", "two"])
def test_a_number_of_workers_that_cannot_be_is_refused(shop, count):
    answer = shop.command("serve", MLOPS_SERVE_WORKERS=count)
    assert answer.code == 2 and "MLOPS_SERVE_WORKERS" in answer.err
