"""Trials of a search as child runs in MLflow, written beside the search and not in its way."""

import time
from collections.abc import Callable, Mapping
from queue import Queue
from threading import Thread
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mlops_assets.errors import TrackingError
from mlops_assets.resources.mlflow.connection import search_runs, tracking_errors, write_batch

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

    from mlops_assets.core.search.trials import Trial

WAITING_TRIALS = 100
RETRY_SECONDS = (0.5, 2.0)
SEARCH_TAG, TRIAL_TAG, PARENT_TAG = "search", "trial", "mlflow.parentRunId"
_ENDED = ("FINISHED", "FAILED")


class TrialLogger:
    """Writes each trial once, whatever happened before: trials are known by their search and number.

    A trial that an earlier run of the same search has logged moves below the present run; one that was cut
    off half-way is completed. Names and tags count trials from 1, as people do.
    Use it as a context manager: leaving it waits until all is written.
    """

    def __init__(
        self,
        client: "MlflowClient",
        uri: str,
        *,
        experiment_id: str,
        search: str,
        model_type: str,
        tags: Mapping[str, str],
    ) -> None:
        """`search`: what identifies the search. `tags`: those of every trial, with its parent's run id."""
        self._client, self._uri, self._experiment_id = client, uri, experiment_id
        self._search, self._model_type = search, model_type
        self._tags = {**tags, "model_type": model_type, SEARCH_TAG: search}
        with tracking_errors(uri, "look up earlier trials"):
            earlier = self._logged()
        self._run_ids = {number: run.info.run_id for number, run in earlier.items()}
        self._complete = {number for number, run in earlier.items() if run.info.status in _ENDED}
        self._adopted = [run for run in earlier.values() if run.data.tags.get(PARENT_TAG) != tags[PARENT_TAG]]
        self._tried: set[int] = set()
        self._failure: Exception | None = None
        self._queue: Queue = Queue(WAITING_TRIALS)
        self._thread = Thread(target=self._work, name=f"trials of {model_type}", daemon=True)
        self._thread.start()

    def log(self, trial: "Trial") -> None:
        """Hand over a trial that has just ended; TrackingError where an earlier one could not be written."""
        if self._failure:
            raise self._failure
        if trial.number not in self._complete:
            self._complete.add(trial.number)
            self._queue.put((trial, time.time()))

    def run_id(self, number: int) -> str:
        """The MLflow run of a trial; for after the logger is closed."""
        return self._run_ids[number]

    def close(self) -> None:
        """Wait until all is written; raises TrackingError where something could not be."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()
        if self._failure:
            raise self._failure

    def __enter__(self) -> "TrialLogger":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.close()
        except Exception as failure:
            if error is None:
                raise
            if error is not failure:
                error.add_note(str(failure))

    def _work(self) -> None:
        try:
            for run in self._adopted:
                move = (run.info.run_id, PARENT_TAG, self._tags[PARENT_TAG])
                self._retrying("move an earlier trial", self._client.set_tag, *move)
            while (item := self._queue.get()) is not None:
                self._retrying(f"log trial {item[0].number + 1} of {self._model_type}", self._write, *item)
        except Exception as failure:
            self._failure = failure
            while self._queue.get() is not None:
                pass  # a search that hands over a trial must not wait for a thread that has given up

    def _retrying(self, doing: str, call: Callable, *arguments: Any) -> None:
        for seconds in RETRY_SECONDS:
            try:
                with tracking_errors(self._uri, doing):
                    return call(*arguments)
            except TrackingError:
                time.sleep(seconds)
        with tracking_errors(self._uri, doing):
            return call(*arguments)

    def _write(self, trial: "Trial", ended: float) -> None:
        run_id = self._run_id(trial, ended)
        scores = {f"validation_{name}": value for name, value in trial.metrics.items()}
        tags = self._tags | ({"error": trial.error} if trial.error else {})
        metrics = {**scores, "seconds": trial.seconds, "rounds": trial.rounds}
        write_batch(self._client, run_id, params=trial.params, metrics=metrics, tags=tags, at=ended)
        status = "FINISHED" if trial.status == "ok" else "FAILED"
        self._client.set_terminated(run_id, status, end_time=int(ended * 1000))

    def _run_id(self, trial: "Trial", ended: float) -> str:
        number = trial.number
        if number in self._tried and number not in self._run_ids:
            # The run may exist although the answer to the first try was lost.
            self._run_ids |= {number: run.info.run_id for number, run in self._logged().items()}
        self._tried.add(number)
        if number not in self._run_ids:
            created = self._client.create_run(
                self._experiment_id,
                start_time=int((ended - trial.seconds) * 1000),
                tags=self._tags | {TRIAL_TAG: str(number + 1)},
                run_name=f"{self._model_type} trial {number + 1}",
            )
            self._run_ids[number] = created.info.run_id
        return self._run_ids[number]

    def _logged(self) -> "dict[int, Run]":
        """Runs of this search's trials by number; of two with one number, the complete one."""
        runs: dict[int, Run] = {}
        for run in search_runs(self._client, self._experiment_id, f"tags.{SEARCH_TAG} = '{self._search}'"):
            if TRIAL_TAG in run.data.tags:
                number = int(run.data.tags[TRIAL_TAG]) - 1
                if number not in runs or run.info.status in _ENDED:
                    runs[number] = run
        return runs
