"""Whether a challenger replaces the champion: only when it is provably better on the same rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mlops_assets.core.metrics import Interval, bootstrap_means, percentile_interval
from mlops_assets.core.types import FloatArray
from mlops_assets.errors import DataError

CHAMPION = "the champion"
FEWEST_ROWS = 30


@dataclass(frozen=True)
class Comparison:
    """The challenger against one rival on the same rows.

    `interval` and `differences` (one a bootstrap resample) are of the rival's RMSE minus the challenger's.
    """

    rival: str
    rmse: float
    gain: float
    interval: Interval
    differences: FloatArray = field(repr=False, compare=False)

    @property
    def won(self) -> bool:
        """The challenger is better beyond doubt: the whole interval lies above zero."""
        return self.interval.low > 0


@dataclass(frozen=True)
class Verdict:
    """What the gate says of a challenger, and why, in one sentence."""

    promote: bool
    reason: str
    rows: int
    challenger_rmse: float
    champion: Comparison | None
    baselines: tuple[Comparison, ...]

    @property
    def champion_rmse(self) -> float | None:
        return self.champion.rmse if self.champion else None

    @property
    def gain(self) -> float | None:
        """Share of the champion's RMSE that the challenger saves."""
        return self.champion.gain if self.champion else None

    @property
    def interval(self) -> Interval | None:
        """Interval of the champion's RMSE minus the challenger's."""
        return self.champion.interval if self.champion else None


def judge(
    challenger: FloatArray,
    champion: FloatArray | None,
    baselines: Mapping[str, FloatArray],
    *,
    confidence: float,
    minimum_gain: float,
    seed: int,
    resamples: int = 1000,
) -> Verdict:
    """Compare squared errors of shape (n,), row by row the same events.

    A challenger must beat every baseline and, where there is one, the champion: the paired bootstrap interval
    of the RMSE difference lies above zero, and it gains at least `minimum_gain` of the champion's RMSE.
    An equal model is promoted with a probability of at most 1 - confidence.
    Raises DataError where errors are not finite or do not belong to the same rows.
    """
    rivals = {CHAMPION: champion} if champion is not None else {}
    rivals |= {f"the baseline '{name}'": errors for name, errors in baselines.items()}
    errors = _same_rows({"the challenger": challenger} | rivals)
    means = np.sqrt(bootstrap_means(errors, seed=seed, resamples=resamples))
    rmse, *rival_rmse = np.sqrt(errors.mean(axis=1)).tolist()
    comparisons = []
    for column, (rival, rival_error) in enumerate(zip(rivals, rival_rmse, strict=True), start=1):
        differences = means[:, column] - means[:, 0]
        gain = (rival_error - rmse) / rival_error if rival_error else 0.0
        interval = percentile_interval(differences, confidence)
        comparisons.append(Comparison(rival, rival_error, gain, interval, differences))
    rows = errors.shape[1]
    refusal = _refusal(rows, rmse, comparisons, minimum_gain, confidence)
    against_champion = comparisons[0] if champion is not None else None
    return Verdict(
        promote=refusal is None,
        reason=refusal or _approval(rows, rmse, comparisons, confidence),
        rows=rows,
        challenger_rmse=rmse,
        champion=against_champion,
        baselines=tuple(comparisons[1:] if against_champion else comparisons),
    )


def _same_rows(errors: Mapping[str, FloatArray]) -> FloatArray:
    rows = {name: len(values) for name, values in errors.items()}
    if len(set(rows.values())) > 1:
        counts = ", ".join(f"{name} has {count}" for name, count in rows.items())
        raise DataError(f"cannot compare models on different rows: {counts}")
    for name, values in errors.items():
        if bad := int((~np.isfinite(values)).sum()):
            raise DataError(f"{bad} of {len(values)} squared errors of {name} are not finite numbers")
    if not next(iter(rows.values())):
        raise DataError("cannot compare models without test rows")
    return np.stack([np.asarray(values, dtype=np.float64) for values in errors.values()])


def _refusal(
    rows: int, rmse: float, comparisons: Sequence[Comparison], minimum_gain: float, confidence: float
) -> str | None:
    if rows < FEWEST_ROWS:
        return f"Not promoted: {rows} test rows are too few to judge by (at least {FEWEST_ROWS} are needed)."
    for comparison in sorted(comparisons, key=_gain):
        if not comparison.won:
            return (
                f"Not promoted: {_versus(rmse, comparison)}; {_range(comparison, confidence)} does not lie above zero."
            )
        if comparison.rival == CHAMPION and comparison.gain < minimum_gain:
            return f"Not promoted: {_versus(rmse, comparison)}, which is less than the {minimum_gain:.1%} asked for."
    return None


def _approval(rows: int, rmse: float, comparisons: Sequence[Comparison], confidence: float) -> str:
    if not comparisons:
        return f"Promoted: there is no champion yet (RMSE {rmse:.4g} on {rows:,} rows)."
    comparison = comparisons[0]
    first = ""
    if comparison.rival != CHAMPION:
        comparison = min(comparisons, key=_gain)
        first = "there is no champion yet, and "
    sentence = f"{first}{_versus(rmse, comparison)} on {rows:,} rows"
    return f"Promoted: {sentence}; {_range(comparison, confidence)} lies above zero."


def _gain(comparison: Comparison) -> float:
    return comparison.gain


def _versus(rmse: float, comparison: Comparison) -> str:
    if not comparison.gain:
        return f"RMSE {rmse:.4g} is that of {comparison.rival}"
    word = "below" if comparison.gain > 0 else "above"
    return f"RMSE {rmse:.4g} is {abs(comparison.gain):.2%} {word} the {comparison.rmse:.4g} of {comparison.rival}"


def _range(comparison: Comparison, confidence: float) -> str:
    low, high = comparison.interval.low, comparison.interval.high
    return f"the {confidence:.0%} interval of the difference, {low:.4g} to {high:.4g},"
