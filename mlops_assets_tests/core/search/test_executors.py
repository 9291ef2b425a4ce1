"""Executors run calls here or elsewhere, and tell a lost process from a call that fails."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mlops_assets.core.search.executors import make_executor, threads_each
from mlops_assets.errors import SettingsError, TuningError

TESTS = Path(__file__).parents[2]


@pytest.mark.parametrize("setting, workers", [("local", 1), ("local:1", 1), ("local:2", 2)])
def test_a_setting_names_an_executor(setting, workers):
    with make_executor(setting) as executor:
        assert executor.workers == workers
        assert executor.submit(abs, -3).result() == 3


@pytest.mark.parametrize("setting", ["", "local:", "local:0", "local:x", "dask:tcp://host"])
def test_a_setting_that_names_none_is_refused(setting):
    with pytest.raises(SettingsError, match="use local, or local:N"):
        make_executor(setting)


def test_local_runs_in_this_process_and_local_n_in_others():
    with make_executor("local") as here, make_executor("local:2") as there:
        assert here.submit(os.getpid).result() == os.getpid()
        assert there.submit(os.getpid).result() != os.getpid()


@pytest.mark.parametrize("setting", ["local", "local:1"])
def test_a_call_that_fails_fails_its_future_and_the_executor_goes_on(setting):
    with make_executor(setting) as executor:
        failed = executor.submit(int, "three")
        assert isinstance(failed.exception(), ValueError)
        assert executor.submit(int, "3").result() == 3


def test_threads_are_shared_among_the_workers():
    with make_executor("local") as one, make_executor("local:3") as three:
        assert [threads_each(8, one), threads_each(8, three), threads_each(2, three)] == [8, 2, 1]


def test_a_call_whose_process_was_killed_runs_again_and_so_do_its_neighbours(objectives, tmp_path):
    with make_executor("local:2") as executor:
        futures = [executor.submit(objectives.die_once, tmp_path / "mark", value) for value in range(5)]
        assert [future.result() for future in futures] == [0, 1, 2, 3, 4]
        assert (tmp_path / "mark").exists()


def test_a_call_that_always_kills_its_process_is_given_up_and_the_executor_goes_on(objectives):
    with make_executor("local:1") as executor:
        with pytest.raises(TuningError, match="3 processes that ran the same trial were killed"):
            executor.submit(objectives.die).result()
        assert executor.submit(abs, -3).result() == 3


def test_workers_end_when_their_parent_is_killed():
    script = (
        "import os, signal, sys\n"
        "from mlops_assets.core.search.executors import make_executor\n"
        "import search_objectives\n"
        "if __name__ == '__main__':\n"
        "    executor = make_executor('local:1')\n"
        "    executor.submit(search_objectives.hold_line, int(sys.argv[1]))\n"
        "    sys.stdin.read(1)\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        command = [sys.executable, "-c", script, str(server.getsockname()[1])]
        path = os.pathsep.join([str(TESTS / "spawned"), str(TESTS.parent)])
        parent = subprocess.Popen(command, stdin=subprocess.PIPE, env=os.environ | {"PYTHONPATH": path})
        try:
            line, _ = server.accept()
            with line:
                line.settimeout(60)
                assert line.recv(4) == b"here"
                parent.kill()
                assert line.recv(1) == b""
        finally:
            parent.kill()
            parent.communicate()
