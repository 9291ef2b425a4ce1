"""How a long asset comes along: heard by the run's log or a terminal, and kept in a tag of the run for whoever asks.

`retraining_at_work` puts the tags together: "18 of 27 parts, hyperparameters of XGBoost, trial 7 of 10".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

import dagster as dg

from mlops_assets.run_tags import RETRAIN, RETRAINING, STARTED_BY, TASK

if TYPE_CHECKING:
    from mlops_assets.core.search.trials import Trial

PARTS = "mlops/parts"  # tag: "18 of 27", the parts of a retraining that are done with
AT = "mlops/at"  # tag: "trial 7 of 10", what the run of a part is at
TELL_SECONDS = 2.0  # between two changes of that tag: each is a write into Dagster's database
_AT_WORK = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


class Progress(Protocol):
    """Listens to an asset at work."""

    def trial(
        self, context: dg.AssetExecutionContext, model_type: str, trial: Trial, best: float | None, of: int
    ) -> None:
        """A trial of `of` at most has ended; `best` is the lowest loss so far."""

    def step(self, context: dg.AssetExecutionContext, number: int, of: int, text: str) -> None:
        """One of so many equal steps is done; `number` counts from 1."""

    def period(self, context: dg.AssetExecutionContext, period: str, number: int, of: int) -> None:
        """A period of a run that makes so many has ended; `number` counts from 1."""


class RunNotes:
    """Keeps in a tag of the run what it is at, changed every other second at most."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._run_id, self._told_at = "", 0.0

    def tell(self, context: dg.AssetExecutionContext, text: str) -> None:
        now, run_id = self._clock(), context.run.run_id
        if run_id == self._run_id and now - self._told_at < TELL_SECONDS:
            return
        self._run_id, self._told_at = run_id, now
        context.instance.add_run_tags(run_id, {AT: text})


class LogProgress:
    """Writes to the run's log, where the Dagster UI shows it, and to the run's tag."""

    def __init__(self) -> None:
        self._notes = RunNotes()

    def trial(
        self, context: dg.AssetExecutionContext, model_type: str, trial: Trial, best: float | None, of: int
    ) -> None:
        outcome = f"loss {trial.loss:.4g}" if trial.loss is not None else f"failed: {trial.error}"
        so_far = f", best so far {best:.4g}" if best is not None else ""
        number = f"trial {trial.number + 1} of {of}"
        context.log.info(f"{model_type} {number}: {outcome} in {trial.seconds:.1f} s{so_far}")
        self._notes.tell(context, number)

    def step(self, context: dg.AssetExecutionContext, number: int, of: int, text: str) -> None:
        context.log.info(f"{number} of {of}: {text}")
        self._notes.tell(context, f"step {number} of {of}")

    def period(self, context: dg.AssetExecutionContext, period: str, number: int, of: int) -> None:
        if of > 1:
            context.log.info(f"{number} of {of}: {period}")
            self._notes.tell(context, f"{number} of {of}")


@dataclass(frozen=True)
class AtWork:
    """A retraining that is at work: its run, who started it and when, and what it is at, in words."""

    run_id: str
    started_by: str
    since: datetime | None
    text: str


def retraining_at_work(instance: dg.DagsterInstance) -> AtWork | None:
    """The retraining that is at work, by the job `retrain` or by `mlops-assets run`; None where none is."""
    for kind in ({"job_name": RETRAIN}, {"tags": {STARTED_BY: "cli"}}):
        for record in instance.get_run_records(dg.RunsFilter(statuses=_AT_WORK, **kind), limit=1):
            run = record.dagster_run
            since = datetime.fromtimestamp(record.start_time, UTC) if record.start_time else None
            parts = [run.tags]
            if run.job_name == RETRAIN:
                root = run.root_run_id or run.run_id
                parts = [it.tags for it in instance.get_runs(dg.RunsFilter(tags={RETRAINING: root}, statuses=_AT_WORK))]
            text = progress_in_words(run.tags, parts)
            return AtWork(run.run_id, run.tags.get(STARTED_BY, "manual"), since, text)
    return None


def progress_in_words(retraining: Mapping[str, str], parts: Iterable[Mapping[str, str]]) -> str:
    """How far a retraining is, by the tags of its run and of its parts that are at work."""
    counted = f"{retraining[PARTS]} parts" if PARTS in retraining else "looking at what is left"
    now = [", ".join(filter(None, (_name(tags[TASK]), tags.get(AT)))) for tags in parts if TASK in tags]
    return ", ".join([counted, " and ".join(sorted(now))] if now else [counted])


def _name(task: str) -> str:
    """`hyperparameters of XGBoost` for `hyperparameters[XGBoost]`."""
    asset, _, partition = task.removesuffix("]").partition("[")
    return f"{asset} of {partition}" if partition else asset
