"""What the columns of a table are: their types, how they are written, and whether they can be features."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

from mlops_assets.core.features.categories import is_free_text
from mlops_assets.dataset import Column
from mlops_assets.dataset.checks import RESERVED
from mlops_assets.errors import BadTable
from mlops_assets.sources import guesses
from mlops_assets.sources.normalise import joined
from mlops_assets.sources.values import MISSING, converter, is_text

if TYPE_CHECKING:
    import pyarrow as pa

Kind = Literal["integer", "number", "boolean", "text", "time"]
Writing = tuple[Kind, dict[str, Any], tuple[str, ...]]  # type, keys of the YAML that read it, what is not sure
FEWEST_ROWS = 10
SAMPLE = 100_000  # rows that are looked at, evenly spread
_MARKS = {"?", "-", "--", "---", ".", "..", "...", "*", "n.a.", "n/a.", "missing", "unknown", "not available", "#", "x"}
_MARKS |= {"nil", "#div/0!", "#ref!", "#value!", "#name?", "#num!", "#null!"}
_HOURS = ("hour", "hr", "hours", "time", "clock")
_RARE = 0.05  # of the rows, at most, hold words among numbers or times, of which there are few
_FEW_WORDS = 3
_SENTINELS = {-200.0, -99.0, -999.0, -9999.0, -99999.0, 999.0, 9999.0, 99999.0}
_LOOKED_AT = 500  # different values that a writing has to fit
_LONGEST_ALIAS = 40
_TIME_NAME = re.compile(r"time|date|day|month|stamp|epoch|period|(^|_)(at|ts|on)$")  # of aliases
_ID_NAME = re.compile(r"(^|[_\s.-])(id|uuid|guid|key|index|idx|rownames?|row|no|nr|number)$|^unnamed|^$|Id$|ID$")
_CODE_NAME = re.compile(r"(^|_)(id|code|zip|zone|type|class|kind|category|group|region|store|shop)(_|$)", re.IGNORECASE)


@dataclass(frozen=True)
class Seen:
    """A column: `name` in the table, type, keys of the YAML that read it, and its typed values.

    `left_out`: why it is no feature. `notes`: what people should look at.
    """

    name: str
    alias: str
    kind: Kind
    values: pa.ChunkedArray
    distinct: int
    missing: float
    keys: dict[str, Any] = field(default_factory=dict)
    left_out: str = ""
    notes: tuple[str, ...] = ()

    @property
    def is_category(self) -> bool:
        return self.kind == "text" or (self.kind == "integer" and bool(_CODE_NAME.search(self.alias)))

    @property
    def is_number(self) -> bool:
        return self.kind in ("integer", "number", "boolean")


def profile(table: pa.Table, *, joins: bool = True) -> list[Seen]:
    """All columns, in their order; `joins`: parts of a time in several columns are made one.

    Raises BadTable where there are no rows, or two columns of one name.
    """
    import pyarrow as pa

    bare = [name.strip() for name in table.column_names]
    if twice := next((name for name in bare if bare.count(name) > 1), None):
        raise BadTable(f"{bare.count(twice)} columns are called '{twice}': rename one in the table")
    if table.num_rows < FEWEST_ROWS:
        rows = f"{table.num_rows} row(s), too few to learn from" if table.num_rows else "no rows"
        raise BadTable(f"the table has {rows}")
    if table.num_rows > SAMPLE:
        step = table.num_rows / SAMPLE
        table = table.take(pa.array([int(number * step) for number in range(SAMPLE)]))
    aliases: list[str] = []
    for name in table.column_names:
        aliases.append(_alias(name, aliases))
    seen = [
        _seen(name, alias, table.column(n))
        for n, (name, alias) in enumerate(zip(table.column_names, aliases, strict=True))
    ]
    raw = dict(zip(table.column_names, table.columns, strict=True))
    seen = _with_one_decimal_mark(seen, raw)
    return _joined(seen, raw) if joins else seen


def _with_one_decimal_mark(columns: list[Seen], raw: Mapping[str, pa.ChunkedArray]) -> list[Seen]:
    """With 1,250 read as the other columns of the table are, where these have decimal commas."""
    import pyarrow as pa

    if not any(column.keys.get("decimal") == "," for column in columns):
        return columns
    agreed = []
    for column in columns:
        keys = {key: value for key, value in column.keys.items() if key != "thousands"} | {"decimal": ","}
        values = None
        if column.keys.get("thousands") == ",":
            with suppress(pa.ArrowException):
                values = converter(Column.model_validate(keys))(raw[column.name])
        agreed.append(replace(column, kind="number", values=values, keys=keys, notes=()) if values else column)
    return agreed


def _joined(columns: list[Seen], raw: Mapping[str, pa.ChunkedArray]) -> list[Seen]:
    """With a time of the columns that hold its parts: year, month and day, or a date and a clock."""
    import pyarrow as pa

    by_alias = {column.alias: column for column in columns}
    parts = [by_alias[name] for name in ("year", "month", "day") if name in by_alias]
    formats = ["%Y", "%m", "%d"]
    if len(parts) < 3 or any(part.missing for part in parts):
        days = [c for c in columns if c.kind == "time" and is_text(raw[c.name]) and _is_day(c)]
        parts, formats = days[:1], [c.keys.get("format", "%Y-%m-%d") for c in days[:1]]
    if not parts:
        return columns
    texts = {
        c.name: raw[c.name].drop_null()
        for c in columns
        if c not in parts and (is_text(raw[c.name]) or c.alias in _HOURS)
    }
    clocks = {name: guesses.clock_format(_different(values)) for name, values in texts.items()}
    clock = next((c for c in columns if clocks.get(c.name) and (c.alias in _HOURS or c.kind == "text")), None)
    if clock:
        parts, formats = [*parts, clock], [*formats, clocks[clock.name] or ""]
    if len(parts) < 2:
        return columns
    keys = {"from": [part.name for part in parts], "format": " ".join(formats)}
    try:
        values = converter(Column.model_validate({"type": "time"} | keys))(joined([raw[part.name] for part in parts]))
    except pa.ArrowException:  # year, month and day of something else
        return columns
    alias = parts[0].alias if parts[0].kind == "time" else _alias("at", [*by_alias])
    distinct, missing = len(values.unique().drop_null()), values.null_count / len(values)
    time = Seen(parts[0].name, alias, "time", values, distinct, missing, keys)
    rest = [replace(c, left_out=f"it is a part of {alias}") if c in parts else c for c in columns if c.alias != alias]
    return [time, *rest]


def _is_day(column: Seen) -> bool:
    import pyarrow.compute as pc

    return not pc.any(pc.not_equal(pc.floor_temporal(column.values, unit="day"), column.values)).as_py()


def _different(values: pa.ChunkedArray) -> list[str]:
    return [str(text).strip() for text in values.unique().drop_null().slice(0, _LOOKED_AT).to_pylist()]


def _alias(name: str, taken: Sequence[str]) -> str:
    """A small name of letters, digits and `_` that begins with a letter, once."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())
    plain = unicodedata.normalize("NFKD", words.replace("ß", "ss")).encode("ascii", "ignore").decode()
    alias = re.sub(r"[^a-z0-9]+", "_", plain.lower()).strip("_")[:_LONGEST_ALIAS].strip("_") or "column"
    alias = alias if alias[0].isalpha() else f"c_{alias}"
    alias = f"{alias}_value" if alias in RESERVED else alias
    number = 2
    while alias in taken:
        alias, number = f"{re.sub(r'_[0-9]+$', '', alias)}_{number}", number + 1
    return alias


