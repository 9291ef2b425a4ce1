"""What the columns of a table are: their types, how they are written, and whether they can be features."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

from mlops_assets.dataset import Column
from mlops_assets.dataset.checks import RESERVED
from mlops_assets.errors import BadTable
from mlops_assets.sources import guesses
from mlops_assets.sources.values import MISSING, converter, is_text

if TYPE_CHECKING:
    import pyarrow as pa

Kind = Literal["integer", "number", "boolean", "text", "time"]
SAMPLE = 100_000  # rows that are looked at, evenly spread
_MARKS = {"?", "-", "--", ".", "*", "n.a.", "n/a.", "missing", "unknown", "#", "x"}
_SENTINELS = {-200.0, -99.0, -999.0, -9999.0, -99999.0, 999.0, 9999.0, 99999.0}
_LOOKED_AT = 500  # different values that a writing has to fit
_LONG = 60  # characters of an average text that is no category
_TIME_NAME = re.compile(r"time|date|day|stamp|epoch|(^|_)(at|ts|on)$", re.IGNORECASE)
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


def profile(table: pa.Table) -> list[Seen]:
    """All columns, in their order. Raises BadTable where there are no rows, or two columns of one name."""
    import pyarrow as pa

    bare = [name.strip() for name in table.column_names]
    if twice := next((name for name in bare if bare.count(name) > 1), None):
        raise BadTable(f"{bare.count(twice)} columns are called '{twice}': rename one in the table")
    if not table.num_rows:
        raise BadTable("the table has no rows")
    if table.num_rows > SAMPLE:
        step = table.num_rows / SAMPLE
        table = table.take(pa.array([int(number * step) for number in range(SAMPLE)]))
    aliases: list[str] = []
    for name in table.column_names:
        aliases.append(_alias(name, aliases))
    return [
        _seen(name, alias, table.column(n))
        for n, (name, alias) in enumerate(zip(table.column_names, aliases, strict=True))
    ]


def _alias(name: str, taken: Sequence[str]) -> str:
    """A small name of letters, digits and `_` that begins with a letter, once."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())
    alias = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_") or "column"
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
        kind, keys, notes = _writing(name, values, most)
        try:
            typed = converter(Column.model_validate({"type": kind} | keys))(values)
            break
        except pa.ArrowException:
            continue
    else:
        kind, keys, notes = "text", {}, ("most values look like another type, but not all",)
        typed = values.cast(pa.string())
    if kind in ("integer", "number") and not keys.get("missing_values") and (mark := _sentinel(typed)) is not None:
        keys = keys | {"missing_values": [mark]}
        typed = converter(Column.model_validate({"type": kind} | keys))(values)
        notes = (*notes, f"{mark:g} stands far from all other values: read as missing")
    distinct = len(typed.unique().drop_null()) if hasattr(typed, "unique") else 0
    missing = typed.null_count / max(1, len(typed))
    seen = Seen(name, alias, kind, typed, distinct, missing, keys, notes=notes)
    return replace(seen, left_out=_why_left_out(seen))


def _writing(name: str, values: pa.ChunkedArray, most: int) -> tuple[Kind, dict[str, Any], tuple[str, ...]]:
    """The type of a column, the keys that read it, and what is not sure about them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = values.type
    if pa.types.is_boolean(kind):
        return "boolean", {}, ()
    if pa.types.is_integer(kind):
        return ("time", {"unit": unit}, ()) if (unit := _epoch(name, values)) else ("integer", {}, ())
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
    kind_of, keys, notes = _of_texts(name, bare[::step], values)
    if marks and kind_of in ("integer", "number", "time", "boolean"):
        keys = keys | {"missing_values": marks}
    elif marks and set(marks) <= {"?"}:
        keys = keys | {"missing_values": marks}
    if kind_of == "text" and any(
        text != text.strip() for text in pc.unique(values.cast(pa.string())).to_pylist() if text
    ):
        keys = keys | {"strip": [" "]}
    return kind_of, keys, notes


def _of_texts(name: str, texts: Sequence[str], values: pa.ChunkedArray) -> tuple[Kind, dict[str, Any], tuple[str, ...]]:
    if not texts:
        return "text", {}, ()
    if all(map(guesses.is_iso_time, texts)):
        return "time", {}, ()
    if guesses.is_boolean(texts) and len(texts) == 2:
        return "boolean", {}, ()
    digits = all(map(str.isdigit, texts))
    if _TIME_NAME.search(name) and (unit := guesses.time_unit(texts)):
        return "time", {"unit": unit}, ()
    keys = guesses.number_keys(texts)
    is_day = digits and _TIME_NAME.search(name) and all(len(text) == 8 for text in texts)
    if (keys is None or is_day) and (forms := _in_order(guesses.time_formats(texts), texts, values)):
        note = (f"also read by '{forms[1]}': is day or month first?",) if len(forms) > 1 else ()
        return "time", {"format": forms[0]}, note
    if keys is None:
        return "text", {}, ()
    if any(re.fullmatch(r"0\d+", text) for text in texts):
        return "text", {}, ("codes with leading zeros",)
    whole = all(map(str.isdigit, (text[-1] for text in texts))) and all(
        float(plain).is_integer() for plain in guesses.plain_numbers(texts, keys)
    )
    return ("integer" if whole else "number"), keys, ()


def _in_order(forms: list[str], texts: Sequence[str], values: pa.ChunkedArray) -> list[str]:
    """Formats by which all texts can be read, first those by which the rows are in the order of time."""
    if len(forms) < 2:
        return forms
    rows = [text for text in values.slice(0, 2_000).to_pylist() if text and text.strip() in set(texts)]

    def disorder(form: str) -> int:
        times = [datetime.strptime(text.strip(), form) for text in rows]
        return sum(late < early for early, late in pairwise(times))

    return sorted(forms, key=disorder)


def _epoch(name: str, values: pa.ChunkedArray) -> str | None:
    if not _TIME_NAME.search(name):
        return None
    return guesses.time_unit([str(value) for value in values.drop_null().slice(0, _LOOKED_AT).to_pylist()] or ["?"])


def _sentinel(values: pa.ChunkedArray) -> float | None:
    """A number that people write for none, and that is as far from all others as these are from each other."""
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
        if length > _LONG and seen.distinct > 100:
            return f"long texts, {length:.0f} characters on average: no category"
        if all_differ or (seen.distinct > 0.5 * filled and seen.distinct > 1_000):
            return f"nearly each row has its own: {seen.distinct:,} values in {filled:,} rows"
    return ""


def _counts_up(values: pa.ChunkedArray) -> bool:
    import numpy as np

    numbers = values.drop_null().to_numpy()
    return bool(len(numbers) > 2 and (np.diff(numbers) == 1).mean() > 0.98)
