"""Trials of a search: what one does (fit with these parameters, score on validation), and their memory on disk.

The store keeps each trial of a search that is under way, and the best estimator, so that a killed search goes on.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from mlops_assets.core.learners.estimators import FitData, Fitted, fit, predict
from mlops_assets.core.learners.model_types import ModelType
from mlops_assets.core.learners.persistence import dump_estimator
from mlops_assets.core.state import append_line, cut_off
from mlops_assets.core.targets.kind import TargetKind
from mlops_assets.core.types import FloatArray, MatrixKind
from mlops_assets.errors import MlopsError

if TYPE_CHECKING:
    from mlops_assets.core.types import Matrix

Part = tuple[FitData, "tuple[Matrix, FloatArray]"]  # rows to learn from, and those for validation
_ERROR_LENGTH = 500
_FORMAT = 1
_SUFFIX = ".model"


@dataclass(frozen=True)
class Trial:
    """A finished trial: the typed parameters that were fitted, and what came of them.

    `loss` is lower for better and None for a failed trial; `rounds` is XGBoost's number of trees. `cpu_seconds`: those
    of the process that ran it.
    """

    number: int
    params: dict[str, Any]
    status: Literal["ok", "failed"]
    loss: float | None
    metrics: dict[str, float]
    seconds: float
    rounds: int | None
    error: str | None
    cpu_seconds: float = 0.0  # of a trial that an older release has recorded


@dataclass(frozen=True)
class Outcome:
    """What an objective says of a point; `estimator`: the fitted one as bytes, where worth sending."""

    loss: float
    metrics: dict[str, float] = field(default_factory=dict)
    rounds: int | None = None
    estimator: bytes | None = None


class Objective(Protocol):
    """What a search minimises; picklable, and deterministic: the same arguments give the same outcome."""

    def __call__(self, params: Mapping[str, Any], beat: float) -> Outcome:
        """The outcome of a point; it carries its estimator only where its loss is below `beat`.

        One whose loss will not be need not be finished: the loss is then what it has come to, above `beat`.
        """
        ...


@dataclass(frozen=True)
class FitTrial:
    """The objective of this project: fits on the training rows, its loss is the target's metric on validation rows.

    Of a training set in folds, each fold is fitted and judged by the rows that it holds out, all of them together.

    `training_set`: folder of a written training set, asked for its path where the trial runs. `most_rows`: training
    rows a trial sees at most.
    """

    training_set: PathLike[str]
    model_type: ModelType
    seed: int
    threads: int
    most_rows: int | None = None

    def __call__(self, params: Mapping[str, Any], beat: float) -> Outcome:
        parts, whole = self._read()
        target, is_folded = self.model_type.target, len(parts) > 1
        fits = [self._fit(params, data, beat=math.inf if is_folded else beat) for data, _ in parts]
        raw, y = _said(fits, parts), np.concatenate([held for _, (_, held) in parts])
        if not np.isfinite(raw).all():
            return Outcome(math.inf)
        scores = target.scores(y, target.honest_output(raw, y))
        loss = scores[target.metric.name]
        counts = [fitted.rounds for fitted in fits if fitted.rounds]
        rounds = round(sum(counts) / len(counts)) if counts else None
        if not loss < beat:
            return Outcome(loss, scores, rounds)
        best = self._fit(params, whole, rounds=rounds) if is_folded else fits[0]
        return Outcome(loss, scores, rounds, dump_estimator(best.estimator))

    def held_output(self, params: Mapping[str, Any]) -> FloatArray:
        """What fits with these parameters say, raw, of the rows that they are judged by."""
        parts, _ = self._read()
        return _said([self._fit(params, data) for data, _ in parts], parts)

    def _read(self) -> tuple[Sequence[Part], FitData]:
        folder = Path(self.training_set)
        written = folder.stat()
        stamp = (written.st_ino, written.st_mtime_ns)
        return _read(folder, stamp, self.model_type.matrix, self.most_rows, self.model_type.target)

    def _fit(self, params: Mapping[str, Any], data: FitData, **how: Any) -> Fitted:
        return fit(self.model_type, params, data, seed=self.seed, threads=self.threads, **how)


@dataclass(frozen=True)
class Attempt:
    """A trial as its worker saw it: an outcome or the text of an error."""

    outcome: Outcome | None
    error: str | None
    seconds: float
    cpu_seconds: float


def attempt(objective: Objective, params: Mapping[str, Any], beat: float) -> Attempt:
    """Call the objective; what these parameters break becomes a text, because not every error can be pickled.

    Our own errors (a damaged training set, an unknown parameter) would meet every trial: they are raised.
    """
    started, cpu_started = time.perf_counter(), time.process_time()
    outcome: Outcome | None = None
    error: str | None = None
    try:
        outcome = objective(params, beat)
        loss = outcome.loss
        if not math.isfinite(loss):
            outcome, error = None, f"the loss is {loss}"
    except MlopsError:
        raise
    except Exception as problem:
        outcome, error = None, f"{type(problem).__name__}: {problem}"[:_ERROR_LENGTH]
    return Attempt(outcome, error, time.perf_counter() - started, time.process_time() - cpu_started)


@lru_cache(maxsize=1)
def _read(
    folder: Path, stamp: tuple[int, int], kind: MatrixKind, most: int | None, target: TargetKind
) -> tuple[Sequence[Part], FitData]:
    """The rows of a training set, or of each of its folds, with those for validation; and those of the whole.

    They are read once a process; `stamp` tells a folder that was written anew.
    """
    from mlops_assets.core.training_set import TrainingSet

    def read(rows: TrainingSet) -> Part:
        validation = _in_memory(rows.matrix(kind, "validation")), np.array(rows.target("validation"))
        X, y = rows.matrix(kind, "train", most), rows.target("train", most)
        weights = rows.weights("train", most)
        X, y, names = _in_memory(X), np.array(y), rows.dense_names
        return FitData.of(target, X, y, rows.categorical, validation, weights=weights, names=names), validation

    whole = TrainingSet.load(folder)
    parts = [read(rows) for rows in whole.held_out]
    return parts, read(whole)[0] if len(parts) > 1 else parts[0][0]


def _said(fits: Sequence[Fitted], parts: Sequence[Part]) -> FloatArray:
    """Raw output of fits for the validation rows of each one's part."""
    return np.concatenate([predict(fitted.estimator, X) for fitted, (_, (X, _)) in zip(fits, parts, strict=True)])


