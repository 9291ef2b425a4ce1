"""Installing is quiet: one line, the rest in a file that is shown on failure. The installer itself is played."""

import os
import shutil
import subprocess

import pytest

from mlops_assets_tests.homes import ROOT
from mlops_assets_tests.screens import screen_of
from mlops_assets_tests.warm import TRUE_PYTHON

COST = "about 2.5 minutes and 1.2 GB, once; the next start takes seconds."


@pytest.fixture
def checkout(tmp_path):
    """A folder with the script, and a function that plays the installer in it."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "install.sh", tmp_path / "scripts")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").symlink_to(TRUE_PYTHON)

    def play(script):
        uv = tmp_path / ".venv" / "bin" / "uv"
        uv.write_text(f"#!/bin/sh\n{script}\n")
        uv.chmod(0o755)
        return tmp_path

    return play


def install(folder):
    command = ["sh", "scripts/install.sh", "test", TRUE_PYTHON]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_what_the_installer_says_is_in_a_file_alone(checkout):
    folder = checkout('for n in 1 2 3; do echo " + package==$n"; done; echo "$@"')
    done = install(folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [f"Installing the pinned packages into .venv: {COST}"]
    said = (folder / ".venv" / "install.log").read_text()
    assert " + package==3" in said and "pip install --editable .[test] --constraint constraints.txt" in said


def test_a_failure_shows_all_that_was_said_and_keeps_the_exit_code(checkout):
    done = install(checkout("echo no such package; exit 7"))
    assert done.returncode == 7
    assert done.stderr.splitlines()[0] == "no such package"
    assert done.stderr.splitlines()[-1].startswith("The installation failed")


def test_a_terminal_shows_one_line_that_goes_again(checkout):
    from mlops_assets_tests.screens import run_in_terminal

    folder = checkout("sleep 2; echo done")
    script = f"import os; os.chdir({str(folder)!r}); os.execvp('sh', ['sh', 'scripts/install.sh', '', {TRUE_PYTHON!r}])"
    written = run_in_terminal(script, 120, dict(os.environ))
    assert b"Installing: 1 s" in written
    assert [line for line in screen_of(written, 120) if line] == [f"Installing the pinned packages into .venv: {COST}"]
