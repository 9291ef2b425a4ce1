"""Folds of a table of few rows, where those held out for validation would be too few to choose and to calibrate by.

Each fold is a training set of its own: it holds out some of the rows of train and validation, and learns from the
others, encodings included. Together they hold each of these rows out once (Stone, 1974). Test rows are in none.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mlops_assets.core.columns import row_hash
from mlops_assets.core.prepare.splitting import Periods, is_stratified
from mlops_assets.core.training_set import FOLDS_FOLDER, Parts, Rows, identity_columns, join, write_training_set
from mlops_assets.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from mlops_assets.core.types import IntArray
    from mlops_assets.dataset import DatasetSpec

FEW_ROWS = 1_000  # of a snapshot: 150 for validation; periods have an order that folds would break
COUNT = 5


def has_folds(spec: DatasetSpec, rows: int) -> bool:
    """Whether a table of so many clean rows is divided into folds."""
    return not spec.time and rows < FEW_ROWS


def write_folds(folder: Path, spec: DatasetSpec, parts: Parts, periods: Periods, seed: int) -> None:
    """Write them into the folder of a training set of these rows; none where one could not be learnt from.

    A class too rare to be in all of them is such a reason.
    """
    known = join([parts["train"], parts["validation"]])
    number, without_test = _numbers(spec, known, seed), replace(periods, test=())
    try:
        for fold in range(COUNT):
            place = folder / FOLDS_FOLDER / str(fold)
            place.mkdir(parents=True)
            train, held, test = (known.take(rows) for rows in (number != fold, number == fold, number < 0))
            within: Parts = {"train": train, "validation": held, "test": test}
            write_training_set(place, spec, [within], without_test, seed)
    except DataError:
        shutil.rmtree(folder / FOLDS_FOLDER)


def _numbers(spec: DatasetSpec, rows: Rows, seed: int) -> IntArray:
    """The fold (n,) that holds a row out: equal rows, and those of a group, in the same; classes in equal shares."""
    columns = {**rows.columns, **rows.for_gate}
    places = row_hash({name: columns[name] for name in identity_columns(spec)}, seed)
    codes = rows.y if is_stratified(spec) else np.zeros(len(rows))
    numbers = np.empty(len(rows), np.int64)
    for code in np.unique(codes):
        own = codes == code
        numbers[own] = np.unique(places[own], return_inverse=True)[1] % COUNT
    return numbers
