"""A process that has imported what commands need, and is forked for each start of Python: that costs next to nothing.

`warm.py SOCKET` listens there until its standard input ends, and imports at the first call. Whoever connects, which is
`python_of_tests.py`, says what Python is to run and hands over its open files. The fork has these, that environment
and folder, and a session of its own; signals are handed on to it, and how it ended is told.
"""

import atexit
import fcntl
import gc
import importlib
import io
import marshal
import multiprocessing.spawn
import os
import pkgutil
import random
import runpy
import select
import signal
import socket
import sys
import threading
import traceback
import warnings
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import NoReturn

LENGTH, MOST_FILES = 8, 250
# What commands, servers and runs import by and by. None of it starts a thread or opens a file of the project's.
MODULES = (
    "a2wsgi",
    "alembic.command",
    "crepes.extras",
    "dagster._cli",
    "dagster._daemon.cli",
    "dagster._grpc.server",
    "dagster_dg_cli.cli",
    "dagster_mlflow",
    "dagster_pandera",
    "dagster_webserver.cli",
    "dash_mantine_components",
    "dash_snap_grid",
    "fastapi.openapi.models",
    "httptools",
    "hyperopt",
    "mlflow.cli",
    "mlflow.pyfunc",
    "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow.store.tracking.sqlalchemy_store",
    "pandas",
    "pandera.pandas",
    "pyarrow.csv",
    "pyarrow.dataset",
    "pyarrow.parquet",
    "scipy.sparse.linalg",
    "sklearn.ensemble",
    "sklearn.linear_model",
    "upath",
    "uvicorn",
    "uvloop",
    "xgboost",
)
# Where one of these is set, Prometheus's library is another one from its import on.
ASKED_BY_PROMETHEUS = ("MLOPS_SERVE_WORKERS", "PROMETHEUS_MULTIPROC_DIR")
USERS_OF_PROMETHEUS = ("prometheus_client", "mlops_assets.serving")


class Call:
    """What a start of Python is to be, and the files that it gets. Raises EOFError where the caller has gone."""

    def __init__(self, line: socket.socket) -> None:
        head, received, *_ = socket.recv_fds(line, LENGTH, MOST_FILES)
        body = b""
        while len(body) < int(head or 1):
            if not (part := line.recv(int(head or 1) - len(body))):
                raise EOFError
            body += part
        self.executable, self.caller, self.words, self.env, self.folder, self.umask, self.ignored, files = (
            marshal.loads(body)
        )
        self.files = dict(zip(files, received, strict=True))


def main(place: str) -> None:
    of_callers = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    libraries = [folder for folder in sys.path[1:] if folder not in of_callers]
    if call := _serve(place):
        _be(call, libraries)


