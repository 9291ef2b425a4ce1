"""deploy/nginx.conf in a real nginx: who is let in, what the services get to see, and web sockets."""

import os
import re
import shutil
import socket
import ssl
import subprocess
from contextlib import contextmanager
from datetime import datetime, timedelta
from threading import Thread
from time import monotonic, sleep

import httpx
import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from mlops_assets.settings import Settings
from mlops_assets_tests.deploy.stack import stack
from mlops_assets_tests.documents import ROOT
from mlops_assets_tests.servers import free_port

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")

CONF = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
DAGSTER, MLFLOW, PREDICTIONS = NAMES = ("dagster.example.com", "mlflow.example.com", "predictions.example.com")
ANN = ("ann", "correct horse")
KEY = "key-of-the-proxy"
EVERY = pytest.mark.parametrize("name", NAMES)


async def _echo(request):
    """The headers that came, as a service sees them."""
    return JSONResponse({"path": request.url.path, "headers": dict(request.headers)})


async def _hello(websocket):
    await websocket.accept()
    await websocket.send_text(f"hello, {websocket.headers.get('authorization')}")
    await websocket.close()


@pytest.fixture(scope="module")
def service():
    """Port of a service that stands in for all three: it tells what the proxy sends on."""
    methods = ["GET", "POST"]
    app = Starlette(routes=[WebSocketRoute("/graphql", _hello), Route("/{path:path}", _echo, methods=methods)])
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    thread = Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield listening.getsockname()[1]
    server.should_exit = True
    thread.join()
    listening.close()


