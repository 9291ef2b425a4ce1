"""One worker's part of a divided fit, in a process of its own, which can be ended.

A thread that waits in XGBoost for a partner that was lost cannot be, and would keep the worker for ever.
"""

import os
import pickle
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any

from mlops_assets.errors import MlopsError
from mlops_assets.resources.dask.cluster import NotHere

_LOOK_SECONDS = 1


def run_share(function: Callable, *args: Any) -> Any:
    """The result of a call in a process of its own, on a worker; ended where the call is not asked for any more.

    Raises an MlopsError as it was raised, and NotHere where XGBoost fails or the process is killed.
    """
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()
    with tempfile.TemporaryFile() as outcome:
        command = [sys.executable, "-m", __name__]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=outcome) as process:
            try:
                _send(process.stdin, (function, args))
                while process.poll() is None and _is_asked_for(worker, key):
                    with suppress(subprocess.TimeoutExpired):
                        process.wait(_LOOK_SECONDS)
            finally:
                process.kill()
        if process.returncode:
            raise NotHere(worker.address, f"its process ended with code {process.returncode} (see that worker's log)")
        outcome.seek(0)
        result, error, lost = pickle.load(outcome)
    if lost:
        raise NotHere(worker.address, lost)
    if error:
        raise error
    return result


def _send(pipe: IO[bytes] | None, call: tuple[Callable[..., Any], tuple[Any, ...]]) -> None:
    """Write a call to the standard input of a process, which stays open."""
    if pipe is None:
        raise ValueError("the process was started without a pipe")
    pickle.dump(call, pipe)
    pipe.flush()


def _is_asked_for(worker: Any, key: Any) -> bool:
    """Not so once another share has failed, or the run that sent the call has ended."""
    task = worker.state.tasks.get(key)
    return task is not None and task.state == "executing"


def _end_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)  # which nobody sends; it returns when the worker is gone
    os._exit(1)


def main() -> None:
    """Read a call from the standard input, and write what came of it to the standard output."""
    outcome = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # XGBoost has things to say
    function, args = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from xgboost.core import XGBoostError

    result = error = lost = None
    try:
        result = function(*args)
    except MlopsError as problem:
        error = problem
    except XGBoostError as problem:
        lost = " ".join(str(problem).partition("Stack trace")[0].split())
    with os.fdopen(outcome, "wb") as file:
        pickle.dump((result, error, lost), file)


if __name__ == "__main__":
    main()
