"""A model's answer to one row, in plain values: an array of one costs more than what is computed with it.

Everything that the model is made of knows what it does with one row (`..._row`, beside the form for columns); what is
the same for every row is looked up here once. The golden rows of a model are answered both ways before it serves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlops_assets.core.columns import Row, RowReader, is_absent, stack
from mlops_assets.core.features.derive import RowDeriver
from mlops_assets.core.features.signature import (
    limits,
    missing_row,
    out_of_range_row,
    ranges,
    refuse_incomplete,
    unseen_row,
)
from mlops_assets.core.learners.estimators import for_one_row
from mlops_assets.core.model.answers import Answer

if TYPE_CHECKING:
    from mlops_assets.core.model.model import Model
    from mlops_assets.core.types import Estimator


class RowScorer:
    """Reads rows of callers, and answers one; `few` is the model's estimator for few rows."""

    def __init__(self, model: Model, few: Estimator) -> None:
        encoder = model.encoder
        width = len(encoder.dense_names) if model.matrix == "dense" else encoder.one_hot_encoder.width
        self._spec, self._encoder, self._matrix = model.spec, encoder, model.matrix
        self._absences, self._required = model.absences, model.required
        self._read = RowReader(model.spec)
        self._derive = RowDeriver(model.spec.features)
        self._estimate = for_one_row(few, model.matrix, width)
        self._numbers = model.kind.row_numbers(model.finish, model.intervals)
        self._ranges = ranges(limits(model.signature))
        self._clocks = [item.name for item in model.signature if item.is_clock]

    def read(self, rows: Sequence[Mapping[str, Any]]) -> list[Row]:
        """Rows to answer; raises InputError as `Model.answer_rows` does."""
        read = self._read(rows)
        for row in read:
            for name in self._required:
                if is_absent(row[name]):
                    refuse_incomplete(stack(read, self._spec), self._required)
        return read

    def answer(self, row: Row) -> Answer:
        features = self._derive(row)
        codes = self._encoder.codes_row(features)
        raw = self._estimate(self._encoder.matrix_row(features, codes, self._matrix))
        lacking = [] if self._absences is None else missing_row(row, self._absences)
        prediction, low, high, classes = self._numbers(raw, features, bool(lacking))
        outside = out_of_range_row(row, self._ranges, self._clocks)
        return Answer(prediction, low, high, outside, unseen_row(row, codes), lacking, classes)
