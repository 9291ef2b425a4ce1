"""A model is one object that derives, encodes and estimates; it is saved without pickle.

MLflow loads it through `_load_pyfunc`, so `models:/<name>@champion` answers everywhere with the same numbers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mlops_assets.core.columns import Columns, Row, from_frame, from_rows, length, stack
from mlops_assets.core.features.derive import derive
from mlops_assets.core.features.encoder import Encoder
from mlops_assets.core.features.signature import (
    Absences,
    Input,
    Limits,
    limits,
    missing,
    out_of_range,
    refuse_incomplete,
    required,
    unseen,
)
from mlops_assets.core.learners.estimators import for_few_rows, predict
from mlops_assets.core.learners.libraries.library import FEW_ROWS
from mlops_assets.core.model.answers import Answer, Answers
from mlops_assets.core.model.contributions import Background, Contributions, explain, learn_background
from mlops_assets.core.model.files import ABOUT, check_files, digests, read_about
from mlops_assets.core.model.golden_rows import Golden, Specimens
from mlops_assets.core.model.quantiles import load_intervals
from mlops_assets.core.model.row_scorer import RowScorer
from mlops_assets.core.state import DAMAGE
from mlops_assets.core.targets.intervals import Intervals
from mlops_assets.core.targets.kind import Finish, TargetKind
from mlops_assets.core.targets.kinds import target_of
from mlops_assets.core.types import AnyMatrix, Estimator, FloatArray
from mlops_assets.dataset import Column, DatasetSpec
from mlops_assets.errors import ModelError

if TYPE_CHECKING:
    import pandas as pd
    from typing_extensions import TypeIs

    from mlops_assets.core.types import Matrix

FORMAT = 3
ALONE = 4  # so many rows are answered sooner one by one than as columns


class Part(Protocol):
    """What is saved beside the encoder and the estimator."""

    def save(self, folder: Path) -> None: ...


@dataclass(frozen=True, eq=False)
class Model:
    """A fitted estimator with everything it needs to answer from raw rows under their aliases.

    The final models of a training have all parts; a trial's has neither intervals, background nor golden rows.
    """

    spec: DatasetSpec
    encoder: Encoder
    estimator: Estimator
    model_type: str
    matrix: AnyMatrix
    signature: tuple[Input, ...] = ()
    intervals: Intervals | None = None
    finish: Finish | None = None
    background: Background | None = None
    golden: Golden | None = None
    absences: Absences | None = None  # None in models of format 2, which know nothing of it

    @property
    def coverage(self) -> float | None:
        """The share of truths that the intervals, or sets of classes, are made to hold, such as 0.9."""
        sure = self.intervals or self.finish
        return sure.coverage if sure else None

    @cached_property
    def kind(self) -> TargetKind:
        return target_of(self.spec.target)

    def predict(self, rows: pd.DataFrame | Sequence[Mapping[str, Any]]) -> FloatArray:
        """Predictions (n,) float64, in the target's unit, of a DataFrame or a list of mappings.

        Raises InputError naming the column or value that cannot be used, or the input that a row must have.
        """
        columns = from_rows(rows, self.spec) if _are_mappings(rows) else from_frame(rows, self.spec)
        return self.answer_complete(columns).prediction

    def predict_columns(self, columns: Columns) -> FloatArray:
        """Predictions (n,) of checked columns; kept within the target's range where the spec gives one."""
        return self.answer(columns).prediction

    def output(self, columns: Columns) -> FloatArray:
        """What metrics take, of checked columns."""
        if not length(columns):
            return self.kind.output_of(np.empty(0))
        return self.kind.output(self._raw(columns), self.finish)

    def renewed(self, columns: Columns, y: FloatArray) -> Model:
        """The same, finished by what newer rows tell, their target (n,), from which its estimator has not learnt."""
        return replace(self, finish=self.kind.renew(self.finish, lambda: self._raw(columns), y))

    def _raw(self, columns: Columns) -> FloatArray:
        return predict(self.estimator, self.encoder.transform(self.spec.features, columns, self.matrix))

    def answer_rows(self, rows: Sequence[Mapping[str, Any]]) -> Answers:
        """Answers to a list of mappings, such as JSON objects; raises InputError as `predict` does."""
        if len(rows) == 1:
            return Answers.of_row(self.row_scorer.answer(*self.row_scorer.read(rows)))
        return self.answer_complete(from_rows(rows, self.spec))

    def answer_each(self, rows: Sequence[Row]) -> list[Answer]:
        """The answer to each of the rows that `row_scorer` has read."""
        if len(rows) <= ALONE:
            return [self.row_scorer.answer(row) for row in rows]
        return self.answer(stack(rows, self.spec)).rows()

    @cached_property
    def row_scorer(self) -> RowScorer:
        return RowScorer(self, self._for_few_rows)

    @cached_property
    def required(self) -> tuple[str, ...]:
        """Inputs without which a caller's row is refused: no training row lacked them."""
        return required(self.spec, self.signature)

    def answer_complete(self, columns: Columns, first: int = 0) -> Answers:
        """Answers to columns of which each row has what it must have; raises InputError where one has not.

        Every caller is answered this way; `first` is the number of the first row.
        """
        self.refuse_incomplete(columns, first)
        return self.answer(columns)

    def refuse_incomplete(self, columns: Columns, first: int = 0) -> None:
        """Raises InputError naming the first row that lacks a required input, and all of those that it lacks."""
        refuse_incomplete(columns, self.required, first)

    def answer(self, columns: Columns) -> Answers:
        """Predictions, their intervals and flags of checked columns, from one pass over them.

        A row that lacks an input as no training row did is flagged, and has no interval.
        """
        count = length(columns)
        if not count:
            return Answers(np.empty(0), np.empty(0), np.empty(0), {}, {})  # estimators refuse a matrix without rows
        features = derive(self.spec.features, columns)
        codes = self.encoder.codes(features)
        X = self.encoder.matrix(features, codes, self.matrix)
        raw = predict(self._for_few_rows if count <= FEW_ROWS else self.estimator, X)
        said = self.kind.numbers(self.kind.output(raw, self.finish), self.finish, self.intervals, features)
        outside = out_of_range(columns, self._limits, self._clocks)
        lacking = {} if self.absences is None else missing(columns, self.absences)
        numbers = said.prediction, said.low, said.high
        answers = Answers(*numbers, outside, unseen(columns, codes), lacking, said.classes)
        return answers.without_intervals(answers.lacks_inputs) if lacking else answers

    def contributions(self, columns: Columns) -> Contributions:
        """What each feature adds to the raw output: to a number before it is kept within its range, to log-odds.

        Raises ModelError where the model was saved without a background and its kind needs one.
        """
        X = self.encoder.transform(self.spec.features, columns, self.matrix)
        found = explain(self.estimator, X, self.encoder, self.matrix, self.spec.features, self.background)
        return replace(found, base=found.base + self.kind.added(self.finish))

    def self_check(self) -> None:
        """Answer the golden rows, together and one by one; ModelError where one is not answered as in training."""
        if self.golden is None or not self.golden.rows:
            raise ModelError("this model was saved without golden rows to check it by: use that of a final model")
        try:
            self.golden.check(self.answer_rows)
        except ModelError:
            raise
        except Exception as error:  # whatever an estimator makes of a matrix that is not its own
            raise ModelError(f"the model cannot answer its golden rows: {type(error).__name__}: {error}") from error

    @cached_property
    def _for_few_rows(self) -> Estimator:
        return for_few_rows(self.estimator, None if self.matrix == "one_hot" else self.encoder.dense_sizes)

    @cached_property
    def _limits(self) -> tuple[Limits, ...]:
        return limits(self.signature)

    @cached_property
    def _clocks(self) -> tuple[str, ...]:
        return tuple(item.name for item in self.signature if item.is_clock)

    def save(self, folder: Path) -> None:
        """Write the model into an empty folder."""
        from mlops_assets.core.learners.persistence import save_estimator

        parts: dict[str, Part | None] = {"intervals": self.intervals, "finish": self.finish}
        parts |= {"background": self.background, "golden": self.golden}
        self.encoder.save(folder)
        save_estimator(self.estimator, folder)
        for part in parts.values():
            if part is not None:
                part.save(folder)
        about = {
            "format": FORMAT,
            "model_type": self.model_type,
            "matrix": self.matrix,
            "parts": [name for name, part in parts.items() if part is not None],
            "files": digests(folder),
            "inputs": [asdict(item) for item in self.signature],
            "absences": self.absences,
            "dataset": _public(self.spec),
        }
        (folder / ABOUT).write_text(json.dumps(about, indent=1), encoding="utf-8")


