"""The search for hyperparameters: suggest, try, record; resumable, and the same on every executor.

Results are taken back in the order of suggestion, so the suggestion of point i knows trials 0..i-width and
nothing else: seed and width fix the search, wherever its trials run and however often it is killed.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from mlops_assets.core.learners.search_spaces import Space
from mlops_assets.core.search.executors import Call, Executor
from mlops_assets.core.search.suggestions import SuggesterName, make_suggester
from mlops_assets.core.search.trials import Attempt, Objective, Trial, TrialStore, attempt
from mlops_assets.errors import TuningError

StopReason = Literal["max_trials", "time", "cpu", "patience", "space"]


@dataclass(frozen=True)
class SearchPlan:
    """How long a search goes on, and what fixes its course.

    `seconds` only stops new suggestions. `patience`: trials in a row without a better loss. `width`: trials
    in flight. `startup`: points before TPE begins to learn. Seed, width, startup and suggester fix the course; the
    others may be raised later, and the search goes on where it ended.
    """

    max_trials: int
    seconds: float
    patience: int
    seed: int
    width: int
    startup: int = 8
    suggester: SuggesterName = "hyperopt"


@dataclass(frozen=True)
class SearchResult:
    """All trials in order of suggestion. `resumed`: how many came from an earlier, killed search.

    `stopped_by` is `space` where every point has been tried, and `cpu` where it had used up what it was given.
    `estimator`: the best trial's, as bytes, where the objective gives one.
    """

    trials: tuple[Trial, ...]
    best: Trial
    resumed: int
    stopped_by: StopReason
    estimator: bytes | None


class OnTrial(Protocol):
    """What hears of each trial, in order of suggestion."""

    def __call__(self, trial: Trial, *, resumed: bool) -> None: ...


def search(
    objective: Objective,
    space: Space,
    plan: SearchPlan,
    *,
    executor: Executor,
    store: TrialStore,
    on_trial: OnTrial,
    warm_start: Sequence[Mapping[str, Any]] = (),
) -> SearchResult:
    """Minimise `objective` over `space`; raises TuningError where all trials fail."""
    begun = Search(objective, space, plan, executor=executor, store=store, on_trial=on_trial, warm_start=warm_start)
    begun.go_on()
    return begun.result()


class Search:
    """A search under way, which goes on as far as it is told to.

    Points of `warm_start` that lie in the space are tried first, then the space's own start. `on_trial` is
    called for each trial in order of suggestion, with `resumed=True` for those replayed from the store: who
    logs trials elsewhere sees all of them after a kill, and skips those it has. A failed trial is an outcome;
    a lost process or a broken training set is not, and is raised.
    """

    def __init__(
        self,
        objective: Objective,
        space: Space,
        plan: SearchPlan,
        *,
        executor: Executor,
        store: TrialStore,
        on_trial: OnTrial,
        warm_start: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self.objective, self.plan, self.executor, self.store, self.on_trial = objective, plan, executor, store, on_trial
        points = [space.adopt(point) for point in (*warm_start, *([space.start] if space.start else []))]
        identity = {"space": space.model_dump(mode="json", exclude_unset=True), "seed": plan.seed}
        identity |= {"width": plan.width, "startup": plan.startup}
        identity |= {} if plan.suggester == "hyperopt" else {"suggester": plan.suggester}
        first = store.open(identity, [point for point in points if point is not None])
        self.suggester = make_suggester(space, seed=plan.seed, startup=plan.startup, first=first, name=plan.suggester)
        self.started = time.monotonic() - store.elapsed
        self.to_replay = len(store)
        self.pending: deque[tuple[dict[str, Any], Trial | Call[Attempt]]] = deque()
        self.trials: list[Trial] = []
        self.resumed: set[int] = set()
        self.best: Trial | None = None
        self.lowest_loss = math.inf  # the best trial's
        self.cpu_seconds = 0.0  # of all trials, those replayed included
        self.stopped_by: StopReason = "cpu"  # it was given none yet

    @property
    def ended(self) -> bool:
        """Whether it has nothing left to try, however much it is given."""
        return self.stopped_by != "cpu"

    def go_on(self, cpu_seconds: float = math.inf) -> None:
        """Until the trials have taken so many CPU seconds in all, or another end of the plan.

        One that is under way by then is finished; the first is always tried.
        """
        stopped_by: StopReason | None = None
        while stopped_by is None or self.pending:
            if stopped_by is None and len(self.pending) < self.plan.width:
                stopped_by = self._suggest(cpu_seconds)
            else:
                self._take()
        self.stopped_by = stopped_by

    def result(self) -> SearchResult:
        """What has come of it; raises TuningError where all trials failed."""
        if self.best is None:
            self.store.clear()  # so that the next try is a new one
            raise TuningError(f"all {len(self.trials)} trials failed; the first: {self.trials[0].error}")
        estimator = self._estimator(self.best)
        return SearchResult(tuple(self.trials), self.best, len(self.resumed), self.stopped_by, estimator)

    def _suggest(self, cpu_seconds: float) -> StopReason | None:
        """Send one more trial off, or say why there is none."""
        if reason := self._reason_to_stop(cpu_seconds):
            return reason
        point = self.suggester.next()
        if point is None:
            return "space"
        recorded = self.store.recorded(point)
        self.pending.append((point, recorded or self.executor.submit(attempt, self.objective, point, self.lowest_loss)))
        return None

    def _reason_to_stop(self, cpu_seconds: float) -> StopReason | None:
        suggested = len(self.trials) + len(self.pending)
        if suggested >= self.plan.max_trials:
            return "max_trials"
        since_best = len(self.trials) - (self.best.number + 1 if self.best else 0)
        if since_best >= self.plan.patience:
            return "patience"
        if suggested and self.cpu_seconds >= cpu_seconds:
            return "cpu"
        # A replayed trial costs no time, and the first one is always tried.
        if suggested >= max(1, self.to_replay) and time.monotonic() - self.started >= self.plan.seconds:
            return "time"
        return None

    def _take(self) -> None:
        """Take back the oldest trial in flight."""
        point, result = self.pending.popleft()
        number = len(self.trials)
        if isinstance(result, Trial):
            trial = replace(result, number=number)
            self.resumed.add(number)
        else:
            attempted = result.result()
            trial = _trial(number, point, attempted)
            is_best = _loss(trial) < self.lowest_loss
            estimator = attempted.outcome.estimator if attempted.outcome and is_best else None
            self.store.add(trial, time.monotonic() - self.started, estimator)
            if is_best:
                self.store.drop_estimators_but(point)
        if _loss(trial) < self.lowest_loss:
            self.best, self.lowest_loss = trial, _loss(trial)
        self.trials.append(trial)
        self.cpu_seconds += trial.cpu_seconds
        self.suggester.tell(number, trial.loss)
        self.on_trial(trial, resumed=number in self.resumed)

    def _estimator(self, best: Trial) -> bytes | None:
        """The best trial's estimator; fitted again where a resumed search finds its file gone."""
        estimator = self.store.estimator(best.params)
        if estimator is None and best.number in self.resumed:
            again = self.executor.submit(attempt, self.objective, best.params, math.inf).result()
            if again.outcome is None:
                raise TuningError(f"the best trial failed when it was fitted again: {again.error}")
            estimator = again.outcome.estimator
        return estimator


def _loss(trial: Trial) -> float:
    """A failed trial's is never lower than another."""
    return math.inf if trial.loss is None else trial.loss


def _trial(number: int, params: dict[str, Any], attempted: Attempt) -> Trial:
    outcome, error = attempted.outcome, attempted.error
    seconds, cpu = attempted.seconds, attempted.cpu_seconds
    if outcome is None:
        return Trial(number, params, "failed", None, {}, seconds, None, error, cpu)
    return Trial(number, params, "ok", outcome.loss, outcome.metrics, seconds, outcome.rounds, None, cpu)
