"""Answers as JSON: the numbers as the model gave them, all their digits, null where there is none."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from mlops_assets.backend.champion import Champion

if TYPE_CHECKING:
    from mlops_assets.core.answers import Answers
    from mlops_assets.core.contributions import Contributions


def row_answer(answers: Answers, row: int, contributions: Contributions | None = None) -> dict[str, Any]:
    """What is said of one row. `row`: its place among the answers, and among the contributions where there are any."""
    low, high = float(answers.low[row]), float(answers.high[row])
    told = {
        "prediction": float(answers.prediction[row]),
        "interval": None if math.isnan(low) else {"low": low, "high": high},
        "out_of_range": [name for name, flags in answers.out_of_range.items() if flags[row]],
        "unseen": [name for name, flags in answers.unseen.items() if flags[row]],
    }
    if contributions is not None:
        told["contributions"] = _contributions(contributions, row)
    return told


def answer_body(told: dict[str, Any], champion: Champion, request_id: str) -> bytes:
    """What is said of one row, or `predictions` of several, with what holds for all of them."""
    shared = {
        "unit": champion.unit,
        "coverage": champion.model.coverage,
        "model": champion.card_json,
        "request_id": request_id,
    }
    return orjson.dumps(told | shared)


def _contributions(contributions: Contributions, row: int) -> dict[str, Any]:
    """Base and features, the largest first."""
    values = contributions.values[row]
    order = np.argsort(-np.abs(values), kind="stable").tolist()
    features = {contributions.names[place]: float(values[place]) for place in order}
    return {"base": float(contributions.base[row]), "features": features}