def _seen(name: str, alias: str, values: pa.ChunkedArray) -> Seen:
    import pyarrow as pa

    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    for most in (_LOOKED_AT, len(values)):  # a rare value may be written as none of those that were looked at first
        kind, keys, notes = _writing(alias, values, most)
        try:
            typed = converter(Column.model_validate({"type": kind} | keys))(values)
            break
        except pa.ArrowException:
            continue
    else:
        kind, keys, notes = "text", {}, ("most values look like another type, but not all",)
        typed = values.cast(pa.string())
    if kind == "text" and _TIME_NAME.search(alias) and not notes:
        notes = _no_time(typed)
    if kind in ("integer", "number") and not keys.get("missing_values") and (mark := sentinel(typed)) is not None:
        keys = keys | {"missing_values": [mark]}
        typed = converter(Column.model_validate({"type": kind} | keys))(values)
        notes = (*notes, f"{mark:g} stands far from all other values: read as missing")
    distinct = len(typed.unique().drop_null()) if hasattr(typed, "unique") else 0
    missing = typed.null_count / max(1, len(typed))
    seen = Seen(name, alias, kind, typed, distinct, missing, keys, notes=notes)
    return replace(seen, left_out=_why_left_out(seen))


def _no_time(texts: pa.ChunkedArray) -> tuple[str, ...]:
    """What to do about texts of a column that is called like a time, where they have digits of one."""
    import pyarrow.compute as pc

    dated = texts.filter(pc.fill_null(pc.match_substring_regex(texts, r"\d.*\D.*\d|\d{5}"), False))
    if 2 * len(dated) <= len(texts) or len(dated) < 2:
        return ()
    return (
        f"called like a time, but `{str(dated[0].as_py())[:30]}` is of no format known here: type time, and a format",
    )


