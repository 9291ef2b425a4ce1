"""Whether a challenger replaces the champion: only when it is provably better on the same rows.

Rows that move together, those of a day or of a group, count as one: `core/metrics.py` says how sure that leaves us.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mlops_assets.core.metrics import FEWEST_CLUSTERS, Clusters, Estimate, Interval, estimate
from mlops_assets.core.targets.metrics import RMSE, Metric
from mlops_assets.core.types import BoolArray, FloatArray
from mlops_assets.errors import DataError

CHAMPION = "the champion"
FEWEST_ROWS = 30
POWER = 0.8  # with which a gain is said to have been visible
DRAWN = 400  # points of a distribution, for a plot


@dataclass(frozen=True)
class Comparison:
    """The challenger against one rival on the same rows: `difference` is the rival's metric minus the challenger's."""

    rival: str
    loss: float
    gain: float
    difference: Estimate = field(repr=False)
    confidence: float

    @property
    def interval(self) -> Interval:
        return self.difference.interval(self.confidence)

    @property
    def won(self) -> bool:
        """The challenger is better beyond doubt: the whole interval lies above zero."""
        return self.interval.low > 0

    @property
    def lost(self) -> bool:
        """The challenger is worse beyond doubt."""
        return self.interval.high < 0

    @property
    def smallest_visible_gain(self) -> float:
        """The share of the rival's loss that is seen in four of five tries on such rows."""
        needed = self.difference.reach((1 + self.confidence) / 2) + self.difference.reach(POWER)
        return needed / self.loss if self.loss else 0.0

    @property
    def distribution(self) -> FloatArray:
        """What the difference could be, as evenly likely values, for a plot."""
        quantiles = (np.arange(DRAWN) + 0.5) / DRAWN
        return np.array([self.difference.value + self.difference.reach(quantile) for quantile in quantiles])


@dataclass(frozen=True)
class Slice:
    """A part of the rows: how good the challenger and the champion are there. None where it is too small to compare."""

    name: str
    rows: int
    challenger_loss: float
    champion_loss: float | None
    comparison: Comparison | None


@dataclass(frozen=True)
class Verdict:
    """What the gate says of a challenger, and why, in one or two sentences."""

    promote: bool
    reason: str
    rows: int
    challenger_loss: float
    champion: Comparison | None
    baselines: tuple[Comparison, ...]
    slices: tuple[Slice, ...] = ()

    @property
    def champion_loss(self) -> float | None:
        return self.champion.loss if self.champion else None

    @property
    def gain(self) -> float | None:
        """Share of the champion's loss that the challenger saves."""
        return self.champion.gain if self.champion else None

    @property
    def interval(self) -> Interval | None:
        """Interval of the champion's loss minus the challenger's."""
        return self.champion.interval if self.champion else None


def confidence_of_look(confidence: float, look: int) -> float:
    """The confidence asked for at the n-th look at the same rows.

    One of two tails promotes, so a look costs half of 1 - confidence. At the n-th it may cost 1/n² of that: however
    many looks there are, together they cost at most 0.83 of 1 - confidence, by the union bound (alpha spending: Lan
    and DeMets, 1983; the series as in Foster and Stine's alpha investing, 2008).
    """
    return 1 - (1 - confidence) / look**2


def judge(
    challenger: FloatArray,
    champion: FloatArray | None,
    baselines: Mapping[str, FloatArray],
    *,
    clusterings: Sequence[Clusters],
    confidence: float,
    minimum_gain: float,
    slices: Mapping[str, BoolArray] | None = None,
    unmet: Sequence[str] = (),
    look: int = 1,
    metric: Metric = RMSE,
) -> Verdict:
    """Compare losses by row, as `metric` counts them, of shape (n,), row by row the same events.

    A challenger must beat every baseline and, where there is one, the champion: the interval of the difference of the
    metric, by clusters, lies above zero, it gains at least `minimum_gain` of the champion's, and in none of the
    `slices` (masks (n,) by name) it is worse beyond doubt. However often it is tried, an equal model is promoted with a
    probability of at most 1 - confidence. `unmet` says in words which expectations it breaks; with one it is not
    promoted. Raises DataError where errors are not finite or not of the same rows.
    """
    rivals = {CHAMPION: champion} if champion is not None else {}
    rivals |= {f"the baseline '{name}'": losses for name, losses in baselines.items()}
    losses = _same_rows({"the challenger": challenger} | rivals)
    rows, loss = losses.shape[1], metric.of_losses(losses[0])
    level = confidence_of_look(confidence, look)
    if too_few := _too_few(rows, clusterings):
        return Verdict(False, too_few, rows, loss, None, ())
    comparisons = [
        _compare(metric, rival, losses[[0, number]], clusterings, level) for number, rival in enumerate(rivals, start=1)
    ]
    parts = _slices(metric, slices or {}, losses[: 1 + (champion is not None)], clusterings, confidence)
    refusal = _refusal(metric, loss, comparisons, minimum_gain, parts, unmet)
    against_champion = comparisons[0] if champion is not None else None
    sentences = [refusal or _approval(metric, rows, loss, comparisons)]
    if comparisons:
        sentences.append(_how_sure(against_champion or min(comparisons, key=_gain), look))
    return Verdict(
        promote=refusal is None,
        reason=" ".join(sentences),
        rows=rows,
        challenger_loss=loss,
        champion=against_champion,
        baselines=tuple(comparisons[1:] if against_champion else comparisons),
        slices=parts,
    )


