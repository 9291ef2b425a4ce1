"""Names and numbers as the form shows them to people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlops_assets.core.features.signature import Input
    from mlops_assets.dataset import DatasetSpec

MINUS = "\N{MINUS SIGN}"
_DIGITS = 3  # that tell an interval's ends apart
_MOST_DECIMALS = 6


def words(name: str) -> str:
    """An alias, or several joined to a name, as words."""
    return name.replace("_", " ")


def label(name: str) -> str:
    text = words(name)
    return text[:1].upper() + text[1:]


def target_name(spec: DatasetSpec) -> str:
    """What is predicted, in words."""
    return words(spec.target.column) if spec.target.column else spec.target.unit or "the target"


def decimals(span: float) -> int:
    """Decimals with which values that differ by `span` are shown."""
    if not math.isfinite(span) or span <= 0:
        return 2
    return min(_MOST_DECIMALS, max(0, _DIGITS - 1 - math.floor(math.log10(span))))


def number(value: float, places: int) -> str:
    return f"{round(value, places) + 0.0:,.{places}f}".replace("-", MINUS)  # -0.0 + 0.0 is 0.0


def signed(value: float, places: int) -> str:
    """A change with its sign, which one that rounds to nothing has not."""
    text = number(value, places)
    return f"+{text}" if round(value, places) > 0 else text


def set_text(labels: Sequence[str], held: Sequence[str], coverage: float) -> str:
    """The classes of a set, and why the most probable, the first of the labels, is not among them."""
    text = f"{coverage:.0%} set: {', '.join(held)}"
    if labels[0] in held:
        return text
    return f"{text}; not {labels[0]}, because {coverage:.0%} of its rows are more clearly so"


def plain(value: float) -> str:
    """A number of the data: whole ones without decimals, others with up to six digits."""
    return f"{value:,.0f}" if value == round(value) else f"{value:,.6g}"


def range_text(item: Input) -> str:
    """The range of the training rows; empty where they had no value."""
    if item.low is None or item.high is None:
        return ""
    return f"{_end_text(item, item.low)} to {_end_text(item, item.high)}"


def _end_text(item: Input, end: float | str) -> str:
    if isinstance(end, str):
        return end[:10]  # the day of a time
    return f"{end:.0f}" if item.type == "integer" else plain(end)


def allowed(item: Input) -> str:
    """What a number may be by the dataset's rules, for one that is not."""
    limits = _limits(item)
    if item.is_clock and not limits:
        return "no clock shows that, as hours and minutes hhmm"
    return f"it may be {limits}" if limits else ""


def _limits(item: Input) -> str:
    if item.least is None or item.most is None:
        end = item.most if item.least is None else item.least
        return f"at {'most' if item.least is None else 'least'} {plain(end)}" if end is not None else ""
    return f"{plain(item.least)} to {plain(item.most)}"


def hint(item: Input) -> str:
    """What an input may be, and what the model has seen of it, for the line above its field."""
    if item.categories is not None:
        return f"{len(item.categories):,} known"
    parts = [f"may be {limits}"] if (limits := _limits(item)) else []
    parts += [f"seen: {range_text(item)}"] if item.low is not None else []
    if item.timezone:
        parts.append(f"clock of {item.timezone.rpartition('/')[2].replace('_', ' ')}")
    return ", ".join(parts)


def value_text(value: Any) -> str:
    """A value that a caller gave."""
    return str(value).replace("T", " ") if isinstance(value, str) and value[4:5] == "-" else str(value)
