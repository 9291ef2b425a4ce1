"""Which rows are trained on, tuned on and tested on: by time, or by a hash where there is no time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mlops_assets.core.columns import Columns, row_hash
from mlops_assets.core.types import BoolArray, IntArray, TimeArray
from mlops_assets.dataset import SNAPSHOT, Window
from mlops_assets.errors import DataError

SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class Periods:
    """Periods of each split, oldest first; for a snapshot all three are the snapshot."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.train + self.validation + self.test))


def choose_periods(available: Sequence[str], window: Window) -> Periods:
    """The newest periods for test, those before for validation, up to `train_periods` before for training.

    Raises DataError where not even one period is left to train on.
    """
    if SNAPSHOT in available:
        return Periods((SNAPSHOT,), (SNAPSHOT,), (SNAPSHOT,) if window.test_share else ())
    periods = sorted(available)
    held = window.validation_periods + window.test_periods
    if len(periods) <= held:
        raise DataError(
            f"{len(periods)} period(s) are not enough: {window.validation_periods} for validation, "
            f"{window.test_periods} for test and at least 1 for training are needed"
        )
    periods = periods[-(held + window.train_periods) :]
    train, held_periods = periods[:-held], periods[-held:]
    validation = held_periods[: window.validation_periods]
    return Periods(tuple(train), tuple(validation), tuple(held_periods[window.validation_periods :]))


def split_by_time(times: TimeArray, validation_from: np.datetime64, test_from: np.datetime64 | None) -> IntArray:
    """Split of each row (n,) int8: 0 before `validation_from`, 2 from `test_from` on, else 1."""
    split = (times >= validation_from).astype(np.int8)
    return split if test_from is None else split + (times >= test_from)


def split_by_hash(key: Columns, window: Window, seed: int) -> IntArray:
    """Split of each row (n,) int8, fixed by its key and the seed: a row never changes sides when others come."""
    place = row_hash(key, seed)
    return (place >= 1 - window.test_share - window.validation_share).astype(np.int8) + (place >= 1 - window.test_share)


class Evenly:
    """Chooses an even share of rows that come in batches."""

    def __init__(self, share: float) -> None:
        self._share, self._count = min(share, 1.0), 0

    def choose(self, count: int) -> BoolArray:
        """Whether each of the next rows (count,) is chosen."""
        steps = np.ceil(np.arange(self._count, self._count + count + 1) * self._share)  # the first one always is
        self._count += count
        is_chosen: BoolArray = steps[1:] > steps[:-1]
        return is_chosen
