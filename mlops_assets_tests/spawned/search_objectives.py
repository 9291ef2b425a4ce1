"""Objectives and calls for tests of searches and executors; importable by name in a spawned process."""

import os
import signal
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from mlops_assets.core.search.trials import Outcome
from mlops_assets.errors import StorageError, StorageUnreachable


@dataclass(frozen=True)
class Bowl:
    """Lowest at x = 3 and depth = 5. Each call is noted as a line of `calls`, where that is given."""

    calls: Path | None = None

    def __call__(self, params, beat) -> Outcome:
        if self.calls:
            with self.calls.open("a", encoding="utf-8") as file:
                file.write("called\n")
        loss = (params["x"] - 3) ** 2 + abs(params["depth"] - 5) / 10
        estimator = f"fitted with {params}".encode() if loss < beat else None
        return Outcome(loss, {"rmse": loss}, params["depth"], estimator)

    @property
    def count(self) -> int:
        return len(self.calls.read_text(encoding="utf-8").splitlines()) if self.calls.exists() else 0


@dataclass(frozen=True)
class KilledBowl(Bowl):
    """A bowl whose call number `kill_at` ends its process as `kill -9` does; later calls go on."""

    kill_at: int = 0

    def __call__(self, params, beat) -> Outcome:
        outcome = super().__call__(params, beat)
        if self.count == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return outcome


@dataclass(frozen=True)
class Laborious:
    """Takes CPU seconds over each point, and comes the closer to `floor` the closer it is to the bowl's lowest."""

    floor: float
    cpu_seconds: float = 0.01

    def __call__(self, params, beat) -> Outcome:
        end = time.process_time() + self.cpu_seconds
        while time.process_time() < end:
            pass
        return Outcome(self.floor + abs(params["x"] - 3))


@dataclass(frozen=True)
class Picky:
    """Fails, or gives a loss that is no number, for some points."""

    def __call__(self, params, beat) -> Outcome:
        if params["x"] > 5:
            raise UnpicklableError(params["x"], "is too much")
        return Outcome(float("nan") if params["x"] < 1 else params["x"])


class UnpicklableError(Exception):
    """Has two arguments, so its pickled form cannot be read: a pool that had to would break."""

    def __init__(self, value, text):
        super().__init__(f"{value} {text}")


def always_fail(params, beat) -> Outcome:
    raise ValueError(f"cannot fit x = {params['x']}")


def broken_training_set(params, beat) -> Outcome:
    raise StorageError("the training set is damaged")


def die_once(mark: Path, value: int) -> int:
    """Kills its process the first time; `mark` remembers that."""
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return value


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def hold_line(port: int) -> None:
    """Connect to a port and stay until this process ends."""
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.sendall(b"here")
        line.recv(1)


def reached_elsewhere(mark: Path) -> str:
    """The first machine that is asked cannot reach the store; `mark` remembers that."""
    if not mark.exists():
        mark.touch()
        raise StorageUnreachable("the store does not answer")
    return "reached"


def never_reached() -> None:
    raise StorageUnreachable("the store does not answer")
