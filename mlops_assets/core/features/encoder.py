"""The encoder: learnt once from training rows, shared by every model type, shipped inside every model.

It gives two matrices: `one_hot` for linear models, `dense` for trees (category codes, numbers, target encodings).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

import numpy as np

from mlops_assets.core.columns import Columns, Row, length, nothing_like, row_hash, row_slices
from mlops_assets.core.features.categories import UNKNOWN, Codes, Key, RowCodes, Token, Vocabulary
from mlops_assets.core.features.derive import derive
from mlops_assets.core.features.one_hot import Block, Entries, OneHotEncoder, RowEntries, Scale, fit_one_hot
from mlops_assets.core.features.target_encoding import Curve, FittedGroupMeans, GroupMeansEncoder, fit_group_means
from mlops_assets.core.state import load_state, save_state
from mlops_assets.core.types import AnyMatrix, Both, FloatArray, MatrixKind, SingleArray
from mlops_assets.dataset import DatasetSpec, Features

if TYPE_CHECKING:
    from mlops_assets.core.types import Matrix, SparseMatrix


MASKED = 0.02  # of training rows, for each input that may be missing though none of them lacks it


@dataclass(frozen=True)
class Encoder:
    """What was learnt from the training rows; `features` says how to derive the rest."""

    categorical: tuple[str, ...]
    numbers: tuple[str, ...]
    vocabularies: dict[str, Vocabulary]
    one_hot_encoder: OneHotEncoder
    group_means: GroupMeansEncoder | None

    @property
    def dense_names(self) -> tuple[str, ...]:
        means = self.group_means.names if self.group_means else ()
        return (*self.categorical, *self.numbers, *means)

    @property
    def first_mean(self) -> int:
        """The dense column of the first group mean."""
        return len(self.categorical) + len(self.numbers)

    @property
    def dense_categorical(self) -> tuple[bool, ...]:
        """For each dense column, whether it holds category codes."""
        return tuple(name in self.categorical for name in self.dense_names)

    @property
    def dense_sizes(self) -> dict[int, int]:
        """How many categories each dense column of category codes has, by its place."""
        return {place: len(self.vocabularies[name]) for place, name in enumerate(self.categorical)}

    @property
    def one_hot_names(self) -> tuple[str, ...]:
        return self.one_hot_encoder.names(self.vocabularies)

    @overload
    def transform(self, spec: Features, columns: Columns, kind: Literal["one_hot"]) -> SparseMatrix: ...

    @overload
    def transform(self, spec: Features, columns: Columns, kind: Literal["dense"]) -> SingleArray: ...

    @overload
    def transform(self, spec: Features, columns: Columns, kind: MatrixKind) -> Matrix: ...

    @overload
    def transform(self, spec: Features, columns: Columns, kind: AnyMatrix) -> Matrix | Both: ...

    def transform(self, spec: Features, columns: Columns, kind: AnyMatrix) -> Matrix | Both:
        """The matrix (n, width) of rows that were not trained on: CSR float64, or float32."""
        if kind == "both":
            dense, one_hot = self.both(spec, columns)
            return Both(one_hot, dense)
        features = derive(spec, columns)
        codes = self.codes(features)
        return self.one_hot_encoder.csr(features, codes) if kind == "one_hot" else self.dense(features, codes)

    def both(self, spec: Features, columns: Columns) -> tuple[SingleArray, SparseMatrix]:
        """The dense and the one-hot matrix of rows that were not trained on."""
        features = derive(spec, columns)
        codes = self.codes(features)
        return self.dense(features, codes), self.one_hot_encoder.csr(features, codes)

    def matrix(self, features: Columns, codes: Codes, kind: AnyMatrix) -> Entries | SingleArray | Both:
        """The matrix (n, width) of derived features: sparse entries, or float32 with NaN where missing."""
        if kind == "both":
            return Both(self.matrix(features, codes, "one_hot"), self.matrix(features, codes, "dense"))
        if kind == "one_hot":
            return self.one_hot_encoder.transform(features, codes)
        return self.dense(features, codes)

    def codes(self, features: Columns) -> Codes:
        """Codes (n,) of each categorical feature, -1 where it is missing or unseen."""
        return {name: vocabulary.encode(features[name]) for name, vocabulary in self.vocabularies.items()}

    def codes_row(self, features: Row) -> RowCodes:
        return {name: vocabulary.encode_row(features[name]) for name, vocabulary in self.vocabularies.items()}

    def matrix_row(self, features: Row, codes: RowCodes, kind: AnyMatrix) -> RowEntries | list[float] | Both:
        """The entries of one row, or its values before they are rounded to float32."""
        if kind == "both":
            return Both(self.matrix_row(features, codes, "one_hot"), self.matrix_row(features, codes, "dense"))
        if kind == "one_hot":
            return self.one_hot_encoder.transform_row(features, codes)
        categories = [code if (code := codes[name]) != UNKNOWN else math.nan for name in self.categorical]
        means = self.group_means.transform_row(features, codes) if self.group_means else ()
        return [*categories, *[features[name] for name in self.numbers], *means]

    def dense(self, features: Columns, codes: Codes) -> SingleArray:
        """The dense matrix (n, width) of derived features."""
        dense = np.empty((length(features), len(self.dense_names)), np.float32)
        self.fill_dense(dense, features, codes)
        if self.group_means:
            dense[:, self.first_mean :] = self.group_means.transform(features, codes)
        return dense

    def fill_dense(self, dense: SingleArray, features: Columns, codes: Codes) -> None:
        """Write categories and numbers into the first columns; what group means give differs for training rows."""
        first = len(self.categorical)
        for rows in row_slices(len(dense)):
            part = dense[rows]
            for number, name in enumerate(self.categorical):
                part[:, number] = codes[name][rows]
            categories = part[:, :first]
            categories[categories == UNKNOWN] = np.nan
            for number, name in enumerate(self.numbers, first):
                part[:, number] = features[name][rows]

    def save(self, folder: Path) -> None:
        save_state(self, folder, "encoder")

    @classmethod
    def load(cls, folder: Path) -> Encoder:
        return load_state(folder, "encoder", ENCODER_PARTS)


ENCODER_PARTS = (Encoder, Vocabulary, OneHotEncoder, Block, Scale, GroupMeansEncoder, Key, Token, Curve)


@dataclass(frozen=True, eq=False)
class FittedEncoder:
    """An encoder, and the matrices of the rows it was fitted on, each made when it is asked for.

    The target encodings of these rows are out of fold.
    """

    encoder: Encoder
    features: Columns
    codes: Codes
    group_means: FittedGroupMeans | None
    seed: int

    @cached_property
    def one_hot(self) -> SparseMatrix:
        return self.encoder.one_hot_encoder.csr(self.features, self.codes)

    @cached_property
    def dense(self) -> SingleArray:
        encoder = self.encoder
        dense = np.empty((length(self.features), len(encoder.dense_names)), np.float32)
        encoder.fill_dense(dense, self.features, self.codes)
        if self.group_means:
            self.group_means.out_of_fold(dense[:, encoder.first_mean :], self.seed)
        return dense

    def matrix(self, kind: MatrixKind) -> Matrix:
        return self.one_hot if kind == "one_hot" else self.dense


def fit_encoder(
    spec: Features, columns: Columns, y: FloatArray, seed: int, labels: Sequence[str] = ()
) -> FittedEncoder:
    """Learn vocabularies, scales and means from training rows alone; `labels` are those of a target's classes."""
    features = derive(spec, columns)
    vocabularies = {name: Vocabulary.fit(features[name]) for name in spec.categories}
    codes = {name: vocabulary.encode(features[name]) for name, vocabulary in vocabularies.items()}
    one_hot = fit_one_hot(spec, features, codes, vocabularies)
    groups = spec.group_means
    means = fit_group_means(groups, features, codes, vocabularies, y, labels) if groups else None
    numbers = (*spec.numbers, *spec.calendar_names)
    encoder = Encoder(spec.categories, numbers, vocabularies, one_hot, means.encoder if means else None)
    return FittedEncoder(encoder, features, codes, means, seed)


def masked(spec: DatasetSpec, columns: Columns, seed: int) -> Columns:
    """Training rows to learn from: some lack an input, for each that the spec allows to be missing.

    So trees learn where to send a row that lacks it, and linear models a level. Which rows is fixed by their values,
    and none lacks two for this. Unchanged where the spec allows none.
    """
    allowed = [name for name in spec.inputs() if spec.columns[name].missing == "allow"]
    if not allowed:
        return columns
    share = min(MASKED, 0.5 / len(allowed))
    slot = (row_hash(columns, seed) / share).astype(np.int64)
    learnt = dict(columns)
    for number, name in enumerate(allowed):
        learnt[name] = np.where(slot == number, nothing_like(columns[name]), columns[name])
    return learnt