def _compare(
    metric: Metric, rival: str, losses: FloatArray, clusterings: Sequence[Clusters], confidence: float
) -> Comparison:
    """Of losses (2, n): the challenger's and the rival's."""
    loss, rival_loss = metric.of_means(losses.mean(axis=1)).tolist()
    gain = (rival_loss - loss) / rival_loss if rival_loss else 0.0

    def difference(means: FloatArray) -> FloatArray:
        apart: FloatArray = metric.of_means(means[1]) - metric.of_means(means[0])
        return apart

    return Comparison(rival, rival_loss, gain, estimate(losses, clusterings, difference), confidence)


def _slices(
    metric: Metric,
    masks: Mapping[str, BoolArray],
    losses: FloatArray,
    clusterings: Sequence[Clusters],
    confidence: float,
) -> tuple[Slice, ...]:
    """Each part of the rows. That one of many is worse by chance must be no likelier than that one alone is."""
    level = 1 - (1 - confidence) / max(len(masks), 1)
    parts = []
    for name, mask in masks.items():
        count = int(np.count_nonzero(mask))
        if not count:
            continue
        chosen = losses[:, mask]
        within = [clusters.take(mask) for clusters in clusterings]
        enough = (
            len(losses) > 1 and count >= FEWEST_ROWS and any(len(clusters) >= FEWEST_CLUSTERS for clusters in within)
        )
        comparison = _compare(metric, CHAMPION, chosen, within, level) if enough else None
        loss = metric.of_means(chosen.mean(axis=1)).tolist()
        parts.append(Slice(name, count, loss[0], loss[1] if len(loss) > 1 else None, comparison))
    return tuple(parts)


def _same_rows(losses: Mapping[str, FloatArray]) -> FloatArray:
    rows = {name: len(values) for name, values in losses.items()}
    if len(set(rows.values())) > 1:
        counts = ", ".join(f"{name} has {count}" for name, count in rows.items())
        raise DataError(f"cannot compare models on different rows: {counts}")
    for name, values in losses.items():
        if bad := int((~np.isfinite(values)).sum()):
            raise DataError(f"{bad} of {len(values)} losses of {name} are not finite numbers")
    if not next(iter(rows.values())):
        raise DataError("cannot compare models without test rows")
    return np.stack([np.asarray(values, dtype=np.float64) for values in losses.values()])


def _too_few(rows: int, clusterings: Sequence[Clusters]) -> str | None:
    if rows < FEWEST_ROWS:
        return f"Not promoted: {rows} test rows are too few to judge by (at least {FEWEST_ROWS} are needed)."
    if all(len(clusters) < FEWEST_CLUSTERS for clusters in clusterings):
        return f"Not promoted: {' and '.join(map(str, clusterings))} are too few to judge by."
    return None


def _refusal(
    metric: Metric,
    loss: float,
    comparisons: Sequence[Comparison],
    minimum_gain: float,
    slices: Sequence[Slice],
    unmet: Sequence[str],
) -> str | None:
    for comparison in sorted(comparisons, key=_gain):
        if not comparison.won:
            return f"Not promoted: {_versus(metric, loss, comparison)}; {_range(comparison)} does not lie above zero."
        if comparison.rival == CHAMPION and comparison.gain < minimum_gain:
            asked = f"which is less than the {minimum_gain:.1%} asked for"
            return f"Not promoted: {_versus(metric, loss, comparison)}, {asked}."
    for part in slices:
        if part.comparison and part.comparison.lost:
            return (
                f"Not promoted: it gains overall, and loses where {part.name} ({part.rows:,} rows): "
                f"{_versus(metric, part.challenger_loss, part.comparison)}; {_range(part.comparison)} lies below zero."
            )
    if unmet:
        return f"Not promoted: it does not behave as expected: {'; '.join(unmet)}."
    return None


def _approval(metric: Metric, rows: int, loss: float, comparisons: Sequence[Comparison]) -> str:
    if not comparisons:
        return f"Promoted: there is no champion yet ({metric.label} {loss:.4g} on {rows:,} rows)."
    comparison = comparisons[0]
    first = ""
    if comparison.rival != CHAMPION:
        comparison = min(comparisons, key=_gain)
        first = "there is no champion yet, and "
    sentence = f"{first}{_versus(metric, loss, comparison)} on {rows:,} rows"
    return f"Promoted: {sentence}; {_range(comparison)} lies above zero."


def _how_sure(comparison: Comparison, look: int) -> str:
    """How many clusters there were, and what they could have shown."""
    again = f", at look {look} at the same rows" if look > 1 else ""
    visible = comparison.smallest_visible_gain
    clusters = comparison.difference.clusters
    return f"Judged by {clusters}{again}: a gain of {visible:.2%} or more would have been seen in four of five tries."


def _gain(comparison: Comparison) -> float:
    return comparison.gain


def _versus(metric: Metric, loss: float, comparison: Comparison) -> str:
    said = f"{metric.label} {loss:.4g} is"
    if not comparison.gain:
        return f"{said} that of {comparison.rival}"
    word = "below" if comparison.gain > 0 else "above"
    return f"{said} {abs(comparison.gain):.2%} {word} the {comparison.loss:.4g} of {comparison.rival}"


def _range(comparison: Comparison) -> str:
    low, high = comparison.interval.low, comparison.interval.high
    return f"the {100 * comparison.confidence:.4g}% interval of the difference, {low:.4g} to {high:.4g},"
