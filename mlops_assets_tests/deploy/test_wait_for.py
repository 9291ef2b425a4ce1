"""What containers wait with, and health checks ask with."""

import subprocess
import sys
from concurrent import futures
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import grpc
import pytest
from grpc_health.v1 import health
from grpc_health.v1.health_pb2 import HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server

from mlops_assets_tests.documents import ROOT
from mlops_assets_tests.servers import free_port

SCRIPT = ROOT / "deploy" / "wait_for.py"


def wait_for(*words):
    return subprocess.run([sys.executable, SCRIPT, *words], capture_output=True, text=True)


@pytest.fixture(scope="module")
def web():
    """Address of a server on which all pages are there but /missing."""

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(404 if self.path == "/missing" else 200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Pages) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def code_server(status, port=0):
    """A gRPC server whose health is that of a code server; gives its address."""
    servicer = health.HealthServicer()
    servicer.set("DagsterApi", status)
    server = grpc.server(futures.ThreadPoolExecutor(1))
    add_HealthServicer_to_server(servicer, server)
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    yield f"grpc://127.0.0.1:{bound}"
    server.stop(None)


def test_services_that_answer_need_no_wait(web):
    done = wait_for("--seconds", "0", f"tcp://{web}", f"http://{web}/health")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("scheme", ["tcp", "http", "grpc"])
def test_a_service_that_is_down_is_named(scheme):
    address = f"{scheme}://127.0.0.1:{free_port()}"
    done = wait_for("--seconds", "0", address)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{address} does not answer: ")


def test_a_page_that_is_an_error_is_no_answer(web):
    done = wait_for("--seconds", "0", f"http://{web}/missing")
    assert done.returncode == 1
    assert "404" in done.stderr


@pytest.mark.parametrize("status, code", [(HealthCheckResponse.SERVING, 0), (HealthCheckResponse.NOT_SERVING, 1)])
def test_a_code_server_answers_once_it_serves(status, code):
    with code_server(status) as address:
        assert wait_for("--seconds", "0", address).returncode == code


def test_a_service_that_comes_later_is_awaited():
    port = free_port()
    process = subprocess.Popen([sys.executable, SCRIPT, f"grpc://127.0.0.1:{port}"], stderr=subprocess.PIPE, text=True)
    assert process.stderr.readline() == f"waiting for grpc://127.0.0.1:{port}\n"
    with code_server(HealthCheckResponse.SERVING, port):
        assert process.wait(60) == 0
    process.stderr.close()


def test_an_address_of_another_kind_is_refused():
    done = wait_for("ftp://127.0.0.1:1")
    assert done.returncode == 1
    assert "ftp://127.0.0.1:1 is no address" in done.stderr
