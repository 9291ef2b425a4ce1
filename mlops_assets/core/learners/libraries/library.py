"""What a library of boosted trees is asked for, and when a fit of any of them is given up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from mlops_assets.core.types import Estimator, FloatArray
from mlops_assets.errors import ModelError

if TYPE_CHECKING:
    from mlops_assets.core.learners.estimators import FitData
    from mlops_assets.core.targets.kind import TargetKind
    from mlops_assets.core.types import Matrix

SETTLED = 2.0  # over the learning rate: so many rounds, and the first steep fall is over
MOST_TO_COME = 3.0
FEW_ROWS = 64  # one thread answers them: waking others costs more than a few rows


@dataclass(frozen=True)
class Goal:
    """What a library minimises for a kind of target.

    `params`: what says so; `metric`: its name for the metric, None where it has none that is as ours.
    """

    params: dict[str, Any]
    metric: str | None


class Library(Protocol):
    """How one library's estimators are set up, fitted, asked, explained and kept."""

    estimator: str  # the import path of the one that learns any kind of target
    classifier: str  # of the one that stands for the same, of classes alone
    packages: tuple[str, ...]  # beside those that every model needs
    file: str  # the name of a saved estimator
    more_parameters: tuple[str, ...]  # that its class takes without saying so

    def settings(self, seed: int, threads: int) -> dict[str, Any]:
        """What is set of an unfitted estimator beside its parameters."""
        ...

    def objective(self, target: TargetKind) -> Goal:
        """Its objective for a kind of target."""
        ...

    def fit(self, unfitted: Any, data: FitData, rounds: int | None, beat: float) -> tuple[Estimator, int]:
        """A fitted estimator and its number of trees, as `estimators.fit` describes it."""
        ...

    def predict(self, estimator: Any, X: Matrix) -> FloatArray:
        """Raw output, as `estimators.predict` says, of a matrix of the kind that it was fitted on."""
        ...

    def contributions(self, estimator: Any, X: Matrix, categorical: Sequence[bool]) -> FloatArray:
        """TreeSHAP (n, width), of k > 2 classes (n, k, width): what each column adds to the raw output.

        `categorical`: of a dense X, each column.
        """
        ...

    def for_few_rows(self, estimator: Any, categories: Mapping[int, int] | None) -> Estimator:
        """An estimator with equal predictions that answers a few rows sooner; see `estimators.for_few_rows`."""
        ...

    def dump(self, estimator: Any) -> bytes:
        """In the library's own format, which is data and not code."""
        ...

    def is_dump(self, data: bytes) -> bool:
        """Whether bytes begin, and are as long, as one of its files says of itself."""
        ...

    def parse(self, data: bytes) -> Estimator:
        """The estimator of a dump; raises ModelError where that is damaged."""
        ...


class Course:
    """The lowest error on validation rows by round, of a fit that need not be finished above `beat`.

    Where the error above its limit falls like one over the rounds, as much is still to come as the last half of them
    has brought. It falls more slowly, and unevenly: MOST_TO_COME times as much is left to hope for. To compare with the
    best trial at the same round, as successive halving does, ends those that learn slowly, which often win.
    """

    def __init__(self, beat: float, learning_rate: float) -> None:
        self._beat, self._first = beat, SETTLED / learning_rate
        self._lowest: list[float] = []

    def is_hopeless(self, loss: float) -> bool:
        """Whether the error, now at `loss` after one more round, will not come below the one to beat."""
        self._lowest.append(min([loss, *self._lowest[-1:]]))
        now, half = self._lowest[-1], self._lowest[(len(self._lowest) - 2) // 2]
        return len(self._lowest) - 1 >= self._first and now - MOST_TO_COME * (half - now) > self._beat


def validation_rows(name: str, data: FitData, stops: bool) -> tuple[Matrix, FloatArray] | None:
    """The rows that stop a fit early; ModelError where there are none and it has to stop."""
    if stops and not data.validation:
        raise ModelError(f"{name} cannot stop early without validation rows: give them, or the number of rounds")
    return data.validation if stops else None


def with_values(goals: Mapping[str, Goal], target: TargetKind, quantile: str, classes: str) -> Goal:
    """The goal for a target, with its quantile or its number of classes under these names of parameters."""
    goal = goals[target.objective]
    values = {"pinball": (quantile, target.target.quantile), "multiclass": (classes, len(target.labels))}
    name, value = values.get(target.objective, ("", None))
    return replace(goal, params=goal.params | {name: value}) if name else goal


def comparable(library: Library, target: TargetKind) -> str | None:
    """The library's name of the metric, where its values while it fits can be compared with ours."""
    return library.objective(target).metric if target.learns_metric else None


def damaged() -> ModelError:
    return ModelError("the saved estimator is damaged: train and save it again")
