"""`dev` and `run` with real processes: they stop within seconds, and nothing that they have started lives on."""

import os
import signal
import subprocess
import time
import urllib.request
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from mlops_assets.cli.dev import ASKED_SECONDS, KILLED_SECONDS, TOLD_SECONDS
from mlops_assets_tests.homes import MAIN, ROOT
from mlops_assets_tests.screens import start_in_terminal
from mlops_assets_tests.servers import free_port, wait_for
from mlops_assets_tests.warm import TRUE_PYTHON

QUICK = "import sys, time; open(sys.argv[1] + '/quick', 'w').write('here'); time.sleep(600)"
DEAF = """
import signal, subprocess, sys, time
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open(sys.argv[1] + "/deaf", "w").write("here")
time.sleep(600)
"""
# Two services: one that ends when it is told to, and one that hears nothing, with a child that hears nothing.
STARTED = f"""
import os, signal, sys
import mlops_assets.cli.dev
folder = sys.argv[1]
quick, deaf = ([sys.executable, "-c", script, folder] for script in ({QUICK!r}, {DEAF!r}))
wait_for_the_end = sys.modules["mlops_assets.cli.dev"].wait_for_the_end
sys.exit(wait_for_the_end([(quick, signal.SIGTERM), (deaf, signal.SIGINT)], os.environ))
"""


def members(marker):
    """Processes that have the marker in their environment."""
    found = set()
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if marker.encode() in (place / "environ").read_bytes():
                found.add(int(place.name))
    return found - {os.getpid()}


def command_line(pid):
    return Path(f"/proc/{pid}/cmdline").read_text()


def until(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "nothing came of it"
        time.sleep(0.05)


@pytest.fixture
def start():
    """A function that starts a script with these words; all that was started is closed afterwards."""
    with ExitStack() as stack:
        yield lambda words, env, script: stack.enter_context(started(words, env, script))


def started(words, env, script):
    return subprocess.Popen(
        [TRUE_PYTHON, "-c", script, *words],
        env=os.environ | env,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


@pytest.fixture
def services(start, tmp_path):
    """Both services under way, and the marker in the environment of all processes."""
    process = start([str(tmp_path)], {"STARTED_BY": str(tmp_path)}, STARTED)
    until(lambda: all((tmp_path / name).exists() for name in ("quick", "deaf")))
    return process, f"STARTED_BY={tmp_path}"


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_hears_no_signal_is_ended_all_the_same_with_its_children(services, sent):
    process, marker = services
    assert len(members(marker)) == 4
    process.send_signal(sent)
    assert process.wait(30) == 0
    until(lambda: not members(marker))


def test_ctrl_c_at_a_terminal_ends_all_within_five_seconds(tmp_path):
    child, terminal = start_in_terminal(STARTED, 80, os.environ | {"STARTED_BY": str(tmp_path)}, str(tmp_path))
    try:
        until(lambda: all((tmp_path / name).exists() for name in ("quick", "deaf")))
        os.write(terminal, b"\x03")
        _, status = os.waitpid(child, 0)
    finally:
        os.close(terminal)
    # What it waits for; a busy machine may take its time besides.
    assert (status, ASKED_SECONDS + TOLD_SECONDS + KILLED_SECONDS < 5) == (0, True)
    until(lambda: not members(f"STARTED_BY={tmp_path}"))


def test_the_end_of_one_is_the_end_of_all(services):
    process, marker = services
    (quick,) = (pid for pid in members(marker) if "/quick" in command_line(pid) and "/deaf" not in command_line(pid))
    os.kill(quick, signal.SIGTERM)
    assert process.wait(30) == 256 - signal.SIGTERM
    until(lambda: not members(marker))


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_dev_stops_within_seconds_and_leaves_no_process(start, new_shop, sent):
    home = new_shop()
    ports = [str(free_port()) for _ in range(3)]
    words = ["dev", "--port", ports[0], "--mlflow-port", ports[1], "--serve-port", ports[2]]
    marker = f"MLOPS_HOME={home.folder}"
    process = start(words, home.env, MAIN)
    wait_for(f"http://127.0.0.1:{ports[0]}/server_info", process)
    wait_for(f"http://127.0.0.1:{ports[2]}/health", process)
    launched = home.process("launch", "tune", "--model-type", "Ridge", "--url", f"http://127.0.0.1:{ports[0]}")
    assert launched.returncode == 0, launched
    process.send_signal(sent)
    code = process.wait(60)
    until(lambda: not members(marker))
    assert code == 0


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("line", ["clean_data", "hyperparameters", "trial 1 of"])
def test_run_stops_within_seconds_and_leaves_no_process(start, new_shop, sent, line):
    home = new_shop(MLOPS_TRIALS="local:2", MLOPS_MAX_TRIALS="30")
    marker = f"MLOPS_HOME={home.folder}"
    process = start(["run"], home.env | {"PYTHONUNBUFFERED": "1"}, MAIN)
    for text in process.stdout:
        if line in text.decode():
            break
    process.send_signal(sent)
    assert process.wait(60) in (130, -sent)
    until(lambda: not members(marker))
    again = home.command("run", MLOPS_MAX_TRIALS="3", MLOPS_TRIALS="local")
    assert again.code == 0, again


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_serve_stops_within_seconds_though_a_request_never_ends(start, own_shop, sent):
    import socket

    port = free_port()
    marker = f"MLOPS_HOME={own_shop.folder}"
    process = start(["serve", "--port", str(port)], own_shop.env, MAIN)
    wait_for(f"http://127.0.0.1:{port}/health", process)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/dashboards/") as page:
        assert page.read()
    with socket.create_connection(("127.0.0.1", port)) as slow:
        head = "POST /predict HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json", "Content-Length: 500"
        slow.sendall("\r\n".join([*head, "", "{"]).encode())
        time.sleep(1)
        process.send_signal(sent)
        assert process.wait(60) == 0
    until(lambda: not members(marker))
