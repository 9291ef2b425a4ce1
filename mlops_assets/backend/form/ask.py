"""Asks the champion and other versions the same question: in this process, by what `POST /predict` itself calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from mlops_assets.backend.answers import row_answer
from mlops_assets.backend.champion import Champion
from mlops_assets.backend.form.query import Query
from mlops_assets.backend.form.versions import Versions
from mlops_assets.backend.predict import Predict, Question
from mlops_assets.core.columns import from_rows
from mlops_assets.errors import InputError, MlopsError


@dataclass(frozen=True)
class Told:
    """What one version answers: the parts of `POST /predict`'s answer to one row; or why it does not."""

    number: int
    version: Champion | None = None
    row: dict[str, Any] = field(default_factory=dict)  # as it was asked
    answer: dict[str, Any] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()  # inputs that were given and that this version does not have
    problem: str | None = None


@dataclass(frozen=True)
class Asked:
    """The answers to a question, the champion's first."""

    query: Query
    request_id: str
    told: tuple[Told, ...]


def ask(predict: Predict, versions: Versions, query: Query, request_id: str) -> Asked:
    """Only the champion's answer goes to the prediction log: the others are nobody's answers but the reader's.

    Raises ApiError without a champion, and InputError where it cannot use a value.
    """
    champion = predict.predictor.champion
    others = [number for number in query.compare if number != champion.number]
    told = [_of_champion(predict, champion, query.values, request_id)]
    told += [_of_other(versions, number, query.values) for number in others]
    return Asked(query, request_id, tuple(told))


def _of_champion(predict: Predict, champion: Champion, values: Mapping[str, Any], request_id: str) -> Told:
    row, ignored = _row(champion, values)
    body = predict.answer_many(Question(champion, orjson.dumps(row), explain=True, request_id=request_id))
    return Told(champion.number, champion, row, orjson.loads(body), ignored)


def _of_other(versions: Versions, number: int, values: Mapping[str, Any]) -> Told:
    try:
        version = versions.load(number)
        row, ignored = _row(version, values)
        columns = from_rows([row], version.model.spec)
    except InputError as error:
        return Told(number, problem=f"version {number} cannot use this: {reason(error)}")
    except MlopsError as error:
        return Told(number, problem=str(error))
    answers, contributions = version.model.answer(columns), version.model.contributions(columns)
    return Told(number, version, row, row_answer(answers, 0, contributions), ignored)


def reason(error: InputError) -> str:
    """Its message; the form has one row, which needs no number."""
    return str(error).removeprefix(f"row {error.row}: ")


def _row(version: Champion, values: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    known = {item.name for item in version.model.signature}
    row = {name: value for name, value in values.items() if name in known}
    return row, tuple(name for name in values if name not in known)
