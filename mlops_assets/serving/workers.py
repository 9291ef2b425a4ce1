"""Several processes that answer on one port, for machines with more than one core.

They are forked from a process that has loaded everything but a model, and that answers nothing itself: it starts anew
who ends, passes hints about a new champion on to all, and ends all of them when it is told to stop. If it is killed,
they stop by themselves.
"""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import signal
import socket
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait
from threading import Thread
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiprocessing.context import ForkProcess

log = logging.getLogger(__name__)
STOP = (signal.SIGINT, signal.SIGTERM)
HINT = signal.SIGUSR1
PAUSE = 1.0  # seconds between the ends of two workers, at least, so that one that cannot start is not started for ever


def hint_all() -> None:
    """Told by a worker: let each worker look who is champion."""
    os.kill(os.getppid(), HINT)


class Workers:
    """One process a listening socket, which calls `answer` with it until it is sent SIGTERM.

    `hear` is called in a worker when a hint comes, and `ended` with the id of a process that is gone.
    """

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        answer: Callable[[socket.socket], None],
        hear: Callable[[], None],
        ended: Callable[[int], None],
    ) -> None:
        self._sockets, self._answer, self._hear, self._ended = sockets, answer, hear, ended
        self._running: dict[int, ForkProcess] = {}  # by the place of its socket
        self._life = os.pipe()  # its other end closes when this process is gone, however it went
        self._is_stopping = False

    def run(self, grace: float) -> None:
        """Until SIGINT or SIGTERM; workers that have not ended so many seconds later are killed."""
        for number in STOP:
            signal.signal(number, self._stop)
        signal.signal(HINT, lambda *_: self._tell(HINT))
        gc.freeze()  # what is loaded so far stays one memory for all of them
        for place in range(len(self._sockets)):
            self._start(place)
        while not self._is_stopping:
            self._reap(None)
            if not self._is_stopping:
                self._start_missing()
        for listening in self._sockets:
            listening.close()  # from now on callers are refused, and wait for nobody
        self._tell(signal.SIGTERM)
        end = monotonic() + grace
        while self._running and monotonic() < end:
            self._reap(end - monotonic())
        self._tell(signal.SIGKILL)
        while self._running:
            self._reap(None)

    def _stop(self, *_: Any) -> None:
        self._is_stopping = True
        self._tell(signal.SIGTERM)  # which ends the wait for workers

    def _tell(self, number: int) -> None:
        for worker in self._running.values():
            if worker.pid and worker.exitcode is None:
                os.kill(worker.pid, number)

    def _start_missing(self) -> None:
        sleep(PAUSE)
        for place in range(len(self._sockets)):
            if place not in self._running:
                self._start(place)

    def _start(self, place: int) -> None:
        """Fork a worker; signals wait until it is known here, and has handlers of its own there."""
        worker = multiprocessing.get_context("fork").Process(target=self._work, args=(place,), name=f"worker {place}")
        signal.pthread_sigmask(signal.SIG_BLOCK, {*STOP, HINT})
        try:
            worker.start()
            self._running[place] = worker
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {*STOP, HINT})

    def _reap(self, seconds: float | None) -> None:
        """Wait for the end of a worker, for at most so many seconds."""
        gone = wait([worker.sentinel for worker in self._running.values()], seconds)
        for place, worker in [*self._running.items()]:
            if worker.sentinel in gone:
                worker.join()
                self._ended(worker.pid or 0)
                del self._running[place]
                if not self._is_stopping:
                    log.error("worker %d has ended with %s: another one is started", worker.pid, worker.exitcode)

    def _work(self, place: int) -> None:
        """In the forked process."""
        os.setpgrp()  # Ctrl-C is for the process that tells this one
        for number in STOP:
            signal.signal(number, signal.SIG_DFL)  # until the server that is called has its own
        signal.signal(HINT, lambda *_: self._hear())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {*STOP, HINT})
        for other, listening in enumerate(self._sockets):
            if listening is not self._sockets[place]:
                self._sockets[other].close()
        watched, held = self._life
        os.close(held)
        Thread(target=_stop_without, args=(watched,), name="life", daemon=True).start()
        self._answer(self._sockets[place])


def _stop_without(watched: int) -> None:
    os.read(watched, 1)
    os.kill(os.getpid(), signal.SIGTERM)
