"""The shared training set: both matrices of every split, the target, and the encoder that made them, on disk.

Clean rows are divided into splits, the encoder learns from those of training, and every row is encoded and appended to
the files of its split, a batch at a time. Arrays are read memory-mapped, so that several processes that tune on one
training set share its pages.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from mlops_assets.core.columns import Columns, concatenate, evenly_spread, from_table, nothing_like, row_hash, take
from mlops_assets.core.features.categories import Vocabulary, is_free_text
from mlops_assets.core.features.encoder import Encoder, FittedEncoder, fit_encoder, masked
from mlops_assets.core.matrix_files import SplitFiles
from mlops_assets.core.model.golden_rows import Specimens
from mlops_assets.core.prepare.cleaning import TARGET, kept_columns
from mlops_assets.core.prepare.splitting import (
    SPLITS,
    Cutoffs,
    Evenly,
    Periods,
    SplitName,
    is_stratified,
    split_by_hash,
    split_by_time,
    walking_steps,
)
from mlops_assets.core.state import DAMAGE
from mlops_assets.core.targets.kinds import target_of
from mlops_assets.core.targets.walk_forward import Looked, look_back
from mlops_assets.core.types import Array, BoolArray, FloatArray, IntArray, MatrixKind, SingleArray, TimeArray
from mlops_assets.dataset import DatasetSpec
from mlops_assets.errors import DataError, ModelError, StorageError

if TYPE_CHECKING:
    import pyarrow as pa

    from mlops_assets.core.types import Matrix, SparseMatrix

FOLDS_FOLDER = "folds"  # a folder of training sets within that of one


@dataclass(frozen=True)
class Rows:
    """Clean rows of one split: a model's inputs, the target (n,), their time (n,) where they have one, columns that
    only the gate asks for, and how much each counts in fits (n,), where that is not the same.
    """

    columns: Columns
    y: FloatArray
    times: TimeArray | None = None
    for_gate: Columns = field(default_factory=dict)
    weights: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.y)

    def take(self, rows: IntArray | BoolArray) -> Rows:
        times = None if self.times is None else self.times[rows]
        weights = None if self.weights is None else self.weights[rows]
        return Rows(take(self.columns, rows), self.y[rows], times, take(self.for_gate, rows), weights)


_ON_NO_SIDE = -1  # of a row whose group is on another side than its time
Parts = Mapping[SplitName, Rows]


def split_rows(spec: DatasetSpec, tables: Iterable[pa.Table], periods: Periods, seed: int) -> Parts:
    """Clean tables (oldest first) divided into splits; within a split rows stay in their order.

    Raises DataError where a split that the window asks for has no row.
    """
    tables = list(tables)
    cutoffs = class_cutoffs(spec, tables, seed)
    return gather((divide(spec, table, periods, seed, cutoffs) for table in tables), periods)


def class_cutoffs(spec: DatasetSpec, tables: Iterable[pa.Table], seed: int) -> Cutoffs | None:
    """How a stratified split divides all clean rows of these tables; None where the split is none."""
    if not is_stratified(spec):
        return None
    found = [
        (row_hash(from_table(table, identity_columns(spec)), seed), table.column(TARGET).to_numpy().astype(np.int64))
        for table in tables
    ]
    places, codes = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return Cutoffs.by_class(places, codes, spec.window)


def divide(spec: DatasetSpec, table: pa.Table, periods: Periods, seed: int, cutoffs: Cutoffs | None = None) -> Parts:
    """Clean rows, such as some of a period, divided into splits, of which any may be empty.

    `cutoffs`: of all rows that these are some of, where the split is stratified.
    """
    columns = from_table(table, kept_columns(spec))
    y = table.column(TARGET).to_numpy()
    if spec.time:
        test_from = np.datetime64(periods.test[0]) if periods.test else None
        split = split_by_time(columns[spec.time.column], np.datetime64(periods.validation[0]), test_from)
        if groups := {name: columns[name] for name in spec.split.groups}:
            side = split_by_hash(groups, spec.window if periods.test else spec.window.without_test(), seed)
            split = np.where(split == side, split, _ON_NO_SIDE)
    else:
        identity = {name: columns[name] for name in identity_columns(spec)}
        if cutoffs:
            split = cutoffs.split(row_hash(identity, seed), y.astype(np.int64))
        else:
            split = split_by_hash(identity, spec.window, seed)
    for_gate = {
        alias: columns[alias]
        for alias in dict.fromkeys((*spec.gate.columns, *spec.split.groups, *(() if spec.time else spec.key)))
    }
    times = columns[spec.time.column] if spec.time else None
    weights = columns[spec.weights] if spec.weights else None
    rows = Rows({alias: columns[alias] for alias in spec.inputs()}, y, times, for_gate, weights)
    return {name: rows.take(np.flatnonzero(split == number)) for number, name in enumerate(SPLITS)}


def identity_columns(spec: DatasetSpec) -> tuple[str, ...]:
    """The columns by which the rows of a snapshot are divided."""
    return spec.split.groups or spec.key or spec.inputs()


def gather(batches: Iterable[Parts], periods: Periods, share: float = 1.0) -> Parts:
    """The rows of batches in their order, or an even share of them, such as every third, in memory.

    Raises DataError where a split that the window asks for has no row.
    """
    evenly = {name: Evenly(share) for name in SPLITS}
    chosen: dict[SplitName, list[Rows]] = {name: [] for name in SPLITS}
    for parts in batches:
        for name, rows in parts.items():
            chosen[name].append(rows if share >= 1 else rows.take(evenly[name].choose(len(rows))))
    gathered = {name: join(rows) for name, rows in chosen.items()}
    for name, rows in gathered.items():
        if not len(rows) and getattr(periods, name):
            raise DataError(f"no row falls into the {name} split ({', '.join(getattr(periods, name))})")
    return gathered


def join(parts: Sequence[Rows]) -> Rows:
    """Rows of several splits or batches as one, in their order."""
    parts = [part for part in parts if len(part)] or parts[:1]
    times = [part.times for part in parts if part.times is not None]
    weights = [part.weights for part in parts if part.weights is not None]
    return Rows(
        concatenate([part.columns for part in parts]),
        np.concatenate([part.y for part in parts]),
        np.concatenate(times) if len(times) == len(parts) else None,
        concatenate([part.for_gate for part in parts]),
        np.concatenate(weights) if len(weights) == len(parts) else None,
    )


def write_training_set(
    folder: Path, spec: DatasetSpec, batches: Iterable[Parts], periods: Periods, seed: int, share: float = 1.0
) -> None:
    """Fit the encoder on the train split alone, encode every split, and write it all into an empty folder.

    `batches` are gone through twice. Of their rows, the encoder learns from an even `share`, which is in memory; the
    others pass a batch at a time. The levels for intervals come from train and validation: no test row has a say.
    Raises DataError where there is nothing to learn.
    """
    learnt = gather(batches, periods, share)
    train, held = learnt["train"], learnt["validation"]
    kind = target_of(spec.target)
    kind.check({name: rows.y for name, rows in learnt.items()})
    _check_weights(spec, train)
    if (train.y == train.y[0]).all():
        raise DataError(f"the target is {train.y[0]:g} in all {len(train):,} rows to learn from: no model is needed")
    learnt_from = masked(spec, train.columns, seed)
    fitted = fit_encoder(spec.features, learnt_from, train.y, seed, kind.labels)
    encoder = fitted.encoder
    _check_categories(spec, encoder.vocabularies, len(train))
    encoder.save(folder)
    Specimens.of(spec, train.columns, encoder.vocabularies, held.columns).save(folder)
    whole = fitted.one_hot
    if learnt_from is not train.columns:  # what was masked is no error that later periods will make
        whole = encoder.transform(spec.features, train.columns, "one_hot")
    matrices = [(whole, train), (encoder.transform(spec.features, held.columns, "one_hot"), held)]
    parts = [(X, rows.y, rows.times) for X, rows in matrices if rows.times is not None and kind.has_intervals]
    steps = walking_steps([times for *_, times in parts], spec.time.every) if spec.time else []
    look_back([(X, kind.forward(y), step) for (X, y, _), step in zip(parts, steps, strict=True)]).save(folder)
    with ExitStack() as opened:
        width = len(encoder.dense_names)
        files = {
            name: opened.enter_context(SplitFiles(folder, name, width, is_weighted=bool(spec.weights)))
            for name in SPLITS
        }
        encode_rows(spec, batches, fitted, share, files, seed)
    about = {
        "periods": asdict(periods),
        "rows": {name: files[name].rows for name in SPLITS},
        "one_hot_names": encoder.one_hot_names,
        "dense_names": encoder.dense_names,
    }
    (folder / "about.json").write_text(json.dumps(about, indent=1), encoding="utf-8")


def _check_categories(spec: DatasetSpec, vocabularies: Mapping[str, Vocabulary], rows: int) -> None:
    """Raises DataError where a category is free text, from which nothing can be learnt in this way."""
    for name, vocabulary in vocabularies.items():
        texts = vocabulary.values
        if texts.dtype != object or not len(texts):
            continue
        characters = sum(map(len, texts)) / len(texts)
        if is_free_text(characters, len(texts)):
            is_hidden = any(map(spec.hides, spec.source_names(name)))
            shown = "" if is_hidden else f", such as `{spec.redact(texts[0])[:40]}...`"
            raise DataError(
                f"columns.{name} is no category: {len(texts):,} texts of {characters:.0f} characters on average in "
                f"{rows:,} rows{shown}; take it out of features.categorical"
            )


def _check_weights(spec: DatasetSpec, train: Rows) -> None:
    """Raises DataError where weights cannot be used."""
    if (weights := train.weights) is None:
        return
    if odd := np.count_nonzero(~(weights >= 0) | np.isinf(weights)):
        least = float(np.nanmin(weights)) if np.isfinite(weights).any() else np.nan
        raise DataError(
            f"{odd} train row(s) have a weight in '{spec.weights}' that is negative or missing (least: {least:g}): "
            "drop them by a rule of `rows`, or mend the source"
        )
    if not weights.any():
        raise DataError(f"the weights in '{spec.weights}' are all 0: nothing would be learnt")


def encode_rows(
    spec: DatasetSpec,
    batches: Iterable[Parts],
    fitted: FittedEncoder,
    share: float,
    files: Mapping[SplitName, SplitFiles],
    seed: int,
) -> None:
    """Append the matrices of every row to the files of its split.

    `fitted` has learnt from an even `share` of the train rows: theirs are out of fold, as it gave them.
    """
    evenly, done = Evenly(share), 0
    for parts in batches:
        for name, rows in parts.items():
            if not len(rows):
                continue
            learnt = evenly.choose(len(rows)) if name == "train" else np.zeros(len(rows), bool)
            count = int(np.count_nonzero(learnt))
            matrices = fitted.dense[done : done + count], fitted.one_hot[done : done + count]
            done += count
            if count < len(rows):
                others_columns = rows.take(~learnt).columns
                if name == "train":
                    others_columns = masked(spec, others_columns, seed)
                others = fitted.encoder.both(spec.features, others_columns)
                matrices = _merged(learnt, matrices, others)
            files[name].append(rows.y, rows.weights, *matrices)


def _merged(
    learnt: BoolArray, own: tuple[SingleArray, SparseMatrix], others: tuple[SingleArray, SparseMatrix]
) -> tuple[SingleArray, SparseMatrix]:
    """Matrices of rows in their order, from those of the rows that are `learnt` (n,) and of those that are not."""
    from scipy.sparse import vstack

    if not learnt.any():
        return others
    order = np.empty(len(learnt), np.int64)
    order[np.argsort(~learnt, kind="stable")] = np.arange(len(learnt))
    return np.concatenate([own[0], others[0]])[order], vstack([own[1], others[1]])[order]


@dataclass(frozen=True)
class TrainingSet:
    """A written training set, opened for reading."""

    folder: Path
    periods: Periods
    rows: dict[SplitName, int]
    encoder: Encoder
    specimens: Specimens
    one_hot_names: tuple[str, ...]
    dense_names: tuple[str, ...]

    @classmethod
    def load(cls, folder: Path) -> TrainingSet:
        try:
            about: dict[str, Any] = json.loads((folder / "about.json").read_text(encoding="utf-8"))
            chosen = about["periods" if "periods" in about else "months"]  # as they were called until 0.1
            periods = Periods(**{name: tuple(values) for name, values in chosen.items()})
            names = tuple(about["one_hot_names"]), tuple(about["dense_names"])
            encoder, specimens = Encoder.load(folder), Specimens.load(folder)
            return cls(folder, periods, about["rows"], encoder, specimens, *names)
        except (*DAMAGE, ModelError) as error:
            raise StorageError(f"the training set is damaged ({error}): materialise training_set again") from None

    @property
    def categorical(self) -> tuple[bool, ...]:
        """For each dense column, whether it holds category codes."""
        return self.encoder.dense_categorical

    def category(self, name: str, split: SplitName) -> Array:
        """The values (n,) of a category, as columns hold them; missing where the train split did not have them."""
        codes = self.matrix("dense", split)[:, self.encoder.categorical.index(name)]
        values = self.encoder.vocabularies[name].values
        known = np.concatenate([values, nothing_like(values[:1])])
        return known[np.where(np.isfinite(codes), codes, len(values)).astype(np.int64)]

    @cached_property
    def held_out(self) -> tuple[TrainingSet, ...]:
        """By whose validation rows fits on their train rows are judged: its folds, or itself where it has none."""
        return tuple(map(TrainingSet.load, sorted(self.folder.glob(f"{FOLDS_FOLDER}/*")))) or (self,)

    @property
    def held_target(self) -> FloatArray:
        """Of all validation rows of `held_out` (n,)."""
        return np.concatenate([part.target("validation") for part in self.held_out])

    @property
    def looked(self) -> Looked:
        """What the periods of train and validation say of intervals for the next; raises StorageError."""
        try:
            return Looked.load(self.folder)
        except ModelError as error:
            raise StorageError(f"the training set is damaged ({error}): materialise training_set again") from None

    def target(self, split: SplitName, most: int | None = None) -> FloatArray:
        """Target (n,) float64; `most` gives at most so many rows, evenly spread over the split."""
        y, chosen = self._array(f"{split}_y"), self._chosen(split, most)
        return y if chosen is None else y[chosen]

    def weights(self, split: SplitName, most: int | None = None) -> FloatArray | None:
        """How much each row (n,) counts in fits, of those that `target` gives; None where all count the same."""
        if not (self.folder / f"{split}_weights.npy").is_file():
            return None
        weights, chosen = self._array(f"{split}_weights"), self._chosen(split, most)
        return weights if chosen is None else weights[chosen]

    @overload
    def matrix(self, kind: Literal["one_hot"], split: SplitName, most: int | None = None) -> SparseMatrix: ...

    @overload
    def matrix(self, kind: Literal["dense"], split: SplitName, most: int | None = None) -> SingleArray: ...

    @overload
    def matrix(self, kind: MatrixKind, split: SplitName, most: int | None = None) -> Matrix: ...

    def matrix(self, kind: MatrixKind, split: SplitName, most: int | None = None) -> Matrix:
        """CSR float64 (`one_hot`) or float32 array (`dense`) of (n, width); `most` as for the target."""
        whole = self._array(f"{split}_dense") if kind == "dense" else self._one_hot(split)
        chosen = self._chosen(split, most)
        return whole if chosen is None else whole[chosen]

    def _one_hot(self, split: SplitName) -> SparseMatrix:
        from scipy.sparse import csr_matrix

        data, indices, indptr = (np.asarray(self._array(f"{split}_{part}")) for part in ("data", "indices", "indptr"))
        return csr_matrix((data, indices, indptr), (self.rows[split], len(self.one_hot_names)))

    def _chosen(self, split: SplitName, most: int | None) -> IntArray | None:
        """Rows of every season and age: the newest alone would be tuned for their own periods. None for all rows."""
        count = self.rows[split]
        return None if most is None or most >= count else evenly_spread(count, most)

    def _array(self, name: str) -> Array:
        path = self.folder / f"{name}.npy"
        try:
            array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
            return array
        except DAMAGE as error:
            raise StorageError(f"{path.name} is damaged ({error}): materialise training_set again") from None
