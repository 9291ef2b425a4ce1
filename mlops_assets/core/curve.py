"""What a number alone explains of the target: the mean of its log along the log of the number, such as a distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BINS = 200


def log_number(number: np.ndarray) -> np.ndarray:
    """Its log, NaN where it is missing or not positive."""
    return np.log(number, out=np.full(len(number), np.nan), where=number > 0)


@dataclass(frozen=True)
class BinnedLog:
    """Distinct logs of a number and their bins: found once for all folds, since no target has a say in them."""

    logs: np.ndarray  # (distinct,) sorted; the last is NaN where some are
    bins: np.ndarray  # (distinct,) 0..size; `size` is that of NaN
    size: int
    place: np.ndarray  # (n,) of each row's log in `logs`

    @classmethod
    def of(cls, number: np.ndarray) -> BinnedLog:
        logs, place, count = np.unique(log_number(number), return_inverse=True, return_counts=True)
        known = ~np.isnan(logs)
        cuts = np.linspace(0, count[known].sum(), BINS + 1)[1:-1]
        bins = np.searchsorted(cuts, np.cumsum(count) - count / 2)
        return cls(logs, np.where(known, bins, BINS), BINS, place)


@dataclass(frozen=True)
class Curve:
    """Mean of the log target along a positive number: what the number alone explains."""

    x: np.ndarray  # (bins,) log of the number
    y: np.ndarray  # (bins,) mean log target
    default: float  # where the number is missing or not positive

    @classmethod
    def fit(cls, number: BinnedLog, rows: np.ndarray | slice, log_target: np.ndarray) -> Curve:
        place = number.place[rows]
        bins = number.bins[place]
        count = np.bincount(bins, minlength=number.size + 1)
        x, y = (np.bincount(bins, values, number.size + 1) for values in (number.logs[place], log_target))
        default = y[-1] / count[-1] if count[-1] else log_target.mean()
        filled = np.flatnonzero(count[:-1])
        return cls(x[filled] / count[filled], y[filled] / count[filled], float(default))

    def __call__(self, log_number: np.ndarray) -> np.ndarray:
        if not len(self.x):
            return np.full(len(log_number), self.default)
        return np.where(np.isnan(log_number), self.default, np.interp(log_number, self.x, self.y))