@pytest.fixture(scope="module")
def proxy(service, tmp_path_factory):
    """Ports for http and https of a real nginx with our file, and the certificate to trust."""
    folder = tmp_path_factory.mktemp("nginx")
    http, https = free_port(), free_port()
    conf = re.sub(r"server 127\.0\.0\.1:\d+;", f"server 127.0.0.1:{service};", CONF)
    conf = conf.replace("listen 80;", f"listen 127.0.0.1:{http};")
    conf = conf.replace("client_header_timeout 30s;", "client_header_timeout 1s;")
    conf = conf.replace("listen 443 ssl;", f"listen 127.0.0.1:{https} ssl;")
    (folder / "ours.conf").write_text(conf)
    (folder / "mlops.htpasswd").write_text(f"{ANN[0]}:{{PLAIN}}{ANN[1]}\n")
    (folder / "mlops-key.conf").write_text(f'proxy_set_header X-API-Key "{KEY}";\n')
    certificate = write_certificate(folder)
    kept = [f"{what}_temp_path {folder}/{what};" for what in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")]
    user = "user root;" if os.geteuid() == 0 else ""  # the folder is for its owner only
    (folder / "nginx.conf").write_text(
        f"{user} daemon off; pid {folder}/pid; error_log stderr; events {{}}\n"
        f"http {{ access_log off; {' '.join(kept)} include ours.conf; }}\n"
    )
    command = [NGINX, "-p", folder, "-c", folder / "nginx.conf", "-e", "stderr"]
    checked = subprocess.run([*command, "-t"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    with running(command, https, folder / "log"):
        yield http, https, certificate


@contextmanager
def running(command, port, log):
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
    end = monotonic() + 30
    while monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 5).close()
            break
        except OSError:
            assert process.poll() is None, log.read_text()
            sleep(0.05)
    yield
    process.terminate()
    process.wait(30)


def write_certificate(folder):
    """A certificate for the three names, signed by itself; gives its path."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, DAGSTER)])
    now = datetime.now().astimezone()
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in NAMES]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "tls").mkdir()
    plain = serialization.NoEncryption()
    encoded = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (folder / "tls" / "privkey.pem").write_bytes(encoded)
    (folder / "tls" / "fullchain.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return folder / "tls" / "fullchain.pem"


@pytest.fixture(scope="module")
def ask(proxy):
    """A function that sends a request to a name, as a browser or a program would."""
    _, https, certificate = proxy
    with httpx.Client(verify=ssl.create_default_context(cafile=certificate), trust_env=False, timeout=120) as client:

        def send(name, path="/", method="GET", headers=(), **options):
            headers = {"Host": name, **dict(headers)}
            url, names = f"https://127.0.0.1:{https}{path}", {"sni_hostname": name}
            return client.request(method, url, headers=headers, extensions=names, **options)

        yield send


@EVERY
def test_nobody_comes_in_without_a_login(ask, name):
    assert ask(name).status_code == 401
    assert ask(name, auth=("ann", "wrong")).status_code == 401
    assert ask(name, auth=ANN).status_code == 200


@EVERY
def test_services_do_not_see_the_password(ask, name):
    seen = ask(name, auth=ANN).json()["headers"]
    assert "authorization" not in seen
    assert seen["host"] == name


def test_plain_http_is_sent_to_https(proxy):
    answer = httpx.get(f"http://127.0.0.1:{proxy[0]}/runs?x=1", headers={"Host": DAGSTER}, trust_env=False, timeout=120)
    assert (answer.status_code, answer.headers["location"]) == (301, f"https://{DAGSTER}/runs?x=1")


def test_only_the_pages_for_people_get_the_key_of_the_proxy(ask):
    assert ask(PREDICTIONS, "/dashboards/", auth=ANN).json()["headers"]["x-api-key"] == KEY
    assert "x-api-key" not in ask(PREDICTIONS, "/predict", "POST").json()["headers"]
    assert "x-api-key" not in ask(DAGSTER, auth=ANN).json()["headers"]


@pytest.mark.parametrize("path", ["/predict", "/predict/batch", "/model", "/runs/1/predictions", "/health"])
def test_programs_show_their_own_key_and_need_no_login(ask, path):
    seen = ask(PREDICTIONS, path, "POST", {"Authorization": "Bearer mine"}).json()
    assert (seen["path"], seen["headers"]["authorization"]) == (path, "Bearer mine")


@pytest.mark.parametrize("path", ["/metrics", "/docs/", "/_dash-update-component", "/predictors"])
def test_everything_else_of_the_backend_needs_a_login(ask, path):
    assert ask(PREDICTIONS, path, "POST").status_code == 401


@EVERY
def test_pages_of_other_sites_cannot_use_the_login_of_a_browser(ask, name):
    foreign = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    assert ask(name, "/graphql", "POST", foreign, auth=ANN).status_code == 403
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert ask(name, "/", "GET", followed, auth=ANN).status_code == 200
    assert ask(name, "/", "POST", followed, auth=ANN).status_code == 403
    assert ask(name, "/", "POST", {"Sec-Fetch-Site": "same-origin"}, auth=ANN).status_code == 200


@contextmanager
def web_socket(proxy, **options):
    _, https, certificate = proxy
    with socket.create_connection(("127.0.0.1", https)) as line:
        trusted = ssl.create_default_context(cafile=certificate)
        with connect(f"wss://{DAGSTER}/graphql", sock=line, ssl=trusted, server_hostname=DAGSTER, **options) as opened:
            yield opened


@EVERY
def test_headers_that_do_not_end_are_cut_off(proxy, name):
    _, https, certificate = proxy
    trusted = ssl.create_default_context(cafile=certificate)
    with socket.create_connection(("127.0.0.1", https), 10) as line:
        with trusted.wrap_socket(line, server_hostname=name) as slow:
            slow.sendall(f"GET / HTTP/1.1\r\nHost: {name}\r\n".encode())
            assert slow.recv(1) == b""


def test_the_door_has_the_limits_of_the_server_behind_it():
    seconds, megabytes = Settings().serve_timeout, Settings().serve_body_mb
    assert f"client_header_timeout {seconds:.0f}s;" in CONF and f"client_max_body_size  {megabytes:.0f}m;" in CONF


def test_web_sockets_pass_with_a_login(proxy):
    login = httpx.BasicAuth(*ANN)._auth_header
    with web_socket(proxy, additional_headers={"Authorization": login}) as opened:
        assert opened.recv() == "hello, None"


def test_web_sockets_do_not_pass_without(proxy):
    with pytest.raises(InvalidStatus, match="401"), web_socket(proxy):
        pass


def test_it_leads_to_the_ports_that_the_stack_opens():
    opened = {service["ports"][0].rpartition(":")[0] for service in stack()["services"].values() if "ports" in service}
    assert set(re.findall(r"server (127\.0\.0\.1:\d+);", CONF)) == opened
