"""Which rows are trained on, tuned on and tested on: by time, or by a hash where there is no time.

Classes of a snapshot are held out in equal shares of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mlops_assets.core.columns import Columns, row_hash
from mlops_assets.core.targets.kinds import target_of
from mlops_assets.core.types import BoolArray, FloatArray, IntArray, TimeArray
from mlops_assets.dataset import SNAPSHOT, DatasetSpec, Window
from mlops_assets.dataset.periods import MONTHS, Cadence, Every
from mlops_assets.errors import DataError

SplitName = Literal["train", "validation", "test"]
MOST_STEPS = 60
TOLD = 5  # gaps by their name
# Of NumPy's times, how many make a period, and where the first one begins: 1970-01-01 was a Thursday.
_UNITS: dict[Every, tuple[str, int, int]] = {
    "hour": ("h", 1, 0),
    "day": ("D", 1, 0),
    "week": ("D", 7, 3),
    "month": ("M", 1, 0),
    "quarter": ("M", 3, 0),
    "year": ("Y", 1, 0),
}
SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class Periods:
    """Periods of each split, oldest first; for a snapshot all three are the snapshot.

    `gaps`: those between them that are not there, or could not be used.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    gaps: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.train + self.validation + self.test))

    @property
    def gap_note(self) -> str:
        """A sentence on the gaps, with a space before it; empty where there are none."""
        if not self.gaps:
            return ""
        more = f" and {len(self.gaps) - TOLD} more" if len(self.gaps) > TOLD else ""
        return f" Between its periods the window has a gap: {', '.join(self.gaps[:TOLD])}{more}."


def choose_periods(available: Sequence[str], window: Window, cadence: Cadence = MONTHS) -> Periods:
    """The newest periods for test, those before for validation, up to `train_periods` before for training.

    Raises DataError where not even one period is left to train on, or where one is missing and the window refuses gaps.
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
    validation, test = held_periods[: window.validation_periods], held_periods[window.validation_periods :]
    chosen = Periods(tuple(train), tuple(validation), tuple(test), tuple(cadence.missing(periods)))
    if chosen.gaps and window.gaps == "refuse":
        raise DataError(f"window.gaps is refuse.{chosen.gap_note} Mend the source, or set window.gaps to allow")
    return chosen


def period_numbers(times: TimeArray, every: Every) -> IntArray:
    """The number of the period that each time (n,) lies in; one that follows another has the next number."""
    unit, together, offset = _UNITS[every]
    numbers: IntArray = (times.astype(f"datetime64[{unit}]").astype(np.int64) + offset) // together
    return numbers


def walking_steps(times: Sequence[TimeArray], every: Every) -> list[IntArray]:
    """The step (n,) in which each row of some parts comes, where a window is walked through: 0 is the newest.

    A step is a period; of periods shorter than a month it is so many that there are not more than `MOST_STEPS`.
    """
    numbers = [period_numbers(part, every) for part in times]
    newest = max((int(part.max()) for part in numbers if len(part)), default=0)
    oldest = min((int(part.min()) for part in numbers if len(part)), default=0)
    together = -(-(newest - oldest + 1) // MOST_STEPS) if every in ("hour", "day", "week") else 1
    return [-((newest - part) // together) for part in numbers]


def split_by_time(times: TimeArray, validation_from: np.datetime64, test_from: np.datetime64 | None) -> IntArray:
    """Split of each row (n,) int8: 0 before `validation_from`, 2 from `test_from` on, else 1."""
    split = (times >= validation_from).astype(np.int8)
    return split if test_from is None else split + (times >= test_from)


def is_stratified(spec: DatasetSpec) -> bool:
    """Whether each class is divided by itself: in a snapshot whose rows need not stay together."""
    return not spec.time and not spec.split.groups and target_of(spec.target).is_classifier


@dataclass(frozen=True)
class Cutoffs:
    """From which hash on rows of each class are held out for validation (k,), and from which on for test (k,)."""

    validation: FloatArray
    test: FloatArray

    @classmethod
    def by_class(cls, places: FloatArray, codes: IntArray, window: Window) -> Cutoffs:
        """Those by which each class has the window's shares of its own rows: a stratified split.

        `places`: the hash of each row (n,); `codes`: its class. As rows come, a cutoff moves less and less, and only
        rows between where it was and where it is change sides.
        """
        counts = np.bincount(codes)
        ordered = np.split(places[np.lexsort((places, codes))], np.cumsum(counts)[:-1])

        def cutoffs(share: float) -> FloatArray:
            return np.array([np.append(own, 1.0)[len(own) - round(share * len(own))] for own in ordered])

        return cls(cutoffs(window.validation_share + window.test_share), cutoffs(window.test_share))

    def split(self, places: FloatArray, codes: IntArray) -> IntArray:
        """Split of each row (n,) int8."""
        return (places >= self.validation[codes]).astype(np.int8) + (places >= self.test[codes])


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
