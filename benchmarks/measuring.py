"""Measuring: each thing runs in a process of its own, and the system says what that process used.

`python -m benchmarks.measuring MODULE:FUNCTION JSON` is such a process: it calls the function and prints what it
returns. Modules of benchmarks import nothing heavy at the top, since a child's peak memory counts its parent's.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, TextIO

from mlops_assets.settings import PREFIX, Settings

ROOT = Path(__file__).resolve().parents[1]
SHOWN = 2_000  # characters of what a failed process said
# Set to nothing, a variable is not set, whatever the user's own environment or .env says. Bytecode is kept, as Python
# does by itself: without it each process compiles the package anew.
OTHERS = {"DAGSTER_HOME": "", "PYTHONDONTWRITEBYTECODE": ""}
UNSET = {f"{PREFIX}{name.upper()}": "" for name in Settings.model_fields} | OTHERS


@dataclass(frozen=True)
class Usage:
    """What a process used: seconds by the clock, user + system CPU seconds with its children's, and peak memory."""

    wall: float
    cpu: float
    peak_mb: float


@dataclass(frozen=True)
class Ran:
    """A process that has ended well. `value`: what a called function returned."""

    usage: Usage
    output: str
    value: Any = None


def run(
    command: Sequence[str | Path], env: Mapping[str, str] | None = None, cwd: Path = ROOT, codes: Sequence[int] = (0,)
) -> Ran:
    """Run a command to its end; one that ends with another code ends the benchmarks with what it said last."""
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        started = time.perf_counter()
        process = subprocess.Popen(command, env=os.environ | UNSET | (env or {}), cwd=cwd, stdout=output, stderr=errors)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        said, complaint = _read(output), _read(errors)
    if process.returncode not in codes:
        name = " ".join(map(str, command))
        sys.exit(f"{name} ended with {process.returncode}:\n{said[-SHOWN:]}\n{complaint[-SHOWN:]}")
    return Ran(Usage(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024), said)


def _read(file: TextIO) -> str:
    file.seek(0)
    return file.read()


def call(function: Callable[..., Any], env: Mapping[str, str] | None = None, **arguments: Any) -> Ran:
    """Call a module's function in a fresh process; arguments and value pass as JSON."""
    target = f"{function.__module__}:{function.__name__}"
    ran = run([sys.executable, "-m", "benchmarks.measuring", target, json.dumps(arguments)], env)
    return Ran(ran.usage, ran.output, json.loads(ran.output.splitlines()[-1]))


def in_turns(times: int, *things: Callable[[], Ran]) -> list[list[Ran]]:
    """The runs of each thing; things take turns, so that a busy machine is busy for all of them."""
    rounds = [[thing() for thing in things] for _ in range(times)]
    return [list(runs) for runs in zip(*rounds, strict=True)]


def middle(runs: Sequence[Ran], of: Callable[[Ran], float]) -> float:
    """The median over runs."""
    return median(of(ran) for ran in runs)


@contextmanager
def timed() -> Iterator[dict[str, float]]:
    """Fills the dict with the `wall` and `cpu` seconds, over all threads, of what is inside."""
    used: dict[str, float] = {}
    wall, cpu = time.perf_counter(), time.process_time()
    yield used
    used |= {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


if __name__ == "__main__":
    module, _, name = sys.argv[1].partition(":")
    value = getattr(importlib.import_module(module), name)(**json.loads(sys.argv[2]))
    print(json.dumps(value))
