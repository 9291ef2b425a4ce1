"""Asks the champion and other versions the same question: in this process, by what `POST /predict` itself calls."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from time import monotonic
from typing import Any

import orjson

from mlops_assets.core.columns import from_rows
from mlops_assets.errors import InputError, MlopsError, TrackingError
from mlops_assets.resources.mlflow.registry import Registry
from mlops_assets.resources.mlflow.version import Version
from mlops_assets.serving.form.values import Query
from mlops_assets.serving.json_rows import row_answer
from mlops_assets.serving.predict import Predict, PredictRequest
from mlops_assets.serving.predictor import Champion, Predictor, load_champion

log = logging.getLogger(__name__)
OFFERED = 20
KEPT = 3  # in memory, beside the champion
LISTED_SECONDS = 20  # for which the list of versions holds


class Versions:
    """Thread-safe. The champion is always the predictor's own."""

    def __init__(self, registry: Registry, predictor: Predictor) -> None:
        self._registry = registry
        self._predictor = predictor
        self._lock = Lock()  # one is loaded at a time
        self._loaded = lru_cache(maxsize=KEPT)(self._fetch)
        self._listed: tuple[Version, ...] = ()
        self._list_again = 0.0

    def recent(self) -> tuple[Version, ...]:
        """The versions registered last, newest first; those known so far while the registry does not answer."""
        if monotonic() >= self._list_again:
            self._list_again = monotonic() + LISTED_SECONDS
            try:
                self._listed = self._registry.newest(OFFERED)
            except TrackingError as error:
                log.warning("the versions cannot be listed: %s", error)
        return self._listed

    def load(self, number: int) -> Champion:
        """A version, checked as a champion is; raises MlopsError with a message for the form's reader."""
        champion = self._predictor.loaded
        if champion and champion.number == number:
            return champion
        with self._lock:
            return self._loaded(number)

    def _fetch(self, number: int) -> Champion:
        try:
            return load_champion(self._registry, self._registry.version(number))
        except TrackingError as error:
            log.warning("version %d cannot be had: %s", number, error)
            raise MlopsError(f"version {number} does not exist, or the model registry does not answer") from None
        except MlopsError as error:
            log.warning("version %d cannot be used: %s", number, error)
            raise MlopsError(f"version {number} cannot be used: it failed its check at loading") from None


@dataclass(frozen=True)
class VersionAnswer:
    """What one version answers: the parts of `POST /predict`'s answer to one row."""

    version: Champion
    row: dict[str, Any]  # as it was asked
    answer: dict[str, Any]
    ignored: tuple[str, ...]  # inputs that were given and that this version does not have

    @property
    def number(self) -> int:
        return self.version.number


@dataclass(frozen=True)
class VersionProblem:
    """Why one version does not answer."""

    number: int
    text: str


@dataclass(frozen=True)
class Comparison:
    """The champion's answer to a question, and what other versions say to the same."""

    query: Query
    request_id: str
    champion: VersionAnswer
    others: tuple[VersionAnswer | VersionProblem, ...]

    @property
    def answers(self) -> tuple[VersionAnswer, ...]:
        """Of the versions that answered, the champion first."""
        return (self.champion, *(other for other in self.others if isinstance(other, VersionAnswer)))


def ask(predict: Predict, versions: Versions, query: Query, request_id: str) -> Comparison:
    """Only the champion's answer goes to the prediction log: the others are nobody's answers but the reader's.

    Raises ApiError without a champion, and InputError where it cannot use a value.
    """
    champion = predict.predictor.champion
    answer = _of_champion(predict, champion, query.values, request_id)
    others = [number for number in query.compare if number != champion.number]
    return Comparison(query, request_id, answer, tuple(_of_other(versions, number, query.values) for number in others))


def _of_champion(predict: Predict, champion: Champion, values: Mapping[str, Any], request_id: str) -> VersionAnswer:
    row, ignored = _row(champion, values)
    body = predict.answer_many(PredictRequest(champion, orjson.dumps(row), explain=True, request_id=request_id))
    return VersionAnswer(champion, row, orjson.loads(body), ignored)


def _of_other(versions: Versions, number: int, values: Mapping[str, Any]) -> VersionAnswer | VersionProblem:
    try:
        version = versions.load(number)
        row, ignored = _row(version, values)
        columns = from_rows([row], version.model.spec)
        version.model.refuse_incomplete(columns)
    except InputError as error:
        return VersionProblem(number, f"version {number} cannot use this: {reason(error)}")
    except MlopsError as error:
        return VersionProblem(number, str(error))
    [answer], contributions = version.model.answer(columns).rows(), version.model.contributions(columns)
    return VersionAnswer(version, row, row_answer(answer, contributions), ignored)


def reason(error: InputError) -> str:
    """Its message; the form has one row, which needs no number."""
    return str(error).removeprefix(f"row {error.row}: ")


def _row(version: Champion, values: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    names = {item.name for item in version.model.signature}
    row = {name: value for name, value in values.items() if name in names}
    return row, tuple(name for name in values if name not in names)
