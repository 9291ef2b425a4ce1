"""The process that writes the prediction log.

In a thread of the server the same work would halve the requests that are answered: it is all Python, and each turn that
it takes is one in which no answer goes out. So the server only hands over what it has answered.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.connection import Connection, Pipe
from typing import TYPE_CHECKING, Any

from mlops_assets.errors import MlopsError, StorageError

if TYPE_CHECKING:
    from mlops_assets.project import Project
    from mlops_assets.resources.databases.prediction_log import LoggedRow


@dataclass(frozen=True, eq=False)
class AnsweredRequest:
    """A request as it was answered: its rows, and the outputs of each."""

    request_id: str
    at: datetime
    model_version: int
    rows: Sequence[Mapping[str, Any]]
    prediction: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]

    def logged(self) -> Iterator[LoggedRow]:
        from mlops_assets.resources.databases.prediction_log import LoggedRow

        outputs = zip(self.prediction, self.low, self.high, strict=True)
        for number, (inputs, output) in enumerate(zip(self.rows, outputs, strict=True)):
            yield LoggedRow(self.request_id, number, self.at, self.model_version, dict(inputs), *output)


class LogProcess:
    """The prediction log of a project, written by a process that starts at the first use and ends with this one.

    It is ours alone: a request that it has taken is written even if this process is killed. The methods raise
    StorageError, and are for one thread at a time.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._process: subprocess.Popen | None = None
        self._line: Connection

    def add(self, part: Sequence[AnsweredRequest]) -> None:
        self._ask("add", part)

    def forget(self, before: datetime) -> None:
        self._ask("forget", before)

    def close(self) -> None:
        """Let the process end, which it does once it has done what it was asked for."""
        if self._process:
            self._line.close()
            self._process.wait()
            self._process = None

    def _ask(self, what: str, argument: Any) -> None:
        try:
            if self._process is None:
                self._start()
            self._line.send((what, argument))
            problem = self._line.recv()
        except (EOFError, OSError):
            self.close()
            raise StorageError("the process that writes the prediction log has died; another one is started") from None
        if problem:
            raise StorageError(problem)

    def _start(self) -> None:
        self._line, theirs = Pipe()
        command = [sys.executable, "-m", __name__, str(theirs.fileno())]
        env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        with theirs:
            self._process = subprocess.Popen(command, env=env, pass_fds=[theirs.fileno()])
        self._line.send(type(self._project)(self._project.settings, self._project.spec))  # without what it has opened


def main(handle: int) -> None:
    """Write what comes over the line, until its other end is closed or gone."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # meant for the server, which still has something to hand over
    with Connection(handle) as line:
        try:
            project = line.recv()
            while True:
                line.send(_done(project, *line.recv()))
        except (EOFError, ConnectionError):
            return


def _done(project: Project, what: str, argument: Any) -> str | None:
    """Do what is asked; gives what went wrong, without a value of any row."""
    try:
        if what == "add":
            project.prediction_log.add([row for answered in argument for row in answered.logged()])
        else:
            project.prediction_log.forget(argument)
    except MlopsError as error:
        return project.spec.redact(str(error))
    except Exception as error:
        return type(error).__name__
    return None


if __name__ == "__main__":
    main(int(sys.argv[1]))