def _writing(alias: str, values: pa.ChunkedArray, most: int) -> Writing:
    """The type of a column, the keys that read it, and what is not sure about them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = values.type
    if pa.types.is_boolean(kind):
        return "boolean", {}, ()
    if pa.types.is_integer(kind):
        found = _counted_time(alias, values)
        return ("time", found, ()) if found else ("integer", {}, ())
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        whole = pc.all(pc.equal(pc.floor(values.cast(pa.float64())), values.cast(pa.float64()))).as_py()
        return ("integer" if whole and values.null_count < len(values) else "number"), {}, ()
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return "time", {}, ()
    if not is_text(values):
        return "text", {}, ()
    texts = pc.unique(pc.utf8_trim_whitespace(values.cast(pa.string()))).drop_null().to_pylist()
    texts = [text for text in texts if text not in MISSING]
    marks = sorted(text for text in texts if text.lower() in _MARKS)
    bare = [text for text in texts if text not in marks]
    step = max(1, len(bare) // most)
    kind_of, keys, notes = _of_texts(alias, bare[::step], values)
    words = [text for text in bare if not any(map(str.isdigit, text))]
    if kind_of == "text" and 0 < len(words) <= _FEW_WORDS < len(bare) and _share(values, words) <= _RARE:
        rest = [text for text in bare if text not in words]
        kind_of, keys, notes = _of_texts(alias, rest[:: max(1, len(rest) // most)], values)
        if kind_of != "text":
            marks += words
            notes = (*notes, f"{', '.join(map(repr, words))}: rare among other values, so read as missing")
    if marks and kind_of in ("integer", "number", "time", "boolean"):
        keys = keys | {"missing_values": marks}
    elif marks and set(marks) <= {"?"}:
        keys = keys | {"missing_values": marks}
    if kind_of == "text" and any(
        text != text.strip() for text in pc.unique(values.cast(pa.string())).to_pylist() if text
    ):
        keys = keys | {"strip": [" "]}
    return kind_of, keys, notes


def _share(values: pa.ChunkedArray, texts: Sequence[str]) -> float:
    """The share of the rows that hold one of these texts."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = pc.is_in(pc.utf8_trim_whitespace(values.cast(pa.string())), value_set=pa.array(texts))
    return (pc.sum(found).as_py() or 0) / max(1, len(values))


