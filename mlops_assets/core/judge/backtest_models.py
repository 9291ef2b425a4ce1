"""The lab of a backtest: fits models on periods, judges them, and writes down what it finds.

All fits share one recipe. A fit or a judgement that is written down is not made again; a model itself is kept in
memory only, and fitted once more where a later judgement needs it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops_assets.core.columns import Columns, concatenate, take
from mlops_assets.core.features.encoder import fit_encoder, masked
from mlops_assets.core.judge.backtest import Periods, Score
from mlops_assets.core.judge.promotion import judge
from mlops_assets.core.learners.model_types import ModelType
from mlops_assets.core.metrics import Clusters
from mlops_assets.core.monitor.drift import Dropped, Sample, add_up, compare, variables
from mlops_assets.core.search.suggestions import make_suggester
from mlops_assets.core.state import append_line, cut_off
from mlops_assets.core.types import FloatArray
from mlops_assets.dataset import DatasetSpec

if TYPE_CHECKING:
    from mlops_assets.core.model.model import Model

SAMPLE = 30_000  # rows that a drift report looks at
MODELS = 4  # kept in memory


class Journal:
    """JSON lines in a file of its own. A kill leaves at most a torn last line, which is cut off."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._noted: dict[str, Any] = {}
        for line in self._whole_lines():
            self._noted[line["key"]] = line["value"]

    def __len__(self) -> int:
        return len(self._noted)

    def get(self, key: str) -> Any:
        """What was noted, or None."""
        return self._noted.get(key)

    def note(self, key: str, value: Any) -> Any:
        """Keep a JSON value other than None; it is on disk when this returns."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        append_line(self._path, {"key": key, "value": value})
        self._noted[key] = value
        return value

    def _whole_lines(self) -> list[dict[str, Any]]:
        if not self._path.is_file():
            return []
        data = self._path.read_bytes()
        end = data.rfind(b"\n") + 1
        if end < len(data):
            cut_off(self._path, end)
        return [json.loads(line) for line in data[:end].splitlines()]


@dataclass(frozen=True, eq=False)
class Period:
    """Clean rows of one period, how they move together, how many others cleaning dropped, and their weights in fits."""

    columns: Columns
    y: FloatArray
    clusterings: tuple[Clusters, ...]
    dropped: Dropped
    weights: FloatArray | None = None


@dataclass(frozen=True)
class FitRecipe:
    """What all fits share; `rounds` is None for all but XGBoost."""

    params: Mapping[str, Any]
    rounds: int | None


@dataclass(frozen=True)
class LabRules:
    """What a lab does not find out by itself; `trials` points of the search space are tried for the recipe."""

    spec: DatasetSpec
    model_type: ModelType
    seed: int
    threads: int
    trials: int
    confidence: float
    minimum_gain: float


class ModelLab:
    """Fits and judges real models. `read` gives a period's clean rows; `journal` is of these rules and rows alone."""

    def __init__(self, rules: LabRules, read: Callable[[str], Period], start: Periods, journal: Journal) -> None:
        self._rules, self._read, self._start, self._journal = rules, read, start, journal
        self._periods: dict[str, Period] = {}
        self._models: dict[Periods, Model] = {}

    def recipe(self) -> FitRecipe:
        """The best of the tried points, fitted on the first periods but one and judged on that one."""
        noted = self._journal.get("recipe") or self._journal.note("recipe", asdict(self._find_recipe()))
        return FitRecipe(**noted)

    def score(self, learnt: Periods, period: str) -> Score:
        key = _key("score", learnt, period)
        if (noted := self._journal.get(key)) is None:
            rows, model = self._period(period), self._model(learnt)
            error = model.predict_columns(rows.columns) - rows.y
            loss = model.kind.metric.of_losses(self._losses(learnt, period))
            scores = Score(loss, float(np.abs(error).mean()), len(error))
            noted = self._journal.note(key, asdict(scores))
        return Score(**noted)

    def cpu_seconds(self, learnt: Periods) -> float:
        if self._journal.get(_key("fit", learnt)) is None:
            self._model(learnt)
        return float(self._journal.get(_key("fit", learnt)))

    def has_drifted(self, learnt: Periods, period: str) -> bool:
        key = _key("drift", learnt, period)
        if (noted := self._journal.get(key)) is None:
            model = self._model(learnt)
            report = compare(self._sample((period,), model), self._sample(learnt, model), held_out=True)
            noted = self._journal.note(key, [shift.name for shift in report.drifted])
        return bool(noted)

    def is_better(self, challenger: Periods, champion: Periods, period: str) -> bool:
        key = _key("gate", challenger, champion, period)
        if (noted := self._journal.get(key)) is None:
            rules = self._rules
            verdict = judge(
                self._losses(challenger, period),
                self._losses(champion, period),
                {},
                clusterings=self._period(period).clusterings,
                confidence=rules.confidence,
                minimum_gain=rules.minimum_gain,
                metric=rules.model_type.target.metric,
            )
            noted = self._journal.note(key, verdict.promote)
        return bool(noted)

    def _period(self, name: str) -> Period:
        if name not in self._periods:
            self._periods[name] = self._read(name)
        return self._periods[name]

    def _losses(self, learnt: Periods, period: str) -> FloatArray:
        rows, model = self._period(period), self._model(learnt)
        return model.kind.metric.losses(rows.y, model.output(rows.columns))

    def _model(self, learnt: Periods) -> Model:
        """The model of these periods; the least recently used ones are forgotten."""
        model = self._models.pop(learnt, None) or self._fit(learnt)
        self._models[learnt] = model
        while len(self._models) > MODELS:
            del self._models[next(iter(self._models))]
        return model

    def _fit(self, learnt: Periods) -> Model:
        from mlops_assets.core.learners.estimators import FitData, fit
        from mlops_assets.core.model.model import Model

        rules, recipe = self._rules, self.recipe()
        began = time.process_time()
        columns, y = self._rows(learnt)
        learnt_from = masked(rules.spec, columns, rules.seed)
        encoded = fit_encoder(rules.spec.features, learnt_from, y, rules.seed, rules.model_type.target.labels)
        X = encoded.matrix(rules.model_type.matrix)
        encoder, weights = encoded.encoder, self._weights(learnt)
        target, names = rules.model_type.target, encoder.dense_names
        data = FitData.of(target, X, y, encoder.dense_categorical, weights=weights, names=names)
        how = {"seed": rules.seed, "threads": rules.threads}
        fitted = fit(rules.model_type, recipe.params, data, rounds=recipe.rounds, **how)
        if self._journal.get(_key("fit", learnt)) is None:
            self._journal.note(_key("fit", learnt), time.process_time() - began)
        return Model(rules.spec, encoded.encoder, fitted.estimator, rules.model_type.name, rules.model_type.matrix)

    def _find_recipe(self) -> FitRecipe:
        from mlops_assets.core.learners.estimators import FitData, fit, predict

        rules, kind = self._rules, self._rules.model_type.matrix
        (columns, y), held = self._rows(self._start[:-1]), self._period(self._start[-1])
        learnt_from = masked(rules.spec, columns, rules.seed)
        encoded = fit_encoder(rules.spec.features, learnt_from, y, rules.seed, rules.model_type.target.labels)
        X = encoded.matrix(kind)
        X_held = encoded.encoder.transform(rules.spec.features, held.columns, kind)
        target = rules.model_type.target
        encoder, weights = encoded.encoder, self._weights(self._start[:-1])
        validation, names = (X_held, held.y), encoder.dense_names
        data = FitData.of(target, X, y, encoder.dense_categorical, validation, weights=weights, names=names)
        space = rules.model_type.space
        first = [point for point in [space.adopt(space.start)] if point is not None]
        suggester = make_suggester(space, seed=rules.seed, startup=rules.trials, first=first)
        tried: list[tuple[float, int, FitRecipe]] = []
        for number in range(rules.trials):
            if (params := suggester.next()) is None:
                break
            fitted = fit(rules.model_type, params, data, seed=rules.seed, threads=rules.threads)
            loss = target.metric(held.y, target.honest_output(predict(fitted.estimator, X_held), held.y))
            suggester.tell(number, loss)
            tried.append((loss, number, FitRecipe(params, fitted.rounds)))
        return min(tried)[2]

    def _rows(self, periods: Periods) -> tuple[Columns, FloatArray]:
        parts = [self._period(name) for name in periods]
        return concatenate([part.columns for part in parts]), np.concatenate([part.y for part in parts])

    def _weights(self, periods: Periods) -> FloatArray | None:
        weights = [part.weights for part in map(self._period, periods) if part.weights is not None]
        return np.concatenate(weights) if weights else None

    def _sample(self, periods: Periods, model: Model) -> Sample:
        columns, y = self._rows(periods)
        step = -(-len(y) // SAMPLE)
        columns, y = take(columns, slice(None, None, step)), y[::step]
        dropped = add_up(self._period(name).dropped for name in periods)
        return Sample(variables(self._rules.spec, columns, y, model.predict_columns(columns)), dropped)


def _key(what: str, *names: Periods | str) -> str:
    return " ".join([what, *(name if isinstance(name, str) else ",".join(name) for name in names)])
