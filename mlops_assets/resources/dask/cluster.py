"""An existing Dask cluster: an executor of trials like the local ones, with the same results, and calls by worker.

Dask runs what a dying worker takes with it again on another. What is told here: a trial that goes on to kill workers,
a machine that cannot reach the training set, one with other code, and a cluster that is gone.
"""

import hashlib
import os
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import mlops_assets
from mlops_assets.core.search.executors import LOST_WORKERS, Executor, make_executor, threads_each
from mlops_assets.errors import ClusterUnreachable, MlopsError, SettingsError, StorageUnreachable, TuningError
from mlops_assets.settings import Settings

if TYPE_CHECKING:
    from distributed import Client
    from distributed import Future as DaskFuture


CONNECT_SECONDS = 20
WORKERLESS_SECONDS = 120  # for which workers that died may take to come back
_LOOK_SECONDS = 5
_PACKAGES = ("numpy", "scipy", "scikit-learn", "xgboost", "xgboost-cpu", "lightgbm", "catboost", "distributed")
_SAME_CODE = "install the same version on the scheduler and on all workers, and start them anew"


@cache
def code_identity() -> Mapping[str, str]:
    """Python's version, those of the packages that fit models, and a digest of this package's own code."""
    versions = {"python": ".".join(map(str, sys.version_info[:2]))}
    for name in _PACKAGES:
        try:
            versions[name.removesuffix("-cpu")] = version(name)
        except PackageNotFoundError:  # XGBoost comes from one of two, others are extras
            continue
    return versions | {"mlops_assets": _digest(Path(mlops_assets.__file__).parent)}


def differences(theirs: Mapping[str, str], ours: Mapping[str, str]) -> str:
    """What they run that we do not, in words; empty where nothing differs."""
    names = [name for name in {**ours, **theirs} if theirs.get(name) != ours.get(name)]
    return ", ".join(f"{name} {theirs.get(name, 'absent')} instead of {ours.get(name, 'none')}" for name in names)