def _in_memory(X: Matrix) -> Matrix:
    """A mapped file as an array of its own, so that trials need not copy it again."""
    return np.array(X) if isinstance(X, np.ndarray) else X


class TrialStore:
    """A folder for one search at a time.

    `fingerprint` names all that its trials depend on besides the space: training set, model type, rows, code.

    A killed search leaves at most a torn last line, which is dropped when the folder is opened again.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self.folder = folder
        self.fingerprint = fingerprint
        self.elapsed = 0.0
        self._file = folder / "trials.jsonl"
        self._recorded: dict[str, Trial] = {}

    def __len__(self) -> int:
        return len(self._recorded)

    def open(self, search: Mapping[str, Any], warm_start: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Read the trials of this very search, or forget those of another; returns the warm start in force.

        A resumed search keeps the warm start it began with, for that is part of what fixes it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        about = json.loads(json.dumps({"format": _FORMAT, "fingerprint": self.fingerprint, "search": search}))
        header, *lines = self._read() or [{}]
        if header.get("about") != about:
            self.clear()
            header, lines = {"about": about, "warm_start": [dict(point) for point in warm_start]}, []
            append_line(self._file, header)
        for line in lines:
            trial = Trial(**{item.name: line[item.name] for item in fields(Trial) if item.name in line})
            self._recorded[_key(trial.params)] = trial
            self.elapsed = max(self.elapsed, line["elapsed"])
        in_force: list[dict[str, Any]] = header["warm_start"]
        return in_force

    def recorded(self, params: Mapping[str, Any]) -> Trial | None:
        """The finished trial of these parameters, if there is one."""
        return self._recorded.get(_key(params))

    def add(self, trial: Trial, elapsed: float, estimator: bytes | None) -> None:
        """Record a trial; it is on disk when this returns. `elapsed`: seconds of the search so far.

        An estimator is written before the line that says there is one.
        """
        if estimator is not None:
            path = self._estimator_path(trial.params)
            unfinished = path.with_suffix(".part")
            with unfinished.open("wb") as file:
                file.write(estimator)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        append_line(self._file, asdict(trial) | {"elapsed": elapsed})
        self._recorded[_key(trial.params)] = trial

    def estimator(self, params: Mapping[str, Any]) -> bytes | None:
        """The kept estimator of these parameters, as bytes."""
        path = self._estimator_path(params)
        return path.read_bytes() if path.is_file() else None

    def drop_estimators_but(self, params: Mapping[str, Any]) -> None:
        """Delete every kept estimator except the one of these parameters."""
        for path in self.folder.glob(f"*{_SUFFIX}"):
            if path != self._estimator_path(params):
                path.unlink()

    def clear(self) -> None:
        """Forget everything."""
        self._recorded.clear()
        self.elapsed = 0.0
        self._file.unlink(missing_ok=True)
        for path in self.folder.glob(f"*{_SUFFIX}"):
            path.unlink()

    def _estimator_path(self, params: Mapping[str, Any]) -> Path:
        return self.folder / (hashlib.sha256(_key(params).encode()).hexdigest()[:16] + _SUFFIX)

    def _read(self) -> list[dict[str, Any]]:
        """The whole lines up to the first torn one; the rest is cut off, so that lines can be added."""
        if not self._file.is_file():
            return []
        lines, end = [], 0
        data = self._file.read_bytes()
        for line in data.splitlines(keepends=True):
            try:
                lines.append(json.loads(line))
            except ValueError:
                break
            if not line.endswith(b"\n"):
                lines.pop()
                break
            end += len(line)
        if end < len(data):
            cut_off(self._file, end)
        return lines


def _key(params: Mapping[str, Any]) -> str:
    return json.dumps(params, sort_keys=True)
