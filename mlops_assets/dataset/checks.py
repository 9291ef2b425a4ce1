"""What does not fit together in a dataset's spec: each problem in words, with the place in the YAML first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mlops_assets.dataset.dialect import TimeUnit
from mlops_assets.dataset.parts import (
    DERIVATIONS,
    BoundsExpectation,
    FilesSource,
    InputKind,
    MonotoneExpectation,
    Range,
    SqlSource,
    name_and_width,
)
from mlops_assets.dataset.periods import fields_in
from mlops_assets.dataset.target import Target

if TYPE_CHECKING:
    from mlops_assets.dataset.spec import DatasetSpec

RESERVED = ("target", "row_id")  # columns of clean data
_TYPES: dict[InputKind, tuple[str, ...]] = {
    "time": ("time",),
    "number": ("number", "integer"),
    "category": ("integer", "text"),
    "label": ("number", "integer", "text"),
}
_NAMES = {"time": "time (as in ISO 8601)", "integer": "whole number", "number": "number", "text": "text"}
Item = TypeVar("Item", bound=Hashable)


def problems(spec: DatasetSpec) -> Iterator[str]:
    """All problems of a spec, in the order of the YAML."""
    yield from _columns(spec)
    yield from _time(spec)
    yield from _target(spec)
    yield from _aliases(spec, "key", spec.key)
    yield from _rows(spec)
    yield from _features(spec)
    yield from _feature_names(spec)
    yield from _group_means(spec)
    yield from _monotone(spec)
    yield from _split(spec)
    yield from _gate(spec)
    yield from _expect(spec)
    yield from _example(spec)


def _columns(spec: DatasetSpec) -> Iterator[str]:
    for alias, column in spec.columns.items():
        if alias in RESERVED:
            yield f"columns.{alias}: the project uses this name itself; choose another alias"
        if column.timezone and column.type != "time":
            yield f"columns.{alias}: timezone is for type time"
        if column.timezone and not _is_zone(column.timezone):
            yield f"columns.{alias}: '{column.timezone}' is no time zone (expected one such as Europe/Berlin)"
        yield from _writing(spec, alias)
        if column.missing == "allow" and alias not in spec.inputs():
            yield f"columns.{alias}: missing is for inputs, and no feature is made of it"


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _writing(spec: DatasetSpec, alias: str) -> Iterator[str]:
    """How a column is written, and whether its type is written so."""
    column, where = spec.columns[alias], f"columns.{alias}"
    is_time, joins = column.type == "time", not isinstance(column.source_name, str | None)
    if column.format and not is_time:
        yield f"{where}: format is for type time"
    if is_time and column.unit not in (None, *get_args(TimeUnit)):
        yield f"{where}: the unit of a time is one of {', '.join(get_args(TimeUnit))}, not {column.unit}"
    if is_time and column.unit and column.format:
        yield f"{where}: give either format or unit"
    if (column.decimal or column.thousands) and column.type not in _TYPES["number"]:
        yield f"{where}: decimal and thousands are for numbers, and its type is {column.type}"
    if bool(column.true_words) != bool(column.false_words) or (column.true_words and column.type != "integer"):
        yield f"{where}: true_words and false_words are for type boolean"
    if both := {word.lower() for word in column.true_words} & {word.lower() for word in column.false_words}:
        yield f"{where}: '{sorted(both)[0]}' is both true and false"
    if joins and not (is_time and column.format):
        yield f"{where}: columns are joined to a time, and need a format such as '%Y-%m-%d %H:%M'"
    if isinstance(spec.source, SqlSource) and joins:
        yield f"{where}: a database joins columns itself: write it into source.query"
    if (
        isinstance(spec.source, SqlSource)
        and spec.time
        and alias == spec.time.column
        and (column.format or column.unit)
    ):
        yield f"{where}: a database has to compare its times: make them timestamps in source.query"


def _time(spec: DatasetSpec) -> Iterator[str]:
    time = spec.time
    if time:
        yield from _aliases(spec, "time.column", [time.column], "time")
        if time.last and time.last < time.first:
            yield "time: last lies before first"
    if not isinstance(spec.source, FilesSource) or not (named := fields_in(spec.source.uri)):
        return
    if time is None:
        yield f"source.uri holds {{{named[0]}}}, so time must be given"
    elif lacking := time.cadence.lacks(spec.source.uri):
        yield f"source.uri: every {time.every} is a file of its own, and {lacking} is not in the name"


def _target(spec: DatasetSpec) -> Iterator[str]:
    target = spec.target
    if target.kind is None and target.column in spec.columns and spec.columns[target.column].type == "text":
        yield (
            f"target: '{target.column}' is text, which is one of some classes: name the positive value by positive, "
            "in quotes, or all of them by classes"
        )
    else:
        yield from _aliases(spec, "target", target.columns, _target_takes(target))
    if target.column in spec.columns and target.has_classes:
        is_text = spec.columns[target.column].type == "text"
        if is_text and target.kind == "binary" and not isinstance(target.positive, str):
            yield f"target: '{target.column}' is text: name the positive value by positive, in quotes"
        if any(isinstance(value, str) != is_text for value in (*target.classes, target.positive) if value is not None):
            form = "texts, in quotes" if is_text else "numbers"
            yield f"target: classes and positive must be {form}, for the type of '{target.column}'"
    if spec.weights:
        yield from _aliases(spec, "weights", [spec.weights], "number")
        if spec.weights in (*target.columns, *spec.inputs()):
            yield f"weights: '{spec.weights}' is the target or an input; give a column of its own"
    outcome = target.columns[-1]
    if outcome in spec.inputs():
        yield f"features: '{outcome}' is known only after the event, because the target is made of it"


def _target_takes(target: Target) -> InputKind | None:
    """What the target may be made of; a class is a number or a text."""
    if target.minutes_between:
        return "time"
    return "label" if target.has_classes and target.above is None else "number"


def _gate(spec: DatasetSpec) -> Iterator[str]:
    for number, group in enumerate(spec.gate.groups):
        yield from _aliases(spec, f"gate.groups[{number}]", group)
    for number, entry in enumerate(spec.gate.slices):
        where = f"gate.slices[{number}]"
        if isinstance(entry, Range):
            yield from _aliases(spec, where, [entry.column], "number")
        else:
            yield from _aliases(spec, where, [entry], "category")


def _expect(spec: DatasetSpec) -> Iterator[str]:
    if spec.expect and spec.target.kind == "category":
        yield "expect: it is for numbers, counts and two classes; of several classes no one number is the answer"
    for number, expected in enumerate(spec.expect):
        if isinstance(expected, BoundsExpectation):
            continue
        where, alias = f"expect[{number}] ({expected.kind})", expected.column
        yield from _aliases(spec, where, [alias])
        if alias not in spec.columns:
            continue
        kind = spec.columns[alias].type
        if alias not in spec.inputs():
            yield f"{where}: '{alias}' is no input (inputs: {', '.join(spec.inputs())})"
        elif isinstance(expected, MonotoneExpectation) and (
            kind not in _TYPES["number"] or alias in spec.features.categories
        ):
            what = "a category" if alias in spec.features.categories else f"of type {kind}"
            yield f"{where}: '{alias}' is {what}, which has no direction: name a number, or use kind invariant"


def _split(spec: DatasetSpec) -> Iterator[str]:
    yield from _aliases(spec, "split.groups", spec.split.groups)
    for alias in _repeated(spec.split.groups):
        yield f"split.groups: {alias} is given twice"


def _example(spec: DatasetSpec) -> Iterator[str]:
    for alias, value in spec.example.items():
        if alias not in spec.inputs():
            yield f"example: {alias} is no input (inputs: {', '.join(spec.inputs())})"
        elif not _is_of_type(value, spec.columns[alias].type):
            yield f"example.{alias}: {value!r} is no {_NAMES[spec.columns[alias].type]}"


def _is_of_type(value: str | float, kind: str) -> bool:
    if not isinstance(value, str):
        return kind == "number" or (kind == "integer" and isinstance(value, int))
    try:
        return kind == "text" or (kind == "time" and bool(datetime.fromisoformat(value)))
    except ValueError:
        return False


def _rows(spec: DatasetSpec) -> Iterator[str]:
    for rule in spec.rows:
        where = f"rows ({rule.name})"
        yield from _aliases(spec, where, [rule.column])
        if rule.column not in spec.columns:
            continue
        kind = spec.columns[rule.column].type
        values = (*(rule.one_of or ()), *(rule.none_of or ()))
        if (rule.min is not None or rule.max is not None) and kind not in _TYPES["number"]:
            yield f"{where}: min and max are for numbers, and '{rule.column}' has type {kind}"
        if values and kind == "time":
            yield f"{where}: a column of type time can only be tested by not_null"
        elif any(isinstance(value, str) != (kind == "text") for value in values):
            form = "texts, in quotes" if kind == "text" else "numbers"
            yield f"{where}: the values of '{rule.column}' must be {form}, for its type is {kind}"


def _features(spec: DatasetSpec) -> Iterator[str]:
    features = spec.features
    columns = [alias for alias in features.numeric if alias not in features.derived]
    yield from _aliases(spec, "features.categorical", features.categorical, "category")
    yield from _aliases(spec, "features.numeric", columns, "number")
    yield from _aliases(spec, "features.calendar", features.calendar, "time")
    for name, derived in features.derived.items():
        yield from _aliases(spec, f"features.derived.{name}", derived.of, DERIVATIONS[derived.function][0])
    yield from _aliases(spec, "features.pairs", [alias for pair in features.pairs for alias in pair], "category")
    if not (features.categories or features.numbers or features.calendar_names):
        yield "features: none are given"


def _feature_names(spec: DatasetSpec) -> Iterator[str]:
    """A name that stands for two things would let one silently replace the other."""
    features = spec.features
    lists: dict[str, Sequence[str | tuple[str, ...]]] = {
        "features.categorical": features.categorical,
        "features.pairs": features.pairs,
        "group_means.keys": features.group_means.keys if features.group_means else (),
        **{f"features.calendar.{name}.parts": calendar.parts for name, calendar in features.calendar.items()},
    }
    for where, items in lists.items():
        for item in _repeated(items):
            yield f"{where}: {item if isinstance(item, str) else list(item)} is given twice"
    for name in features.derived:
        if name in spec.columns or name in RESERVED:
            yield f"features.derived: '{name}' is already the name of a column"
    for name in features.calendar_names:
        if name in spec.columns:
            yield f"features.calendar: its part '{name}' has the name of a column; choose another alias"
    for name in _repeated([*features.categories, *features.numbers, *features.calendar_names]):
        yield f"features: '{name}' is given as two features"


def _group_means(spec: DatasetSpec) -> Iterator[str]:
    features, means = spec.features, spec.features.group_means
    if not means:
        return
    for name, width in (name_and_width(token) for key in means.keys for token in key):
        where = f"features.group_means.keys: '{name}'"
        if name in features.categories:
            if width:
                yield f"{where} is a category, which takes no width"
        elif name in features.numbers:
            if not width:
                yield f"{where} is a number and needs the width of its steps, such as {name}/5"
        elif name not in features.calendar_names:
            names = ", ".join([*features.categories, *features.numbers, *features.calendar_names])
            yield f"{where} is not a feature (features: {names})"
    if means.relative_to is not None:
        if means.relative_to not in features.numbers:
            yield f"features.group_means.relative_to: '{means.relative_to}' is not a number feature"
        if not spec.target.keep or spec.target.keep[0] <= 0:
            yield "features.group_means.relative_to needs target.keep with a low end above 0"


def _monotone(spec: DatasetSpec) -> Iterator[str]:
    """A constraint is on one column of what a model sees: what else is made of the same input would get around it."""
    features, means, target = spec.features, spec.features.group_means, spec.target
    if spec.monotone and target.kind == "category":
        yield "monotone: it is for numbers, counts and two classes"
    if spec.monotone and target.metric in ("mae", "pinball"):
        yield f"monotone: not with metric {target.metric}, by which leaves are set anew after they were constrained"
    inputs = {name: set(features.derived[name].of if name in features.derived else [name]) for name in features.numbers}
    grouped = {name_and_width(token)[0] for key in (means.keys if means else ()) for token in key}
    grouped |= {means.relative_to} if means and means.relative_to else set()
    for name in spec.monotone:
        if name not in features.numbers:
            yield f"monotone: '{name}' is not a number feature (numbers: {', '.join(features.numbers)})"
            continue
        others = [other for other in features.numbers if other != name and inputs[other] & inputs[name]]
        others += [other for other in features.categories if other in inputs[name]]
        if others:
            yield f"monotone: {', '.join(others)} is made of what '{name}' is made of, and would change with it"
        if name in grouped:
            yield f"monotone: features.group_means has '{name}' too, whose means would change with it: take it out"


def _aliases(spec: DatasetSpec, where: str, aliases: Iterable[str], kind: InputKind | None = None) -> Iterator[str]:
    """Aliases that are no columns, or whose type does not fit `kind`."""
    for alias in aliases:
        if alias not in spec.columns:
            yield f"{where}: '{alias}' is not a column (columns: {', '.join(spec.columns)})"
        elif kind and spec.columns[alias].type not in _TYPES[kind]:
            types = " or ".join(_TYPES[kind])
            yield f"{where}: '{alias}' has type {spec.columns[alias].type}, which must be {types}"


def _repeated(items: Iterable[Item]) -> list[Item]:
    return [item for item, count in Counter(items).items() if count > 1]