def _serve(place: str) -> Call | None:
    """Fork for each call: gives it in the fork, and nothing once this process is to end."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # for the tests, which end our standard input then
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    children: dict[socket.socket, int] = {}
    is_warm = False
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(place)
        listening.listen(64)
        while True:
            ready, *_ = select.select([0, woken, listening, *children], [], [])
            if 0 in ready:
                for child in children.values():
                    os.kill(child, signal.SIGKILL)
                return None
            if woken in ready:
                os.read(woken, 1024)
            for line in children.keys() & set(ready):
                _hand_on(line, children)
            _tell_ends(children)
            if listening not in ready:
                continue
            line, _ = listening.accept()
            try:
                call = Call(line)
            except (EOFError, OSError):  # it was killed meanwhile
                line.close()
                continue
            if not is_warm:
                _warm_up()
                is_warm = True
            if child := os.fork():
                children[line] = child
                for file in call.files.values():
                    os.close(file)
                continue
            signal.set_wakeup_fd(-1)
            for ours in (line, *children):
                ours.close()
            for file in (woken, wake):
                os.close(file)
            Path(place).with_name(f"{call.caller}.pid").write_text(str(os.getpid()), encoding="utf-8")
            return call


def _hand_on(line: socket.socket, children: dict[socket.socket, int]) -> None:
    """Send a fork the signals that its stand-in was sent; where that has ended, it ends too."""
    try:
        numbers = line.recv(64)
    except OSError:
        numbers = b""
    for number in numbers or [signal.SIGKILL]:
        os.kill(children[line], number)
    if not numbers:
        os.waitpid(children.pop(line), 0)
        line.close()


def _tell_ends(children: dict[socket.socket, int]) -> None:
    for line, child in list(children.items()):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            with suppress(OSError):  # the stand-in was killed
                line.sendall(os.waitstatus_to_exitcode(status).to_bytes(4, "big", signed=True))
            line.close()
            del children[line]


def _warm_up() -> None:
    import mlops_assets
    from mlops_assets.core.learners.strict_skops import import_skops
    from mlops_assets.resources.mlflow.connection import DEFAULTS

    os.environ |= DEFAULTS
    gc.disable()  # what is imported stays
    with warnings.catch_warnings(action="ignore"):
        for name in MODULES:
            importlib.import_module(name)
        for module in pkgutil.walk_packages(mlops_assets.__path__, "mlops_assets."):
            with suppress(ModuleNotFoundError):  # of a package that is not always there
                importlib.import_module(module.name)
        import_skops()
    if threading.active_count() > 1:
        raise AssertionError(f"an import has started a thread, which no fork would have: {threading.enumerate()}")
    gc.collect()
    gc.freeze()  # a collection in a fork would copy all that is imported
    gc.enable()


def _be(call: Call, libraries: list[str]) -> NoReturn:
    """Become what was called, to the end."""
    os.setsid()
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in call.ignored:
        signal.signal(number, signal.SIG_IGN)
    _take(call.files)
    os.environ.clear()
    os.environ.update(call.env)
    os.umask(call.umask)
    os.chdir(call.folder)
    random.seed()
    sys.modules["numpy"].random.seed()
    sys.executable = call.executable
    multiprocessing.spawn.set_executable(call.executable)
    sys.path[:] = [*filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)), *libraries]
    if any(map(os.environ.get, ASKED_BY_PROMETHEUS)):
        for name in [name for name in sys.modules if name.startswith(USERS_OF_PROMETHEUS)]:
            del sys.modules[name]
    code = _ran(call.words)
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # closed, by whoever reads it or by us
            stream.flush()
    os._exit(code)  # taking down what was never ours costs more than all the rest


def _ran(words: list[str]) -> int:
    """Run a module or a script of one argument; the exit code of Python."""
    kind, what, *rest = words[next(at for at, word in enumerate(words) if word in ("-c", "-m")) :]
    sys.argv = [kind, *rest]
    sys.path.insert(0, os.getcwd() if kind == "-m" else "")
    module = sys.modules["__main__"] = ModuleType("__main__")
    try:
        if kind == "-m":
            if not hasattr(sys.modules.get(what), "__path__"):
                sys.modules.pop(what, None)  # it is run anew, as the main module
            runpy._run_module_as_main(what)
        else:
            exec(compile(what, "<string>", "exec", dont_inherit=True), module.__dict__)
    except SystemExit as end:
        if isinstance(end.code, int | None):
            return (end.code or 0) & 0xFF
        print(end.code, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        traceback.print_exc()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException as error:
        trace = error.__traceback__ and error.__traceback__.tb_next  # without our own frame
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        return 1
    return 0


def _take(files: dict[int, int]) -> None:
    """Let files of the caller have the numbers that they had there."""
    above = max([2, *files]) + 1
    for number, file in files.items():
        files[number] = fcntl.fcntl(file, fcntl.F_DUPFD, above)
        os.close(file)
    for number in (0, 1, 2):
        os.close(number)
    for number, file in files.items():
        os.dup2(file, number)
        os.close(file)
    sys.stdin, sys.stdout, sys.stderr = (_stream(number, files) for number in (0, 1, 2))
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr


def _stream(number: int, files: dict[int, int]) -> io.TextIOWrapper | None:
    if number not in files:
        return None
    raw = os.fdopen(number, "wb" if number else "rb", closefd=False)
    return io.TextIOWrapper(
        raw,
        encoding="utf-8",
        errors="backslashreplace" if number == 2 else "strict",
        line_buffering=number == 2 or os.isatty(number),
        write_through=bool(os.environ.get("PYTHONUNBUFFERED")),
    )


if __name__ == "__main__":
    main(sys.argv[1])
