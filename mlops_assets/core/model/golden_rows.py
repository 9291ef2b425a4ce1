"""Golden rows: what callers may send, with the answers of training; a model that answers otherwise must not serve.

The expected answers come from the arrays of the training table, all rows in one matrix. The rows are kept as JSON
objects, so that checking them walks the whole path of a caller.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from mlops_assets.core.columns import Columns, concatenate, evenly_spread, length, nothing_like, take
from mlops_assets.core.features.categories import Vocabulary
from mlops_assets.core.features.signature import Absences, Input, absent, learn_absences, learn_signature, required
from mlops_assets.core.metrics import ROUNDING
from mlops_assets.core.model.answers import Answers
from mlops_assets.core.state import DAMAGE, load_state, save_state
from mlops_assets.core.types import Array, BoolArray, FloatArray, IntArray
from mlops_assets.dataset import Column, DatasetSpec
from mlops_assets.errors import ModelError

ROWS = 200
ALONE_EVERY = 5  # rows; a few rows take another way through an estimator than many
FILE = "golden.json"


@dataclass(frozen=True, eq=False)
class Specimens:
    """What a training set hands to every model made of it: the signature, and the rows that become golden."""

    signature: tuple[Input, ...]
    columns: Columns
    absences: Absences | None = None

    @classmethod
    def of(
        cls, spec: DatasetSpec, train: Columns, vocabularies: dict[str, Vocabulary], held: Columns | None = None
    ) -> Specimens:
        """The signature of the training rows; rows of theirs, and of those held out for validation where given."""
        tables = [train] if held is None else [train, held]
        signature = learn_signature(spec, train, vocabularies)
        needed = required(spec, signature)
        return cls(signature, choose_rows(spec, tables, vocabularies, needed), learn_absences(train))

    def save(self, folder: Path) -> None:
        save_state(self, folder, "specimens")

    @classmethod
    def load(cls, folder: Path) -> Specimens:
        return load_state(folder, "specimens", (cls, Input))


@dataclass(frozen=True, eq=False)
class Golden:
    """Rows as a JSON caller sends them, and the expected outputs (n,) by name."""

    rows: tuple[dict[str, Any], ...]
    expected: dict[str, FloatArray]

    @classmethod
    def of(cls, spec: DatasetSpec, specimens: Columns, answers: Answers) -> Golden:
        return cls(to_rows(spec, specimens), answers.numbers)

    def check(self, answer: Callable[[Sequence[dict[str, Any]]], Answers]) -> None:
        """Answer the rows together and some alone; ModelError naming the worst where a number is not as expected."""
        together = answer(self.rows)
        numbers = {name: values.copy() for name, values in together.numbers.items()}
        self._compare(numbers)
        for row in range(0, len(self.rows), ALONE_EVERY):
            alone = answer([self.rows[row]])
            for name, values in alone.numbers.items():
                numbers[name][row] = values[0]
        self._compare(numbers)

    def _compare(self, numbers: dict[str, FloatArray]) -> None:
        apart = np.max([difference(numbers[name], self.expected[name]) for name in numbers], axis=0)
        if not (wrong := int((apart > ROUNDING).sum())):
            return
        row = int(apart.argmax())
        pairs = ", ".join(f"{name} {numbers[name][row]:.10g} for {self.expected[name][row]:.10g}" for name in numbers)
        raise ModelError(
            f"the model does not answer as it did in training: {wrong} of {len(self.rows)} golden rows differ, "
            f"most of all row {row} ({pairs}): train it again with this version of the code"
        )

    def save(self, folder: Path) -> None:
        expected = {name: [None if x != x else x for x in values.tolist()] for name, values in self.expected.items()}
        text = json.dumps({"rows": self.rows, "expected": expected}, indent=1, allow_nan=False)
        (folder / FILE).write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Golden:
        """Raises ModelError where the file is damaged."""
        try:
            saved = json.loads((folder / FILE).read_text(encoding="utf-8"))
            expected = {name: np.array(values, np.float64) for name, values in saved["expected"].items()}
            return cls(tuple(saved["rows"]), expected)
        except DAMAGE as error:
            raise ModelError(f"the saved golden rows are damaged: {error}") from None


def difference(numbers: FloatArray, expected: FloatArray) -> FloatArray:
    """How far numbers (n,) are from what was expected, relative where that is above 1; infinite where one is NaN."""
    apart = np.abs(numbers - expected) / np.maximum(1.0, np.abs(expected))
    equal = (numbers == expected) | (np.isnan(numbers) & np.isnan(expected))
    return np.where(equal, 0.0, np.where(np.isnan(apart), np.inf, apart))


def choose_rows(
    spec: DatasetSpec, tables: Sequence[Columns], vocabularies: dict[str, Vocabulary], needed: Sequence[str] = ()
) -> Columns:
    """Some 200 rows: spread over each table, the ends of every vocabulary, then values missing and never seen.

    None lacks an input that callers need to give.
    """
    tables = [take(table, is_complete(table, needed)) for table in tables]
    first = tables[0]
    ends = [place for name, vocabulary in vocabularies.items() for place in _ends(vocabulary.encode(first[name]))]
    odd = _odd_rows(take(first, slice(1)), vocabularies, needed)
    share = max(ROWS - len(ends) - length(odd), ROWS // 2) // len(tables)
    spread = [take(table, evenly_spread(length(table), share)) for table in tables]
    return concatenate([*spread, take(first, np.array(ends, np.int64)), odd])


def is_complete(columns: Columns, needed: Sequence[str]) -> BoolArray:
    """Whether each row (n,) has all inputs that are needed."""
    complete = np.ones(length(columns), bool)
    for name in needed:
        complete &= ~absent(columns[name])
    return complete


def _ends(codes: IntArray) -> list[int]:
    """A row of the first and one of the last category, where there are any."""
    rows = np.flatnonzero(codes >= 0)
    return [int(rows[codes[rows].argmin()]), int(rows[codes[rows].argmax()])] if len(rows) else []


def _odd_rows(row: Columns, vocabularies: dict[str, Vocabulary], needed: Sequence[str]) -> Columns:
    """Copies of a row: each without an input or of a category that never was, the last without all that may be missing.

    Needed inputs are in all of them.
    """
    missing = {name: nothing_like(values) for name, values in row.items() if name not in needed}
    odd = [row | {name: nothing} for name, nothing in missing.items()]
    odd += [row | {name: _never_seen(vocabulary)} for name, vocabulary in vocabularies.items()]
    return concatenate([*odd, row | missing])


def _never_seen(vocabulary: Vocabulary) -> Array:
    """One value that is not in the vocabulary."""
    if vocabulary.values.dtype == object:
        return np.array([f"{max(vocabulary.values, default='')}?"], object)
    return np.array([vocabulary.values.max(initial=0) + 1])


def to_rows(spec: DatasetSpec, columns: Columns) -> tuple[dict[str, Any], ...]:
    """Rows as callers send them as JSON; every other one leaves missing values out and gives times in UTC."""
    rows = []
    for place in range(length(columns)):
        row = {name: _to_json(values[place], spec.columns[name], place % 2) for name, values in columns.items()}
        rows.append({name: value for name, value in row.items() if value is not None} if place % 2 else row)
    return tuple(rows)


def _to_json(value: Any, column: Column, in_utc: int) -> Any:
    if column.type == "text":
        return value
    if column.type == "time":
        return None if np.isnat(value) else _iso(value.item(), ZoneInfo(column.timezone or "UTC"), in_utc)
    if not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return int(value) if column.type == "integer" else float(value)


def _iso(wall: datetime, zone: ZoneInfo, in_utc: int) -> str:
    moment = wall.replace(tzinfo=zone).astimezone(UTC)
    exists = moment.astimezone(zone).replace(tzinfo=None) == wall  # no clock shows the hour that summer time skips
    return moment.isoformat() if in_utc and exists else wall.isoformat()
