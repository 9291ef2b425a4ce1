"""A process that has imported what a command needs, and is forked for each call: a run for the price of its work.

Started with nothing else in it: `python -m benchmarks.forked`. It takes a line of JSON a call, and answers with how the
call ended.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

# What `mlops-assets run` imports by and by; none of it starts a thread or opens a file of the project's.
MODULES = (
    "alembic.command",
    "crepes.extras",
    "dagster._daemon",
    "dagster_mlflow",
    "dagster_pandera",
    "git",
    "hyperopt",
    "mlflow.pyfunc",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.store.model_registry.sqlalchemy_store",
    "pandas",
    "pandera.pandas",
    "pyarrow.csv",
    "pyarrow.parquet",
    "scipy.sparse.linalg",
    "skops.io",
    "sklearn.linear_model",
    "upath",
    "mlops_assets.cli.run",
    "mlops_assets.instance_storage",
    "benchmarks.faults",
)
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # a fork keeps one thread only


class Forked:
    """The process, and calls to it."""

    def __init__(self, env: Mapping[str, str]) -> None:
        """`env`: what the process, and each fork of it, is started with besides our own environment."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.forked"],
            env=os.environ | ONE_THREAD | env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def call(self, function: str, log: Path, seconds: int, env: Mapping[str, str], *words: str) -> int:
        """Call `module:function` in a fork with words as `sys.argv`: its exit code, negative for a signal.

        A fork that takes longer than `seconds` is ended by SIGALRM. What it prints goes to `log`.
        """
        call = {"function": function, "log": str(log), "seconds": seconds, "env": dict(env), "words": words}
        assert self._process.stdin and self._process.stdout
        print(json.dumps(call), file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate()


def main() -> None:
    for name in MODULES:
        importlib.import_module(name)
    gc.freeze()  # a collection in a fork would copy all that is imported
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        call = json.loads(line)
        child = os.fork()
        if not child:
            _answer(call)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), file=answers, flush=True)


def _answer(call: dict) -> None:
    """The call, and the end of the process."""
    log = os.open(call["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(log, stream)
    signal.alarm(call["seconds"])
    os.environ |= call["env"]
    sys.argv = call["words"]
    module, _, function = call["function"].partition(":")
    sys.exit(getattr(importlib.import_module(module), function)())


if __name__ == "__main__":
    main()
