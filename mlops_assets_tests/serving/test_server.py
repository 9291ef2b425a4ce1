"""The process `mlops-assets serve`: where it listens, how it stops, and what a kill leaves behind."""

import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from mlops_assets.serving.hosts import is_loopback
from mlops_assets_tests.homes import MAIN, ROOT
from mlops_assets_tests.serving.served import wait_until
from mlops_assets_tests.warm import pid_of

ROW = {"zone": 3, "size": 42.5}
KEY = "some-key-0123456789"
LONG_AGO, FAR_AHEAD = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


@contextmanager
def process(home, **settings):
    """The server as a process that is ready, its first line, and its address."""
    env = os.environ | home.env | {"MLOPS_SERVE_PORT": "0"} | settings
    with (home.folder / "serve.err").open("wb") as errors:
        server = subprocess.Popen(
            [sys.executable, "-c", MAIN, "serve"], env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True
        )
    try:
        line = server.stdout.readline()
        url = re.search(r"http://[\d.:]+\d", line).group()
        wait_until(lambda: httpx.get(f"{url}/ready").status_code == 200)
        yield server, line, url
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def logged(home):
    return [row for chunk in home.project().prediction_log.read(LONG_AGO, FAR_AHEAD) for row in chunk]


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_told_to_stop_it_answers_what_is_in_flight_and_writes_its_log(copy, number):
    with process(copy) as (server, line, url):
        assert "without an API key, to this machine only" in line
        assert httpx.get(f"{url}/dashboards/", timeout=60).status_code == 200
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=60) as flight:
            body = b'{"zone": 3, "size": 42.5}'
            kind = f"Content-Type: application/json\r\nContent-Length: {len(body)}"
            head = f"POST /predict HTTP/1.1\r\nHost: localhost\r\n{kind}"
            flight.sendall(f"{head}\r\n\r\n".encode() + body[:10])
            assert httpx.post(f"{url}/predict", json=ROW).status_code == 200  # by now the first has been taken up too
            server.send_signal(number)
            wait_until(lambda: refused(host, int(port)))
            flight.sendall(body[10:])
            answer = b"".join(iter(lambda: flight.recv(65_536), b""))
        assert answer.startswith(b"HTTP/1.1 200") and b'"prediction":' in answer
        assert server.wait(60) == 0
    assert len(logged(copy)) == 2
    assert "Traceback" not in (copy.folder / "serve.err").read_text()


def children(pid):
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return [child for file in lists for child in file.read_text().split()]


def lives(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def refused(host, port):
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError:
        return True
    return False


@pytest.mark.slow
def test_a_kill_leaves_whole_requests_in_the_log_and_all_but_the_last_moment(copy):
    with process(copy) as (server, _, url), httpx.Client(base_url=url, timeout=120) as client:
        first = [client.post("/predict", json=[ROW] * 3).json()["request_id"] for _ in range(20)]
        wait_until(lambda: client.get("/metrics").text.find('outcome="written"} 60.0') > 0)
        last = [client.post("/predict", json=[ROW] * 3).json()["request_id"] for _ in range(20)]
        [writer] = children(pid_of(server.pid))
        server.kill()
        server.wait()
    wait_until(lambda: not lives(writer))
    rows = logged(copy)
    by_request = {id_: [row.row for row in rows if row.request_id == id_] for id_ in first + last}
    assert all(by_request[id_] == [0, 1, 2] for id_ in first)
    assert all(by_request[id_] in ([], [0, 1, 2]) for id_ in last)


def test_with_a_key_it_serves_on_every_address_and_tells_nobody_the_key(copy):
    with process(copy, MLOPS_API_KEYS=KEY, MLOPS_SERVE_HOST="0.0.0.0") as (_, line, url):
        assert "with an API key" in line and KEY not in line
        here = url.replace("0.0.0.0", "127.0.0.1")
        assert httpx.post(f"{here}/predict", json=ROW).status_code == 401
        assert httpx.post(f"{here}/predict", json=ROW, headers={"X-API-Key": KEY}).status_code == 200
    assert KEY not in (copy.folder / "serve.err").read_text()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_without_a_key_it_serves_on_loopback_only(shop, host):
    answer = shop.command("serve", MLOPS_SERVE_HOST=host)
    assert answer.code == 2
    assert f"without an API key predictions are served on loopback only, not on {host}: set" in answer.err


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_addresses_of_this_machine_are_loopback(host):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "example.com", "localhost.example.com", ""])
def test_all_others_are_not(host):
    assert not is_loopback(host)


def test_a_port_that_is_taken_is_told(shop):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        answer = shop.command("serve", "--port", port)
    assert answer.code == 2
    assert f"127.0.0.1, port {port}, cannot be served on: Address already in use" in answer.err
