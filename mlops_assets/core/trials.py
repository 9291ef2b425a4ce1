"""One trial of a search: fit with these parameters, score on validation."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from mlops_assets.core.estimators import FitData, fit, predict
from mlops_assets.core.evaluation import score
from mlops_assets.core.model_types import ModelType
from mlops_assets.core.persistence import dump_estimator
from mlops_assets.errors import MlopsError

_ERROR_LENGTH = 500


@dataclass(frozen=True)
class Trial:
    """A finished trial: the typed parameters that were fitted, and what came of them.

    `loss` is lower for better and None for a failed trial; `rounds` is XGBoost's number of trees.
    """

    number: int
    params: dict[str, Any]
    status: Literal["ok", "failed"]
    loss: float | None
    metrics: dict[str, float]
    seconds: float
    rounds: int | None
    error: str | None


@dataclass(frozen=True)
class Outcome:
    """What an objective says of a point; `estimator`: the fitted one as bytes, where worth sending."""

    loss: float
    metrics: dict[str, float] = field(default_factory=dict)
    rounds: int | None = None
    estimator: bytes | None = None


class Objective(Protocol):
    """What a search minimises; picklable, and deterministic: the same point gives the same outcome."""

    def __call__(self, params: Mapping[str, Any], beat: float) -> Outcome:
        """The outcome of a point; it carries its estimator only where its loss is below `beat`."""
        ...


@dataclass(frozen=True)
class FitTrial:
    """The objective of this project: fits on the training rows, its loss is the RMSE on the validation rows.

    `training_set`: folder of a written training set, asked for its path where the trial runs. `most_rows`: training
    rows a trial sees at most.
    """

    training_set: PathLike
    model_type: ModelType
    seed: int
    threads: int
    most_rows: int | None = None

    def __call__(self, params: Mapping[str, Any], beat: float) -> Outcome:
        folder = Path(self.training_set)
        written = folder.stat()
        stamp = (written.st_ino, written.st_mtime_ns)
        data = _read(folder, stamp, self.model_type.matrix, self.most_rows)
        fitted = fit(self.model_type, params, data, seed=self.seed, threads=self.threads)
        X, y = data.validation
        prediction = predict(fitted.estimator, X)
        if not np.isfinite(prediction).all():
            return Outcome(math.inf)
        scores = score(y, prediction)
        metrics = {name: value for name, value in asdict(scores).items() if name != "n"}
        estimator = dump_estimator(fitted.estimator) if scores.rmse < beat else None
        return Outcome(scores.rmse, metrics, fitted.rounds, estimator)


@dataclass(frozen=True)
class Attempt:
    """A trial as its worker saw it: an outcome or the text of an error."""

    outcome: Outcome | None
    error: str | None
    seconds: float


def attempt(objective: Objective, params: Mapping[str, Any], beat: float) -> Attempt:
    """Call the objective; what these parameters break becomes a text, because not every error can be pickled.

    Our own errors (a damaged training set, an unknown parameter) would meet every trial: they are raised.
    """
    started = time.perf_counter()
    try:
        outcome, error = objective(params, beat), None
        if not math.isfinite(outcome.loss):
            outcome, error = None, f"the loss is {outcome.loss}"
    except MlopsError:
        raise
    except Exception as problem:
        outcome, error = None, f"{type(problem).__name__}: {problem}"[:_ERROR_LENGTH]
    return Attempt(outcome, error, time.perf_counter() - started)


@lru_cache(maxsize=1)
def _read(folder: Path, stamp: tuple[int, int], matrix: Literal["one_hot", "dense"], most: int | None) -> FitData:
    """The rows of a training set, read once a process; `stamp` tells a folder that was written anew."""
    from mlops_assets.core.training_set import TrainingSet

    rows = TrainingSet.load(folder)
    validation = rows.matrix(matrix, "validation"), rows.target("validation")
    X, y = rows.matrix(matrix, "train", most), rows.target("train", most)
    return FitData(_in_memory(X), np.array(y), rows.categorical, (_in_memory(validation[0]), np.array(validation[1])))


def _in_memory(X: Any) -> Any:
    """A mapped file as an array of its own, so that trials need not copy it again."""
    return np.array(X) if isinstance(X, np.ndarray) else X