def finish(
    model: Model, X: Matrix, specimens: Specimens, intervals: Intervals | None, finish: Finish | None = None
) -> Model:
    """`model` with all its parts; X (n, width) is the matrix on which its estimator was fitted."""
    background = learn_background(model.estimator, X)
    model = replace(model, signature=specimens.signature, absences=specimens.absences)
    model = replace(model, intervals=intervals, finish=finish, background=background)
    return replace(model, golden=Golden.of(model.spec, specimens.columns, model.answer(specimens.columns)))


def _are_mappings(rows: pd.DataFrame | Sequence[Mapping[str, Any]]) -> TypeIs[Sequence[Mapping[str, Any]]]:
    return isinstance(rows, list | tuple)


def load_model(folder: Path, verify_keys: Sequence[str] = ()) -> Model:
    """Read a saved model; raises ModelError where it is damaged, foreign or of a format that has no reader.

    With keys, also where none of them has signed it.
    """
    try:
        about = json.loads(read_about(folder, verify_keys))
        read = _READERS.get(about["format"])
        if read is None:
            raise ModelError(
                f"the saved model has format {about['format']}; this version reads "
                f"{' and '.join(map(str, _READERS))}: train it again, or "
                "answer with the version of mlops-assets that saved it"
            )
        check_files(folder, about["files"])  # XGBoost ends the process over a damaged file
        return read(folder, about)
    except (*DAMAGE, MemoryError) as error:
        raise ModelError(f"the saved model is damaged: {error}") from None


