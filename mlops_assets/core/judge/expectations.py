"""Whether a model behaves as its dataset expects (`expect` in the YAML), whatever the truth is.

Rows are asked again with one input changed and the others as they are: the tests of direction and of invariance of
CheckList (Ribeiro, Wu, Guestrin and Singh, 2020). Nothing is drawn: the same model and rows give the same findings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mlops_assets.core.columns import Columns, evenly_spread, label, length, take
from mlops_assets.core.features.signature import absent
from mlops_assets.core.metrics import ROUNDING
from mlops_assets.core.types import Array, FloatArray
from mlops_assets.dataset.parts import BoundsExpectation, Expectation, InvariantExpectation, MonotoneExpectation

if TYPE_CHECKING:
    from mlops_assets.core.model.model import Model

MOST_ROWS = 500  # asked, evenly spread
MOST_VALUES = 20  # that a row is asked with, evenly spread over those that are known


@dataclass(frozen=True)
class Finding:
    """How many of the rows break an expectation, and the one that does so most, with what it was answered."""

    expectation: Expectation
    rows: int
    broken: int
    example: str = ""
    row: dict[str, str] | None = None

    @property
    def share(self) -> float:
        return self.broken / self.rows

    @property
    def is_met(self) -> bool:
        return self.share <= self.expectation.share

    @property
    def blocks(self) -> bool:
        return self.expectation.blocking and not self.is_met

    @property
    def sentence(self) -> str:
        """Such as `monotone: size up is broken by 12% of 500 rows, one of which is answered 3.1 where ...`."""
        if not self.broken:
            return f"{self.expectation.title} is kept by {self.rows:,} rows"
        asked = f" (at most {self.expectation.share:.2%} may)" if self.expectation.share else ""
        return (
            f"{self.expectation.title} is broken by {self.share:.2%} of {self.rows:,} rows{asked}, one of which is "
            f"answered {self.example}"
        )


class _Excess(NamedTuple):
    """How far the answer to each row (n,) goes beyond what is expected, and that of a row in words."""

    by: FloatArray
    told: Callable[[int], str]


def examine(model: Model, columns: Columns, expectations: Iterable[Expectation]) -> tuple[Finding, ...]:
    """What a model of a number, or of two classes, keeps of what is expected, on MOST_ROWS of checked columns.

    There is at least one row.
    """
    rows = take(columns, evenly_spread(length(columns), MOST_ROWS))
    answers = model.predict_columns(rows)
    noise = ROUNDING * (1 + np.abs(answers))
    findings = []
    for expected in expectations:
        excess = _excess(model, columns, rows, answers, expected)
        broken, worst = int(np.count_nonzero(excess.by > noise)), int(excess.by.argmax())
        found = (excess.told(worst), {name: label(values[worst]) for name, values in rows.items()}) if broken else ()
        findings.append(Finding(expected, len(answers), broken, *found))
    return tuple(findings)


def _excess(model: Model, columns: Columns, rows: Columns, answers: FloatArray, expected: Expectation) -> _Excess:
    match expected:
        case MonotoneExpectation():
            values = _spread(_observed(columns[expected.column]))
            return _falls(expected, values, _asked_with(model, rows, expected.column, values))
        case InvariantExpectation():
            known = model.encoder.vocabularies.get(expected.column)
            values = _spread(known.values if known else _observed(columns[expected.column]))
            return _changes(expected, answers, rows, values, _asked_with(model, rows, expected.column, values))
        case BoundsExpectation():
            low, high = (
                end if end is not None else nowhere
                for end, nowhere in ((expected.low, -np.inf), (expected.high, np.inf))
            )
            return _Excess(np.maximum(low - answers, answers - high), lambda row: f"{answers[row]:.4g}")


def _falls(expected: MonotoneExpectation, values: Array, asked: FloatArray) -> _Excess:
    """Of answers (n, k) at ascending values (k,): how far each row falls from the highest before."""
    rising = asked if expected.direction == "up" else -asked
    falls = np.maximum.accumulate(rising, axis=1) - rising

    def told(row: int) -> str:
        last = int(falls[row].argmax())
        first = int(rising[row, : last + 1].argmax())
        one, other = ((f"{asked[row, place]:.4g}", label(values[place])) for place in (first, last))
        return f"{one[0]} where {expected.column} is {one[1]} and {other[0]} where it is {other[1]}"

    return _Excess(falls.max(axis=1, initial=0.0) - expected.tolerance, told)


def _changes(
    expected: InvariantExpectation, answers: FloatArray, rows: Columns, values: Array, asked: FloatArray
) -> _Excess:
    """Of answers (n, k) at other values (k,): how far each row goes from its own answer."""
    changes = np.abs(asked - answers[:, None])

    def told(row: int) -> str:
        other, own = int(changes[row].argmax()), label(rows[expected.column][row])
        return (
            f"{answers[row]:.4g} where {expected.column} is {own} and {asked[row, other]:.4g} where it is "
            f"{label(values[other])}"
        )

    return _Excess(changes.max(axis=1, initial=0.0) - expected.tolerance, told)


def _observed(values: Array) -> Array:
    """The different values of a column (n,), ascending."""
    return np.unique(values[~absent(values)])


def _spread(values: Array) -> Array:
    """At most MOST_VALUES of some (k,), the first and the last among them."""
    if len(values) <= MOST_VALUES:
        return values
    return values[np.linspace(0, len(values) - 1, MOST_VALUES).round().astype(np.int64)]


def _asked_with(model: Model, rows: Columns, alias: str, values: Array) -> FloatArray:
    """The answers (n, k) to rows with each of some values (k,) in place of their own."""
    count = length(rows)
    if not len(values):
        return np.empty((count, 0))
    several = take(rows, np.repeat(np.arange(count), len(values))) | {alias: np.tile(values, count)}
    return model.predict_columns(several).reshape(count, len(values))