def _digest(folder: Path) -> str:
    """Of the sources by relative name."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


class NotHere(Exception):
    """A call that this worker could not run, and another may."""

    def __init__(self, worker: str, reason: str) -> None:
        super().__init__(worker, reason)
        self.worker, self.reason = worker, reason


class DaskCluster:
    """The workers of one scheduler; raises ClusterUnreachable, and TuningError where they run other code."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._client = _connect(address)
        try:
            self.workers = len(self._workers_with_our_code())
        except BaseException:
            self._client.close()
            raise

    def submit(self, function: Callable, *args: Any) -> "ClusterCall":
        return ClusterCall(self, function, args)

    def send(self, function: Callable, args: tuple, workers: Collection[str] = ()) -> "DaskFuture":
        """Start a call, on one of `workers` where some are named."""
        only = sorted(workers) or None
        with _Translated(self.address):
            return self._client.submit(run_here, code_identity(), function, args, pure=False, workers=only)

    def wait(self, future: "DaskFuture") -> Any:
        """The result of a call that was sent; raises what it raised."""
        last_worker = time.monotonic()
        while True:
            with _Translated(self.address):
                try:
                    return future.result(timeout=_LOOK_SECONDS)
                except TimeoutError:
                    if future.done():
                        continue
            if self.addresses():
                last_worker = time.monotonic()
            elif time.monotonic() - last_worker > WORKERLESS_SECONDS:
                raise ClusterUnreachable(f"the Dask cluster at {self.address} has lost all its workers")

    def wait_together(self, calls: Mapping[str, "DaskFuture"]) -> dict[str, Any]:
        """The results of calls that were each sent to a worker of its own, and need each other to end.

        Raises what the first to fail raised, or NotHere where a worker has left.
        """
        while True:
            with _Translated(self.address):
                for call in calls.values():
                    if call.status not in ("pending", "finished"):
                        call.result()
                pending = [call for call in calls.values() if not call.done()]
                if not pending:
                    return {worker: call.result() for worker, call in calls.items()}
                if gone := calls.keys() - set(self.addresses()):
                    raise NotHere(min(gone), "it has left the cluster")
                with suppress(TimeoutError):
                    pending[0].result(timeout=_LOOK_SECONDS)

    def addresses(self) -> list[str]:
        """The workers, in an order that is always the same."""
        with _Translated(self.address):
            return sorted(self._client.nthreads())

    def wait_for_workers(self, count: int, seconds: float) -> None:
        """Until there are so many, or have not come for so long."""
        with _Translated(self.address), suppress(TimeoutError):
            self._client.wait_for_workers(count, timeout=seconds)

    def on_scheduler(self, function: Callable, *args: Any) -> Any:
        """The result of a call in the scheduler's process, whose object it gets as `dask_scheduler`."""
        with _Translated(self.address):
            return self._client.run_on_scheduler(function, *args)

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Wait until no other process is in a block of this name; one that was killed is out of it within a minute."""
        from distributed import Lock

        lock = Lock(name, scheduler_rpc=self._client.scheduler, loop=self._client.loop)
        with _Translated(self.address):
            lock.acquire()
        try:
            yield
        finally:
            with _Translated(self.address):
                lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._client.close()  # which drops what is still under way

    def _workers_with_our_code(self) -> Mapping[str, Mapping[str, str]]:
        """What each worker runs, once there is one; asked before the first trial, for one clear error."""
        with _Translated(self.address):
            try:
                self._client.wait_for_workers(1, timeout=CONNECT_SECONDS)
            except TimeoutError:
                raise ClusterUnreachable(f"the Dask cluster at {self.address} has no worker: start some") from None
            scheduler = {"the scheduler": self._client.run_on_scheduler(code_identity)}
            workers = self._client.run(code_identity)
        for where, theirs in (scheduler | {f"the worker {address}": run for address, run in workers.items()}).items():
            check_code(where, theirs)
        return workers


class ClusterCall:
    """A call under way; tried on another machine where one cannot run it."""

    def __init__(self, cluster: DaskCluster, function: Callable, args: tuple) -> None:
        self._cluster, self._function, self._args = cluster, function, args
        self._avoided: set[str] = set()
        self._future = cluster.send(function, args)

    def result(self) -> Any:
        for _ in range(LOST_WORKERS):
            try:
                return self._cluster.wait(self._future)
            except NotHere as error:
                last = error
                self._avoided.add(error.worker)
                others = set(self._cluster.addresses()) - self._avoided
                self._future = self._cluster.send(self._function, self._args, others)
        raise ClusterUnreachable(
            f"{LOST_WORKERS} tries of the same trial failed, the last on {last.worker}: {last.reason}"
        )


def run_here(sent_by: Mapping[str, str], function: Callable, args: tuple) -> Any:
    """Call a function on a worker, if that runs the code of who sent it. Raises NotHere, or what the function does."""
    from distributed import get_worker

    where = get_worker().address
    check_code(f"the worker {where}", code_identity(), sent_by)
    try:
        return function(*args)
    except (StorageUnreachable, ConnectionError) as error:
        raise NotHere(where, str(error)) from None


def check_code(where: str, theirs: Mapping[str, str], ours: Mapping[str, str] | None = None) -> None:
    """Raises TuningError where others run code that is not ours."""
    if other := differences(theirs, code_identity() if ours is None else ours):
        raise TuningError(f"{where} runs other code: {other}; {_SAME_CODE}")


def _connect(address: str) -> "Client":
    try:
        from distributed import Client
    except ImportError:
        raise SettingsError(
            "the settings name a Dask cluster, whose package is not installed: pip install 'mlops-assets[dask]'"
        ) from None
    with _Translated(address):
        return Client(address, timeout=CONNECT_SECONDS, set_as_default=False, name=f"mlops-assets-{os.getpid()}")


class _Translated:
    """Errors of Dask and of the network as ours; those of a function that was called pass through."""

    def __init__(self, address: str) -> None:
        self._address = address

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: object) -> None:
        from concurrent.futures import CancelledError

        from distributed import KilledWorker

        if not isinstance(error, Exception) or isinstance(error, (MlopsError, NotHere)):
            return
        if isinstance(error, KilledWorker):
            raise TuningError(
                f"the workers that ran the same trial were killed, most likely for want of memory ({error}): "
                "lower MLOPS_TUNING_ROWS, or give the workers more"
            ) from None
        if isinstance(error, (OSError, TimeoutError, CancelledError)):
            raise ClusterUnreachable(
                f"the Dask cluster at {self._address} does not answer ({type(error).__name__}): does its scheduler run?"
            ) from None
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise TuningError(
            f"the Dask cluster at {self._address} cannot run this code ({reason}): {_SAME_CODE}"
        ) from None


def open_executor(setting: str) -> Executor:
    """The executor that MLOPS_TRIALS names."""
    kind, _, address = setting.partition(":")
    return DaskCluster(address) if kind == "dask" else make_executor(setting)


def threads_of_a_trial(settings: Settings, executor: Executor) -> int:
    """The threads of this machine are shared out; of a worker's machine nothing is known but what is set."""
    if isinstance(executor, DaskCluster):
        return settings.threads or 1
    return threads_each(settings.thread_count, executor)
