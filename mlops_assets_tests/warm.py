"""Processes of tests start in an instant: `sys.executable` is a stand-in whose work a fork of a warm Python does.

Tests of how Python starts, of what is imported, of terminals, or of other machines start `TRUE_PYTHON`.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SPAWNED = Path(__file__).parent / "spawned"
ROOT = SPAWNED.parents[1]
TRUE_PYTHON = sys.executable
VARIABLE = "PYTHON_OF_TESTS"  # names the stand-in
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # a fork keeps one thread only


@contextmanager
def warm_python() -> Iterator[None]:
    """Name the stand-in in the environment; ends what is left of the processes that it stood for."""
    folder = Path(tempfile.mkdtemp(prefix="warm"))
    place, stand_in = folder / "socket", folder / "python"
    source = (SPAWNED / "python_of_tests.py").read_text(encoding="utf-8")
    written = source.replace('PYTHON, SOCKET = "", ""', f"PYTHON, SOCKET = {TRUE_PYTHON!r}, {str(place)!r}")
    stand_in.write_text(f"#!{TRUE_PYTHON} -IS\n{written}", encoding="utf-8")
    stand_in.chmod(0o700)
    env = os.environ | ONE_THREAD | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    process = subprocess.Popen([TRUE_PYTHON, SPAWNED / "warm.py", place], env=env, cwd=folder, stdin=subprocess.PIPE)
    os.environ[VARIABLE] = str(stand_in)
    try:
        yield
    finally:
        del os.environ[VARIABLE]
        process.communicate()
        shutil.rmtree(folder, ignore_errors=True)


def pid_of(stand_in: int) -> int:
    """Id of the process that does the work, by that of what was started."""
    told = Path(os.environ.get(VARIABLE, "")).parent / f"{stand_in}.pid"
    return int(told.read_text()) if told.is_file() else stand_in