def _read_3(folder: Path, about: dict[str, Any]) -> Model:
    absences = about["absences"]
    return replace(_read_2(folder, about), absences=None if absences is None else tuple(map(tuple, absences)))


def _read_2(folder: Path, about: dict[str, Any]) -> Model:
    """Of inputs it was not known then whether training rows lacked them: they answer as they did."""
    from mlops_assets.core.learners.persistence import load_estimator

    spec = DatasetSpec.model_validate(about["dataset"])
    names = about["model_type"], about["matrix"]
    signature = tuple(_input(item) for item in about["inputs"])
    intervals = load_intervals(folder) if "intervals" in about["parts"] else None
    background = Background.load(folder) if "background" in about["parts"] else None
    golden = Golden.load(folder) if "golden" in about["parts"] else None
    encoder, estimator = Encoder.load(folder), load_estimator(folder)
    finish = target_of(spec.target).load(folder) if "finish" in about["parts"] else None
    return Model(spec, encoder, estimator, *names, signature, intervals, finish, background, golden)


# By format. A reader stays when FORMAT is raised: the champion was saved before.
_READERS: dict[int, Callable[[Path, dict[str, Any]], Model]] = {2: _read_2, 3: _read_3}


def _input(saved: dict[str, Any]) -> Input:
    categories = saved["categories"]
    return Input(**saved | {"categories": None if categories is None else tuple(categories)})


def _public(spec: DatasetSpec) -> dict[str, Any]:
    """The spec as a model carries it: no place, no real column name and nothing from the environment."""
    document = spec.model_dump(mode="json", exclude={"source", "rows", "example"})
    columns = {alias: _public_column(column, spec) for alias, column in spec.columns.items()}
    source = {"kind": "files", "uri": "withheld"}
    return document | {"description": spec.redact(spec.description), "columns": columns, "source": source}


def _public_column(column: Column, spec: DatasetSpec) -> dict[str, Any]:
    plain = column.as_callers_write()
    about = {"description": spec.redact(plain.description), "unit": plain.unit and spec.redact(plain.unit)}
    return plain.model_dump(mode="json") | about | {"source_name": None}


class PyfuncModel:
    """What MLflow's pyfunc flavour calls."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def predict(self, rows: pd.DataFrame, params: dict[str, Any] | None = None) -> FloatArray:
        return self.model.predict(rows)
