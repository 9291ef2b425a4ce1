"""A saved model is loaded and checked in a process of its own before one that answers others loads it.

The libraries that read estimators are C and C++, and a file made on purpose may end the process that reads it. That
costs a start of Python, once for each model: models that passed are remembered by their digests.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from threading import Lock

from mlops_assets.errors import MlopsError, ModelError

CPU_SECONDS = 120  # to load and to answer the golden rows; the largest forests take ten
SECONDS = 1_200  # of the clock: on a busy machine answers go first
LIBRARIES = ("pandas", "sklearn.ensemble", "skops.io", "xgboost")
NICENESS = 10
REFUSED = 3  # what the process ends with where it could say why
_ROOM = 2_000_000_000  # bytes of address space, beside those that loading the libraries took
_TIMES = 100  # the size of the files, which is their most when unpacked


class Rehearsals:
    """Call it with a model's folder: it raises ModelError where the model must not be loaded. `stop` ends a trial.

    `gives_way`: whether somebody is answered meanwhile, who goes first. A server that has no model yet waits for it.
    """

    def __init__(self, verify_keys: Sequence[str] = ()) -> None:
        self.gives_way = False
        self._verify_keys = verify_keys
        self._process: subprocess.Popen[str] | None = None
        self._one_at_a_time = Lock()
        self._is_stopped = False

    def __call__(self, folder: Path) -> None:
        about = _digest(folder)
        if about in _PASSED:
            return
        with self._one_at_a_time:
            code, output = self._run(folder)
        if code == REFUSED:
            raise ModelError(output.strip())
        if code < 0:
            raise ModelError(
                f"loading the saved model ended the process by {signal.Signals(-code).name}: it is not ours"
            )
        if code:
            raise ModelError(f"the saved model cannot be loaded: a process that tried ended with {code}")
        _PASSED.add(about)

    def stop(self) -> None:
        self._is_stopped = True
        if process := self._process:
            process.kill()

    def _run(self, folder: Path) -> tuple[int, str]:
        niceness = NICENESS if self.gives_way else 0
        command = [sys.executable, "-m", __name__, str(folder), str(niceness), *self._verify_keys]
        env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        with subprocess.Popen(
            command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as self._process:
            if self._is_stopped:
                self._process.kill()
            try:
                output, _ = self._process.communicate(timeout=SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                raise ModelError(f"the saved model was not loaded within {SECONDS} s") from None
        return self._process.returncode, output


_PASSED: set[str] = set()  # digests of `model.json`, in which those of all other files stand


def _digest(folder: Path) -> str:
    from mlops_assets.core.model.files import read_about

    try:
        return sha256(read_about(folder)).hexdigest()
    except OSError as error:
        raise ModelError(f"the saved model cannot be read: {error.strerror or error}") from None


def main(folder: Path, niceness: int, verify_keys: Sequence[str]) -> int:
    signal.alarm(SECONDS)  # whoever started it may be gone
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    os.nice(niceness)
    from mlops_assets.core.learners.persistence import packages_of
    from mlops_assets.core.model.model import load_model

    try:
        for name in (*LIBRARIES, *packages_of(folder)):  # what they take is no part of what the model may take
            import_module(name)
        _limit_memory(folder)
        load_model(folder, verify_keys).self_check()
    except MlopsError as error:
        print(error, flush=True)
        return REFUSED
    except MemoryError:
        print("the saved model takes far more memory than its size: it is not ours", flush=True)
        return REFUSED
    return 0


def _limit_memory(folder: Path) -> None:
    """Let no claim in a file take all memory of the machine; where the system does not tell or take it, nothing."""
    size = sum(path.stat().st_size for path in folder.iterdir())
    with suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + _ROOM + _TIMES * size
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


if __name__ == "__main__":
    # Neither what a broken model leaves behind nor what libraries do at the end is waited for.
    os._exit(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
