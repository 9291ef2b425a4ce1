"""XGBoost's final fit with its rows divided over the workers of a Dask cluster, which grow each tree together.

This is what `xgboost.dask` does, but for two things: each worker reads its share of the training set itself, where
Dask would hold it in memory; and whoever is killed in the middle, no worker is left waiting for ever.
"""

import os
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_assets.core.learners.estimators import Fitted, build
from mlops_assets.core.learners.libraries.xgboost import booster_settings, feature_kinds, finish_booster
from mlops_assets.core.learners.model_types import ModelType
from mlops_assets.core.learners.out_of_core import row_blocks
from mlops_assets.core.learners.persistence import dump_estimator, parse_estimator
from mlops_assets.core.search.executors import LOST_WORKERS
from mlops_assets.errors import ClusterUnreachable
from mlops_assets.resources.dask.cluster import DaskCluster, NotHere
from mlops_assets.resources.dask.fit_process import run_share

if TYPE_CHECKING:
    from distributed import Scheduler
    from xgboost.tracker import RabitTracker


MEETING_SECONDS = 300  # a worker whose partners never come is free again after them
RETURN_SECONDS = 30  # for which a worker that died may take to come back
SLOW_SECONDS = 3_600  # for which a slow machine may keep the others waiting; one that is lost is known much sooner
_FIT = "mlops-assets: a fit with divided rows"  # two at once would wait for each other's workers
_trackers: "dict[int, RabitTracker]" = {}  # of the scheduler's process, by port


def start_tracker(workers: int, dask_scheduler: "Scheduler") -> dict[str, Any]:
    """What so many workers need to find each other; names the port of the tracker."""
    from distributed.comm import get_address_host
    from xgboost.core import XGBoostError
    from xgboost.tracker import RabitTracker

    host = get_address_host(dask_scheduler.address)
    tracker = RabitTracker(workers, host, sortby="task", timeout=MEETING_SECONDS)
    tracker.start()

    def attend() -> None:
        with suppress(XGBoostError):  # a worker was lost: who sent the calls sees that
            tracker.wait_for()

    threading.Thread(target=attend, daemon=True).start()
    link = tracker.worker_args()
    _trackers[int(link["dmlc_tracker_port"])] = tracker
    return link


def end_tracker(link: Mapping[str, Any]) -> None:
    """Have no tracker for them any more; it may take a while where one was lost, and the scheduler must not wait."""
    from xgboost.core import XGBoostError

    tracker = _trackers.pop(int(link["dmlc_tracker_port"]))

    def free() -> None:
        with suppress(XGBoostError):
            tracker.free()

    threading.Thread(target=free, daemon=True).start()


@dataclass(frozen=True)
class DividedFit:
    """What every worker knows of the fit; picklable.

    `training_set`: folder of a written training set, asked for its path where it is read. `threads`: of each worker; 0
    takes those it was started with.
    """

    training_set: PathLike[str]
    model_type: ModelType
    params: Mapping[str, Any]
    rounds: int
    seed: int
    threads: int

    def open(self) -> None:
        """Have the training set on this machine."""
        os.fspath(self.training_set)

    def share(self, number: int, shares: int, link: Mapping[str, Any]) -> bytes | None:
        """Grow the trees together with the others, on a worker; the first gives them. Raises NotHere."""
        from distributed import get_worker

        threads = self.threads or get_worker().state.nthreads
        return run_share(self.grow, number, shares, link, threads)

    def grow(self, number: int, shares: int, link: Mapping[str, Any], threads: int) -> bytes | None:
        """The same in a process of its own, from share `number` of the rows."""
        from xgboost import QuantileDMatrix, train
        from xgboost.collective import CommunicatorContext

        from mlops_assets.core.training_set import TrainingSet

        rows = TrainingSet.load(Path(self.training_set))
        constraints = self.model_type.constraints(rows.dense_names)
        regressor = build(self.model_type, self.params, seed=self.seed, threads=threads, constraints=constraints)
        target, y = self.model_type.target, rows.target("train")
        X, weights = rows.matrix(self.model_type.matrix, "train"), target.row_weights(y, rows.weights("train"))
        mine = slice(*(len(y) * each // shares for each in (number, number + 1)))
        kinds = feature_kinds(rows.categorical if self.model_type.matrix == "dense" else ())
        # The order of the tasks' names is that of the shares: sums are made in it.
        with CommunicatorContext(dmlc_task_id=f"{number:06}", dmlc_timeout=SLOW_SECONDS, **link):
            blocks = row_blocks(X[mine], target.forward(y[mine]), kinds, None if weights is None else weights[mine])
            binned = QuantileDMatrix(blocks, max_bin=regressor.max_bin, enable_categorical=True, nthread=threads)
            booster = train(booster_settings(regressor), binned, num_boost_round=self.rounds, verbose_eval=False)
        finish_booster(booster, target)
        return None if number else dump_estimator(booster)


def fit_divided(address: str, fit: DividedFit) -> Fitted:
    """Fit on all workers of a cluster that can read the training set; anew where one is lost on the way.

    The number of workers, with the seed, fixes the model. Raises ClusterUnreachable, and TuningError where a machine
    runs other code.
    """
    started, before = time.perf_counter(), 1
    for _ in range(LOST_WORKERS):
        with DaskCluster(address) as cluster, cluster.alone(_FIT):
            cluster.wait_for_workers(before, RETURN_SECONDS)
            try:
                workers = _with_the_rows(cluster, fit)
                before = len(workers)
                estimator = parse_estimator(_grown(cluster, fit, workers))
                return Fitted(estimator, dict(fit.params), fit.rounds, time.perf_counter() - started, before)
            except NotHere as error:
                last = error
    raise ClusterUnreachable(
        f"{LOST_WORKERS} tries of the final fit over the cluster failed, the last on {last.worker}: {last.reason}; "
        "code -9, and workers that leave, often mean want of memory: give them more, or start more of them"
    )


def _with_the_rows(cluster: DaskCluster, fit: DividedFit) -> list[str]:
    """The workers that have the training set at hand; waits until each is free. Raises NotHere where none has."""
    ready, problem = [], NotHere(cluster.address, "it has no worker")
    calls = {worker: cluster.send(fit.open, (), [worker]) for worker in cluster.addresses()}
    for worker, call in calls.items():
        try:
            cluster.wait_together({worker: call})
            ready.append(worker)
        except NotHere as error:
            problem = error
    if not ready:
        raise problem
    return ready


def _grown(cluster: DaskCluster, fit: DividedFit, workers: list[str]) -> bytes:
    count, link = len(workers), cluster.on_scheduler(start_tracker, len(workers))
    try:
        calls = {
            worker: cluster.send(fit.share, (number, count, link), [worker]) for number, worker in enumerate(workers)
        }
        return cluster.wait_together(calls)[workers[0]]
    finally:
        cluster.on_scheduler(end_tracker, link)
