"""The stand-in for Python is as Python to who starts it: words, files, environment, signals, and how it ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mlops_assets_tests.warm import TRUE_PYTHON, pid_of

TELL = "import os, sys; print(sys.argv, os.getcwd(), os.environ.get('A'), sys.stdin.read(), sys.path[0])"
WAIT = "import os, sys, time; print(os.getpid(), flush=True); time.sleep(600)"


def both(*words, **options):
    """What Python does, and what the stand-in does."""
    asked = {"capture_output": True, "text": True} | options
    return [subprocess.run([program, *words], **asked) for program in (TRUE_PYTHON, sys.executable)]


def test_it_is_in_place_and_warm():
    script = "import sys; print('mlflow' in sys.modules, sys.executable)"
    true, ours = both("-c", script)
    assert true.stdout.split() == ["False", TRUE_PYTHON]
    assert ours.stdout.split() == ["True", sys.executable]


def test_it_is_given_words_folder_environment_and_input(tmp_path):
    true, ours = both("-c", TELL, "a", "b c", cwd=tmp_path, env=os.environ | {"A": "1"}, input="said")
    assert ours.stdout == true.stdout == f"['-c', 'a', 'b c'] {tmp_path} 1 said \n"


@pytest.mark.parametrize(
    "script",
    ["pass", "import sys; sys.exit(3)", "import sys; sys.exit('wrong')", "1/0", "import os; os.kill(os.getpid(), 9)"],
)
def test_it_ends_as_python_does(script):
    true, ours = both("-c", script)
    assert (ours.returncode, ours.stdout) == (true.returncode, true.stdout)
    assert ours.stderr.splitlines()[-1:] == true.stderr.splitlines()[-1:]


def test_modules_are_run_and_those_that_are_not_there_are_told():
    true, ours = both("-m", "json.tool", "--compact", input='{"a": 1}')
    assert ours.stdout == true.stdout == '{"a":1}\n'
    true, ours = both("-m", "no_such_module")
    assert (ours.returncode, ours.stderr.split(": ")[1]) == (true.returncode, true.stderr.split(": ")[1])


def test_threads_and_what_was_registered_for_the_end_are_waited_for():
    script = "import atexit, threading; atexit.register(print, 'end'); threading.Timer(0.1, print, ['thread']).start()"
    true, ours = both("-c", script)
    assert ours.stdout == true.stdout == "thread\nend\n"


def test_open_files_come_along():
    reading, writing = os.pipe()
    script = f"import os; os.write({writing}, b'here')"
    with os.fdopen(reading, "rb") as file:
        subprocess.run([sys.executable, "-c", script], pass_fds=[writing], check=True)
        os.close(writing)
        assert file.read() == b"here"  # and nobody keeps the other end


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_both(number):
    process = subprocess.Popen(
        [sys.executable, "-c", WAIT], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    with process:
        pid = int(process.stdout.readline())
        assert pid == pid_of(process.pid) != process.pid
        process.send_signal(number)
        assert process.wait(60) == -number
    end = time.monotonic() + 60
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_signal_that_was_ignored_where_it_was_started_is_heard_by_who_listens():
    inner = (
        "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(5));"
        "print(flush=True); time.sleep(600)"
    )
    outer = f"""
import signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
with subprocess.Popen([{sys.executable!r}, "-c", {inner!r}], stdout=-1) as process:
    process.stdout.readline()
    process.terminate()
sys.exit(process.returncode)
"""
    assert subprocess.run([TRUE_PYTHON, "-c", outer]).returncode == 5


def test_a_process_that_it_starts_is_a_fork_too():
    inner = "import sys; print('mlflow' in sys.modules)"
    outer = f"import subprocess, sys; sys.exit(subprocess.run([sys.executable, '-c', {inner!r}]).returncode)"
    assert subprocess.run([sys.executable, "-c", outer], capture_output=True, text=True).stdout == "True\n"


def test_what_only_the_start_of_python_can_do_is_done_by_python():
    true, ours = both("-c", "print(hash('a'))", env=os.environ | {"PYTHONHASHSEED": "1"})
    assert ours.stdout == true.stdout
    true, ours = both("-X", "utf8", "-c", "import sys; print('mlflow' in sys.modules)")
    assert ours.stdout == true.stdout == "False\n"
