"""Effect sizes: how far two samples of one variable lie apart, and from where on that counts.

With 60,000 rows every p-value is small, so limits are set on the size of an effect, and all by one convention: a PSI
of 0.1, which credit scoring takes for the line between no change and some (Siddiqi, 2006). Between two normal
distributions PSI is the square of the distance of their means in standard deviations, so the line is a distance of
0.32; by that distance the Kolmogorov-Smirnov distance is 0.125, and Cramér's V is 0.16. What chance adds once in 1,000
samples of this size comes on top, so that an effect that counts is at least as large as the convention says.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlops_assets.core.columns import label
from mlops_assets.core.types import Array, BoolArray, FloatArray, IntArray

PSI_LIMIT, KS_LIMIT, V_LIMIT = 0.1, 0.125, 0.16
BINS = 10
# Cramér's V is large where a twentieth of the rows has come or gone; categories that are named weigh less.
SHARE_LIMIT = 0.01
# A bias of 0.46 standard deviations raises the RMSE by a tenth: sqrt(1 + 0.46 ** 2) is 1.1.
BIAS_LIMIT = 0.46
SIGMAS = 3.09  # beyond so many standard deviations a normal value lies once in 1,000 times
KS_CHANCE = 1.95  # the same of the Kolmogorov distribution
RARE = 1_000
NAMED = 3  # categories in words


@dataclass(frozen=True)
class Effect:
    """One measure of a change: its value, the limit at which it counts, and in words what moved."""

    measure: str
    value: float
    limit: float
    words: str

    @property
    def counts(self) -> bool:
        return self.value >= self.limit

    @property
    def strength(self) -> float:
        """The value in units of its limit, to compare different measures: 1 and more counts."""
        return self.value / self.limit


def number_effects(reference: FloatArray, current: FloatArray) -> tuple[Effect, ...]:
    """PSI, Kolmogorov-Smirnov distance and missing values of two samples, (n,) and (m,) float64 with NaN."""
    missing = _missing(np.isnan(reference), np.isnan(current))
    reference, current = np.sort(reference[~np.isnan(reference)]), np.sort(current[~np.isnan(current)])
    if not len(reference) or not len(current):
        return (missing,)
    words = f"median {np.median(reference):.4g} → {np.median(current):.4g}"
    return psi(reference, current, words), kolmogorov_smirnov(reference, current, words), missing


def category_effects(reference: Array, current: Array) -> tuple[Effect, ...]:
    """Cramér's V, new, vanished and missing categories of two samples, (n,) and (m,) of numbers or objects."""
    import pandas as pd

    codes, labels = pd.factorize(np.concatenate([reference, current]))
    before, after = codes[: len(reference)], codes[len(reference) :]
    missing = _missing(before < 0, after < 0)
    old = np.bincount(before[before >= 0], minlength=len(labels))
    new = np.bincount(after[after >= 0], minlength=len(labels))
    if not old.any() or not new.any():
        return (missing,)
    return _moved(old, new, labels), _appeared(old, new, labels), _vanished(old, new, labels), missing


def psi(reference: FloatArray, current: FloatArray, words: str = "") -> Effect:
    """Population stability index over bins with a tenth of the reference in each; equal values share a bin.

    Half a row is added to each bin, so that an empty one has a logarithm. By chance alone it is a chi-square times
    the sum of both samples' 1/n (Yurdakul and Naranjo, 2020).
    """
    edges = np.unique(np.quantile(reference, np.arange(1, BINS) / BINS))
    bins = len(edges) + 1
    old, new = (np.bincount(edges.searchsorted(x), minlength=bins) for x in (reference, current))
    a, b = (old + 0.5) / (old.sum() + bins / 2), (new + 0.5) / (new.sum() + bins / 2)
    chance = _spread(len(reference), len(current)) * _chi_square(bins - 1)
    return Effect("PSI", float(((b - a) * np.log(b / a)).sum()), PSI_LIMIT + chance, words)


def kolmogorov_smirnov(reference: FloatArray, current: FloatArray, words: str = "") -> Effect:
    """The largest difference of the cumulative distributions of two sorted samples: rows beyond one same value."""
    values = np.concatenate([reference, current])
    a, b = (np.searchsorted(x, values, side="right") / len(x) for x in (reference, current))
    chance = KS_CHANCE * _spread(len(reference), len(current)) ** 0.5
    return Effect("KS", float(np.abs(a - b).max()), KS_LIMIT + chance, words)