def _of_texts(
    alias: str, texts: Sequence[str], values: pa.ChunkedArray
) -> tuple[Kind, dict[str, Any], tuple[str, ...]]:
    if not texts:
        return "text", {}, ()
    if all(map(guesses.is_iso_time, texts)):
        return "time", {}, ()
    if guesses.is_boolean(texts) and len(texts) == 2:
        return "boolean", {}, ()
    digits = all(map(str.isdigit, texts))
    zone = next((word for word in ("UTC", "GMT", "Z") if all(text.endswith(f" {word}") for text in texts)), None)
    if zone:
        kind, written, notes = _of_texts(alias, [text.removesuffix(zone).strip() for text in texts], values)
        return kind, {"strip": [zone]} | written, notes
    if _TIME_NAME.search(alias) and (unit := guesses.time_unit(texts)):
        return "time", {"unit": unit}, ()
    keys = guesses.number_keys(texts)
    is_day = digits and _TIME_NAME.search(alias) and all(map(guesses.is_compact_day, texts))
    if (keys is None or is_day) and (forms := _in_order(guesses.time_formats(texts), texts, values)):
        note = (f"also read by '{forms[1]}': is day or month first?",) if len(forms) > 1 else ()
        return "time", {"format": forms[0]}, note
    if keys is None:
        return "text", {}, ()
    if any(re.fullmatch(r"0\d+", text) for text in texts):
        return "text", {}, ("codes with leading zeros",)
    plain = guesses.plain_numbers(texts, keys)
    by_thousands = keys.get("thousands") in (",", ".") and "decimal" not in keys
    example = next((n for n, text in enumerate(texts) if by_thousands and "." not in text and text != plain[n]), None)
    notes = () if example is None else (f"{texts[example]} is read as {plain[example]}",)
    return ("integer" if all(map(_is_whole, plain)) else "number"), keys, notes


def _is_whole(plain: str) -> bool:
    """Whether a number is written as a whole one, as pandas does too where some are missing, and is no larger."""
    return bool(re.fullmatch(r"[+-]?\d{1,18}(\.0)?", plain))


def _in_order(forms: list[str], texts: Sequence[str], values: pa.ChunkedArray) -> list[str]:
    """Formats by which all texts can be read, first those by which the rows are in the order of time."""
    if len(forms) < 2:
        return forms
    rows = [text for text in values.slice(0, 2_000).to_pylist() if text and text.strip() in set(texts)]

    def disorder(form: str) -> int:
        times = [datetime.strptime(text.strip(), form) for text in rows]
        return sum(late < early for early, late in pairwise(times))

    return sorted(forms, key=disorder)


def _counted_time(alias: str, values: pa.ChunkedArray) -> dict[str, Any]:
    """The keys by which whole numbers are times: counts since 1970, or 20240131."""
    texts = [str(value) for value in values.unique().drop_null().slice(0, _LOOKED_AT).to_pylist()]
    kind, keys, _ = _of_texts(alias, texts, values.cast("string"))
    return keys if kind == "time" else {}


def sentinel(values: pa.ChunkedArray) -> float | None:
    """A number that people write for none, and that is as far from all others as these are from each other.

    None where there is none, or too few numbers to tell.
    """
    import numpy as np

    numbers = values.drop_null().to_numpy()
    if len(numbers) < 20:
        return None
    for mark in (float(numbers.min()), float(numbers.max())):
        rest = numbers[numbers != mark]
        if mark in _SENTINELS and len(rest) and (numbers == mark).mean() >= 0.001:
            spread = np.quantile(rest, 0.99) - np.quantile(rest, 0.01)
            if np.abs(rest - mark).min() > max(spread, 1) / 2:
                return mark
    return None


def _why_left_out(seen: Seen) -> str:
    import pyarrow.compute as pc

    rows = len(seen.values)
    filled = round(rows * (1 - seen.missing))
    if filled == 0:
        return "it is empty"
    if seen.distinct <= 1:
        return "it is the same in all rows"
    if seen.missing > 0.95:
        return f"it is empty in {seen.missing:.0%} of the rows"
    all_differ = seen.distinct >= 0.98 * filled and rows > 20
    if seen.kind == "integer" and all_differ and (_ID_NAME.search(seen.name) or _counts_up(seen.values)):
        return "an identifier: each row has its own"
    if seen.kind == "text":
        length = pc.mean(pc.utf8_length(seen.values)).as_py() or 0
        if is_free_text(length, seen.distinct):
            return f"long texts, {length:.0f} characters on average: no category"
        if all_differ or (seen.distinct > 0.5 * filled and seen.distinct > 1_000):
            return f"nearly each row has its own: {seen.distinct:,} values in {filled:,} rows"
    return ""


def _counts_up(values: pa.ChunkedArray) -> bool:
    import numpy as np

    numbers = values.drop_null().to_numpy()
    return bool(len(numbers) > 2 and (np.diff(numbers) == 1).mean() > 0.98)
