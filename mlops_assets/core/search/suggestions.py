"""Which point a search tries next, fixed by the space, the seed and the losses it was told."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any, Literal, Protocol

import numpy as np

from mlops_assets.core.learners.search_spaces import Space
from mlops_assets.errors import SettingsError

SMALL = 32
_REDRAWS = 100
_NEVER = 10**9  # points before a suggester learns

SuggesterName = Literal["hyperopt", "optuna", "random"]


class Suggester(Protocol):
    """Gives points, none of them twice."""

    def next(self) -> dict[str, Any] | None:
        """The next point, or None where all have been tried."""
        ...

    def tell(self, number: int, loss: float | None) -> None:
        """The loss of the point given as the `number`th (from 0); None where it failed."""
        ...


def make_suggester(
    space: Space, *, seed: int, startup: int, first: Sequence[Mapping[str, Any]], name: SuggesterName = "hyperopt"
) -> Suggester:
    """TPE, after the points `first` and `startup` points in all; a small space is tried whole instead.

    Raises SettingsError where the library of that name is not installed.
    """
    points = list({_key(point): dict(point) for point in first}.values())
    if space.size is not None and space.size <= SMALL:
        return _Everything(space, seed, points)
    if name == "optuna":
        return _Optuna(space, seed, startup, points)
    return _Hyperopt(space, seed, startup if name == "hyperopt" else _NEVER, points)


class _Everything:
    """All points of a small space, in a random order."""

    def __init__(self, space: Space, seed: int, first: list[dict[str, Any]]) -> None:
        points = space.points()
        shuffled = [points[place] for place in np.random.default_rng(seed).permutation(len(points))]
        self._points = iter({_key(point): point for point in [*first, *shuffled]}.values())

    def next(self) -> dict[str, Any] | None:
        return next(self._points, None)

    def tell(self, number: int, loss: float | None) -> None:
        pass


class _Hyperopt:
    """hyperopt's tree of Parzen estimators (Bergstra et al. 2011).

    A point that is not told yet counts as a bad one, so that points in flight differ.
    """

    def __init__(self, space: Space, seed: int, startup: int, first: list[dict[str, Any]]) -> None:
        from hyperopt import Trials
        from hyperopt.base import Domain

        self._space, self._seed, self._startup, self._first = space, seed, startup, first
        self._domain = Domain(lambda point: point, space.to_hyperopt())
        self._trials = Trials()
        self._suggested: set[str] = set()

    def next(self) -> dict[str, Any] | None:
        number = len(self._trials.trials)
        if number < len(self._first):
            return self._accept(self._document(number, self._space.raw(self._first[number])))
        for redraw in range(_REDRAWS):
            document = self._suggest(number, redraw)
            if _key(self._point(document)) not in self._suggested:
                return self._accept(document)
        return None

    def tell(self, number: int, loss: float | None) -> None:
        from hyperopt import JOB_STATE_DONE, STATUS_FAIL, STATUS_OK

        document = self._trials.trials[number]
        document["state"] = JOB_STATE_DONE
        document["result"] = {"status": STATUS_FAIL} if loss is None else {"status": STATUS_OK, "loss": loss}

    def _suggest(self, number: int, redraw: int) -> dict[str, Any]:
        """One document: TPE's choice, or a random one where that was given before."""
        from hyperopt import rand, tpe

        seed = int(np.random.SeedSequence([self._seed, number, redraw]).generate_state(1)[0])
        common = [number], self._domain, self._trials, seed
        documents: list[dict[str, Any]] = (
            rand.suggest(*common) if redraw else tpe.suggest(*common, n_startup_jobs=self._startup, verbose=False)
        )
        return documents[0]

    def _document(self, number: int, raw: Mapping[str, float]) -> dict[str, Any]:
        misc = {
            "tid": number,
            "cmd": self._domain.cmd,
            "workdir": None,
            "idxs": {name: [number] for name in raw},
            "vals": {name: [value] for name, value in raw.items()},
        }
        results = [self._domain.new_result()]
        documents: list[dict[str, Any]] = self._trials.new_trial_docs([number], [None], results, [misc])
        return documents[0]

    def _accept(self, document: dict[str, Any]) -> dict[str, Any]:
        """The document's point, which is now one that was suggested."""
        point = self._point(document)
        self._suggested.add(_key(point))
        self._trials.insert_trial_docs([document])
        self._trials.refresh()
        return point

    def _point(self, document: dict[str, Any]) -> dict[str, Any]:
        return self._space.point({name: values[0] for name, values in document["misc"]["vals"].items()})


class _Optuna:
    """Optuna's tree of Parzen estimators (Akiba et al. 2019), over the places of choices and integers.

    A point that is not told yet counts as a bad one, so that points in flight differ.
    """

    def __init__(self, space: Space, seed: int, startup: int, first: list[dict[str, Any]]) -> None:
        if find_spec("optuna") is None:
            raise SettingsError("MLOPS_SUGGESTER is optuna, which is not installed: pip install 'mlops-assets[optuna]'")
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._tpe = optuna.samplers.TPESampler(seed=seed, n_startup_trials=startup, constant_liar=True)
        self._at_random = optuna.samplers.RandomSampler(seed=seed)
        self._space, self._study = space, optuna.create_study()
        self._failed = optuna.trial.TrialState.FAIL
        self._distributions = {name: space.parameters[name].to_optuna() for name in space.free}
        for point in first:
            self._study.enqueue_trial(space.raw(point))
        self._trials: list[optuna.trial.Trial] = []
        self._suggested: set[str] = set()

    def next(self) -> dict[str, Any] | None:
        for redraw in range(_REDRAWS):
            self._study.sampler = self._at_random if redraw else self._tpe
            trial = self._study.ask(self._distributions)
            point = self._space.point(trial.params)
            if _key(point) not in self._suggested:
                self._suggested.add(_key(point))
                self._trials.append(trial)
                return point
            self._study.tell(trial, state=self._failed)
        return None

    def tell(self, number: int, loss: float | None) -> None:
        if loss is None or not math.isfinite(loss):
            self._study.tell(self._trials[number], state=self._failed)
        else:
            self._study.tell(self._trials[number], loss)


def _key(point: Mapping[str, Any]) -> str:
    return json.dumps(point, sort_keys=True)