def share_effect(measure: str, before: tuple[int, int], after: tuple[int, int]) -> Effect:
    """Cramér's V of a share, given as (rows, of rows) before and after; neither may be of no rows."""
    (a, n), (b, m) = before, after
    value = cramers_v(np.array([a, n - a]), np.array([b, m - b]))
    return Effect(measure, value, _v_limit(n, m, 1), f"{a / n:.1%} → {b / m:.1%}")


def bias_effect(prediction: FloatArray, y: FloatArray) -> Effect:
    """How far predictions (n,) lie beside the truth on average, in standard deviations of their errors.

    Cohen's d of the errors against zero, which is what a model that has learnt these rows' like would leave.
    """
    error = y - prediction
    mean, deviation = float(error.mean()), float(error.std())
    value = abs(mean) / deviation if deviation else float(mean != 0)
    words = f"truth {mean:+.4g} beside the prediction, errors spread by {deviation:.4g}"
    return Effect("bias", value, BIAS_LIMIT + SIGMAS / len(y) ** 0.5, words)


def cramers_v(old: IntArray, new: IntArray) -> float:
    """Cramér's V of two rows of counts (k,), as if both had the same number of rows: 0 for equal shares, 1 for none
    in common. Left as it is, V shrinks where one sample is much larger than the other.
    """
    a, b = old / old.sum(), new / new.sum()
    present = (a + b) > 0
    return float(np.sqrt(((a - b)[present] ** 2 / (a + b)[present]).sum() / 2))


def _moved(old: IntArray, new: IntArray, labels: Array) -> Effect:
    a, b = old / old.sum(), new / new.sum()
    largest = np.argsort(-np.abs(b - a), kind="stable")[:NAMED]
    words = ", ".join(f"{label(labels[place])} {a[place]:.1%} → {b[place]:.1%}" for place in largest)
    return Effect("V", cramers_v(old, new), _v_limit(old.sum(), new.sum(), len(labels) - 1), words)


def _appeared(old: IntArray, new: IntArray, labels: Array) -> Effect:
    """The share of rows in categories that the reference lacks.

    A later sample of the same kind has about as large a share in new ones as the reference has in those that it met
    only once (Good, 1953); they come as a Poisson number of rows.
    """
    fresh = np.flatnonzero((old == 0) & (new > 0))
    expected = ((old == 1).sum() + 1) / old.sum() * new.sum()
    most = expected + SIGMAS * (expected**0.5 + 1)
    limit = SHARE_LIMIT + most / new.sum()
    return Effect("new", float(new[fresh].sum() / new.sum()), float(limit), _named(labels, fresh, new))


def _vanished(old: IntArray, new: IntArray, labels: Array) -> Effect:
    """The reference's share of rows in categories that are gone, of those that chance alone would not let go.

    Of a category with a share s, no row is among n with a probability of exp(-s n) at most.
    """
    limit = max(SHARE_LIMIT, np.log(RARE * (old > 0).sum()) / new.sum())
    gone = np.flatnonzero((new == 0) & (old >= limit * old.sum()))
    return Effect("gone", float(old[gone].sum() / old.sum()), float(limit), _named(labels, gone, old))


def _missing(before: BoolArray, after: BoolArray) -> Effect:
    return share_effect("missing", (int(before.sum()), len(before)), (int(after.sum()), len(after)))


def _named(labels: Array, places: IntArray, count: IntArray) -> str:
    """The categories with the most rows by name, and how many more there are."""
    largest = places[np.argsort(-count[places], kind="stable")]
    names = ", ".join(label(labels[place]) for place in largest[:NAMED])
    return f"{names} and {len(largest) - NAMED} more" if len(largest) > NAMED else names


def _v_limit(n: int, m: int, freedom: int) -> float:
    return float(np.sqrt(V_LIMIT**2 + _spread(n, m) * _chi_square(freedom) / 4))


def _spread(n: int, m: int) -> float:
    return 1 / n + 1 / m


def _chi_square(freedom: int) -> float:
    """What chi-square exceeds once in 1,000 times, by the approximation of Wilson and Hilferty (1931)."""
    if not freedom:
        return 0.0
    part = 2 / (9 * freedom)
    return float(freedom * (1 - part + SIGMAS * part**0.5) ** 3)
