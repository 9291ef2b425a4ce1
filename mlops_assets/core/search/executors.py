"""Where trials run: in this process or in N local ones. Same interface, same results; others may join.

A future fails with the function's own exception, or with TuningError where the process that ran it was lost
again and again. Functions and arguments must be picklable for any executor but `local`.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import wait
from typing import Any, Generic, Protocol, Self, TypeVar

from mlops_assets.errors import SettingsError, TuningError

Result = TypeVar("Result")
Result_co = TypeVar("Result_co", covariant=True)
LOST_WORKERS = 3
_LOST = (
    f"{LOST_WORKERS} processes that ran the same trial were killed, most likely for want of memory: "
    "lower MLOPS_TUNING_ROWS, or the number of processes in MLOPS_TRIALS"
)


class Call(Protocol[Result_co]):
    """A call under way, such as a future."""

    def result(self) -> Result_co:
        """What the function gave, once it has; raises what it raised."""
        ...


class Executor(Protocol):
    """Runs functions, `workers` of them at a time; a context manager that waits for them at its end."""

    workers: int

    def submit(self, function: Callable[..., Result], *args: Any) -> Call[Result]: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...


def make_executor(setting: str) -> Executor:
    """The executor that a setting names: `local` or `local:N`."""
    kind, _, count = setting.partition(":")
    if kind != "local" or (setting != "local" and not (count.isdigit() and int(count))):
        raise SettingsError(f"'{setting}' says not where trials run: use local, or local:N for N processes")
    return LocalProcesses(int(count)) if count else ThisProcess()


def threads_each(threads: int, executor: Executor) -> int:
    """The share of `threads` that each worker may use, so that all together do not use more."""
    return max(1, threads // executor.workers)


class ThisProcess:
    """Runs each function at once, in the caller."""

    workers = 1

    def submit(self, function: Callable[..., Result], *args: Any) -> Future[Result]:
        future: Future[Result] = Future()
        try:
            future.set_result(function(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass


@dataclass
class _Work(Generic[Result]):
    """What is to be done, the future that waits for it, and how many processes were lost over it."""

    function: Callable[..., Result]
    args: tuple[Any, ...]
    future: Future[Result] = field(default_factory=Future)
    lost: int = 0


class LocalProcesses:
    """N spawned processes. Calls that a dying process takes with it run again on fresh ones, a few times."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._lock = threading.Lock()
        self._pool = self._new_pool()

    def submit(self, function: Callable[..., Result], *args: Any) -> Future[Result]:
        work = _Work(function, args)
        self._start(work)
        return work.future

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        with self._lock:
            pool = self._pool
        pool.shutdown(cancel_futures=True)

    def _new_pool(self) -> ProcessPoolExecutor:
        # Not fork: OpenMP and BLAS threads do not survive it.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self.workers, mp_context=context, initializer=_end_with_parent)

    def _start(self, work: _Work[Any]) -> None:
        with self._lock:
            try:
                running = self._pool.submit(work.function, *work.args)
            except BrokenProcessPool:
                self._pool = self._new_pool()
                running = self._pool.submit(work.function, *work.args)
        running.add_done_callback(partial(self._finish, work))

    def _finish(self, work: _Work[Result], done: Future[Result]) -> None:
        if done.cancelled():
            work.future.cancel()
            return
        error = done.exception()
        if isinstance(error, BrokenProcessPool):
            self._start_again(work)
        elif error is not None:
            work.future.set_exception(error)
        else:
            work.future.set_result(done.result())

    def _start_again(self, work: _Work[Any]) -> None:
        work.lost += 1
        if work.lost == LOST_WORKERS:
            work.future.set_exception(TuningError(_LOST))
            return
        try:
            self._start(work)
        except Exception as error:  # we run in the pool's own thread, where nobody else would see it
            work.future.set_exception(error)


def _end_with_parent() -> None:
    """End this worker when the process that started it dies; a killed parent cannot tell it to."""
    parent = multiprocessing.parent_process()
    if parent is None:
        raise TuningError("this process has no parent to end with: a worker is started by another process")
    sentinel = parent.sentinel

    def watch() -> None:
        wait([sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
