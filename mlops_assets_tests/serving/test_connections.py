"""Slow senders and takers: cut off in time, never at the cost of others; and no more connections than there may be."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

ROW = {"zone": 3, "size": 42.5}
HEAD = "Host: localhost\r\nContent-Type: application/json\r\n"
CALL = "POST /_dash-update-component HTTP/1.1\r\n" + HEAD + "Content-Length: 100\r\n\r\n{"


@contextmanager
def line(served, text=""):
    host, port = served.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(text.encode())
        yield connection


def rest(connection):
    """What still comes until the server closes the connection."""
    parts = []
    try:
        while part := connection.recv(65_536):
            parts.append(part)
    except ConnectionError:
        pass
    return b"".join(parts)


@pytest.fixture
def hasty(serve):
    return serve(MLOPS_SERVE_TIMEOUT="0.5")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("", b""),
        ("\r\n", b"HTTP/1.1 408"),
        ("GET /mod", b"HTTP/1.1 408"),
        ("GET /model HTTP/1.1\r\nHost: localhost\r\n", b"HTTP/1.1 408"),
        (CALL, b"HTTP/1.1 408"),
        ("PUT /nothing HTTP/1.1\r\n" + HEAD + "Content-Length: 9\r\n\r\n", b"HTTP/1.1 408"),
        ("POST /model/refresh HTTP/1.1\r\n" + HEAD + "Transfer-Encoding: chunked\r\n\r\n", b"HTTP/1.1 408"),
    ],
)
def test_half_a_request_is_not_waited_for(hasty, text, answer):
    with line(hasty, text) as connection:
        assert rest(connection).startswith(answer)


def test_headers_that_trickle_in_have_the_same_time_in_all(hasty):
    with line(hasty, "GET /model HTTP/1.1\r\n") as connection, pytest.raises(OSError):
        for number in range(100):
            connection.sendall(f"X-{number}: 1\r\n".encode())
            time.sleep(0.1)


def test_empty_lines_do_not_keep_a_connection(hasty):
    with line(hasty, f"GET /health HTTP/1.1\r\n{HEAD}\r\n") as connection:
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
        connection.sendall(b"\r\n")
        assert rest(connection).startswith(b"HTTP/1.1 408")


def test_a_connection_that_asks_again_goes_on(hasty):
    with line(hasty) as connection:
        for _ in range(4):
            connection.sendall(f"GET /health HTTP/1.1\r\n{HEAD}\r\n".encode())
            assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
            time.sleep(0.4)


@pytest.mark.parametrize("part", ["X-Long: " + "x" * 400_000, "X-Some: 1\r\n" * 40_000])
def test_endless_headers_are_refused(served, part):
    with line(served, "GET /model HTTP/1.1\r\n") as connection:
        try:
            connection.sendall(part.encode())
        except ConnectionError:
            return
        answer = rest(connection)
    assert answer.startswith(b"HTTP/1.1 431") or answer == b""


def test_a_large_body_and_one_in_small_chunks_are_no_endless_headers(served):
    rows = b"[" + b",".join([b'{"zone": 3, "size": 42.5}'] * 9_000) + b"]"
    chunks = (rows[place : place + 7] for place in range(0, len(rows), 7))
    for content in (rows, chunks):
        answer = served.client.post("/predict", content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code == 200


def test_an_answer_that_nobody_takes_is_not_waited_for(hasty):
    script = "/_dash-component-suites/plotly/package_data/plotly.min.js"  # a few of it are more than buffers hold
    with line(hasty) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        with pytest.raises(ConnectionError):
            for _ in range(600):
                connection.sendall(f"GET {script} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                time.sleep(0.1)


def test_unfinished_calls_do_not_stop_the_form(served):
    with ExitStack() as stack:
        for _ in range(12):
            stack.enter_context(line(served, CALL))
            stack.enter_context(line(served, CALL.replace("POST /", "POST /dashboards/")))
        assert served.client.get("/", timeout=10).status_code == 200
        assert served.client.get("/_dash-layout", timeout=10).status_code == 200
        assert served.client.post("/predict", json=ROW, timeout=10).status_code == 200


def test_beyond_the_most_connections_the_one_that_is_idle_longest_makes_room(serve):
    served = serve(MLOPS_SERVE_CONNECTIONS="10")
    with ExitStack() as stack:
        lines = [stack.enter_context(line(served, "GET /mod")) for _ in range(12)]
        assert served.client.post("/predict", json=ROW).status_code == 200
        assert rest(lines[0]) == b""
        with ThreadPoolExecutor(8) as threads:
            statuses = list(threads.map(lambda _: served.client.post("/predict", json=ROW).status_code, range(40)))
    assert statuses == [200] * 40
