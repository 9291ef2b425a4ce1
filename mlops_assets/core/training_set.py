"""The shared training set: both matrices of every split, the target, and the encoder that made them, on disk.

Arrays are memory-mapped, so that several processes that tune on one training set share its pages.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops_assets.core.cleaning import TARGET, kept_columns
from mlops_assets.core.columns import Columns, concatenate, from_table, take
from mlops_assets.core.encoding import Encoder, MatrixKind, fit_encoder
from mlops_assets.core.golden import Specimens
from mlops_assets.core.levels import learn_levels
from mlops_assets.core.splitting import SPLITS, Months, SplitName, split_by_hash, split_by_time
from mlops_assets.core.state import DAMAGE
from mlops_assets.dataset import DatasetSpec
from mlops_assets.errors import DataError, ModelError, StorageError

if TYPE_CHECKING:
    import pyarrow as pa
    from scipy.sparse import csr_matrix


@dataclass(frozen=True)
class Rows:
    """Clean rows of one split: a model's inputs, the target (n,) and, where rows have a time, their months (n,)."""

    columns: Columns
    y: np.ndarray
    months: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.y)


def split_rows(spec: DatasetSpec, tables: Sequence[pa.Table], months: Months, seed: int) -> dict[SplitName, Rows]:
    """Clean tables (one a month, oldest first) divided into splits; within a split rows stay in their order.

    Raises DataError where a split that the window asks for has no row.
    """
    columns = concatenate([from_table(table, kept_columns(spec)) for table in tables])
    y = np.concatenate([table.column(TARGET).to_numpy() for table in tables])
    if spec.time:
        test_from = np.datetime64(months.test[0]) if months.test else None
        split = split_by_time(columns[spec.time.column], np.datetime64(months.validation[0]), test_from)
    else:
        split = split_by_hash({name: columns[name] for name in spec.key or kept_columns(spec)}, spec.window, seed)
    inputs = {alias: columns[alias] for alias in spec.inputs()}
    month = columns[spec.time.column].astype("datetime64[M]") if spec.time else None
    parts = {}
    for number, name in enumerate(SPLITS):
        chosen = np.flatnonzero(split == number)
        parts[name] = Rows(take(inputs, chosen), y[chosen], None if month is None else month[chosen])
        if not len(chosen) and getattr(months, name):
            raise DataError(f"no row falls into the {name} split ({', '.join(getattr(months, name))})")
    return parts


def join(parts: Sequence[Rows]) -> Rows:
    """Rows of several splits as one, in their order."""
    parts = [part for part in parts if len(part)]
    return Rows(concatenate([part.columns for part in parts]), np.concatenate([part.y for part in parts]))


def write_training_set(
    folder: Path, spec: DatasetSpec, parts: dict[SplitName, Rows], months: Months, seed: int
) -> None:
    """Fit the encoder on the train split alone, encode every split, and write it all into an empty folder.

    The levels for intervals come from train and validation: no test row has a say in them.
    """
    fitted = fit_encoder(spec.features, parts["train"].columns, parts["train"].y, seed)
    encoder = fitted.encoder
    encoder.save(folder)
    Specimens.of(spec, parts["train"].columns, encoder.vocabularies, parts["validation"].columns).save(folder)
    comparable = []
    for name in SPLITS:
        rows = parts[name]
        if name == "train":
            one_hot, dense = fitted.one_hot, fitted.dense
        else:
            one_hot, dense = (encoder.transform(spec.features, rows.columns, kind) for kind in ("one_hot", "dense"))
        arrays = {"y": rows.y, "dense": dense}
        arrays |= {"data": one_hot.data, "indices": one_hot.indices, "indptr": one_hot.indptr}
        for part, array in arrays.items():
            np.save(folder / f"{name}_{part}.npy", array)
        if name != "test" and rows.months is not None:
            comparable.append((one_hot, rows.y, rows.months))
    np.save(folder / "levels.npy", learn_levels(comparable))
    about = {
        "months": asdict(months),
        "rows": {name: len(parts[name]) for name in SPLITS},
        "one_hot_names": encoder.one_hot_names,
        "dense_names": encoder.dense_names,
    }
    (folder / "about.json").write_text(json.dumps(about, indent=1), encoding="utf-8")


@dataclass(frozen=True)
class TrainingSet:
    """A written training set, opened for reading."""

    folder: Path
    months: Months
    rows: dict[SplitName, int]
    encoder: Encoder
    specimens: Specimens
    one_hot_names: tuple[str, ...]
    dense_names: tuple[str, ...]

    @classmethod
    def load(cls, folder: Path) -> TrainingSet:
        try:
            about: dict[str, Any] = json.loads((folder / "about.json").read_text(encoding="utf-8"))
            months = Months(**{name: tuple(values) for name, values in about["months"].items()})
            names = tuple(about["one_hot_names"]), tuple(about["dense_names"])
            encoder, specimens = Encoder.load(folder), Specimens.load(folder)
            return cls(folder, months, about["rows"], encoder, specimens, *names)
        except (*DAMAGE, ModelError) as error:
            raise StorageError(f"the training set is damaged ({error}): materialise training_set again") from None

    @property
    def categorical(self) -> tuple[bool, ...]:
        """For each dense column, whether it holds category codes."""
        return self.encoder.dense_categorical

    @property
    def levels(self) -> np.ndarray:
        """What `levels.needed_levels` takes; without a row where the months are too few, or rows have no time."""
        return self._array("levels")

    def target(self, split: SplitName, most: int | None = None) -> np.ndarray:
        """Target (n,) float64; `most` gives at most so many rows, evenly spread over the split."""
        y = self._array(f"{split}_y")
        return y if self._spread(split, most) is None else y[self._spread(split, most)]

    def matrix(self, kind: MatrixKind, split: SplitName, most: int | None = None) -> csr_matrix | np.ndarray:
        """CSR float64 (`one_hot`) or float32 array (`dense`) of (n, width); `most` as for the target."""
        chosen = self._spread(split, most)
        if kind == "dense":
            whole = self._array(f"{split}_dense")
        else:
            from scipy.sparse import csr_matrix

            parts = tuple(np.asarray(self._array(f"{split}_{part}")) for part in ("data", "indices", "indptr"))
            whole = csr_matrix(parts, (self.rows[split], len(self.one_hot_names)))
        return whole if chosen is None else whole[chosen]

    def _spread(self, split: SplitName, most: int | None) -> np.ndarray | None:
        """Rows of every season and age: the newest alone would be tuned for their own months."""
        count = self.rows[split]
        return None if most is None or most >= count else np.arange(most) * count // most

    def _array(self, name: str) -> np.ndarray:
        path = self.folder / f"{name}.npy"
        try:
            return np.load(path, mmap_mode="r", allow_pickle=False)
        except DAMAGE as error:
            raise StorageError(f"{path.name} is damaged ({error}): materialise training_set again") from None
