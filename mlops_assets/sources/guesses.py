"""What values look like: the keys that would read them. Errors name them, `init` writes them; nothing reads by them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from itertools import product
from typing import Any

from mlops_assets.dataset.dialect import FALSE_WORDS, TRUE_WORDS
from mlops_assets.sources.values import MINUS, NEGATIVE

FIRST_YEAR, LAST_YEAR = 1900, 2100
_DATES = [
    mark.join(parts)
    for mark in "/.- "
    for parts in product(["%d", "%m", "%Y", "%y", "%b", "%B"], repeat=3)
    if "".join(parts).lower() in ("%d%m%y", "%m%d%y", "%y%m%d", "%d%b%y", "%b%d%y", "%y%b%d")
] + ["%Y%m%d", "%d%m%Y", "%m%d%Y", "%b %d, %Y", "%B %d, %Y", "%d%b%Y", "%Y-%j"]
_DATES += [f"{day}{date}" for day in ("%a ", "%a, ", "%A ", "%A, ") for date in ("%d %b %Y", "%d %B %Y", "%B %d, %Y")]
_MONTHS = ["%Y-%m", "%Y/%m", "%Y.%m", "%Y %m", "%m/%Y", "%m.%Y", "%m-%Y", "%Y%m", "%b %Y", "%B %Y", "%Y %b", "%Y %B"]
_MONTHS += ["%b-%Y", "%b-%y", "%B-%Y", "%Y-%b", "%b %y"]
_CLOCKS = ["", "%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%H.%M.%S", "%H.%M", "%I:%M %p", "%I:%M:%S %p", "%I:%M%p"]
_CLOCKS += ["%H", "%H%M", "%H%M%S"]
_ZONES = {"": ("",), "%z": ("+0100", "+01:00", "-01:00", "-0100", "Z"), " %z": (" +0100", " -0100")}
_EXAMPLE = datetime(2024, 12, 31, 13, 45, 30, 250_000)
_JOINS = (" ", "T", ", ", ":", "")
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}(:?\d{2})?)?)?")
_NUMBER = re.compile(r"[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf(inity)?)", re.IGNORECASE)
_COMPACT = re.compile(r"(%[dmyYHMSI]){2}|%j")  # parts of a time without a mark between: each has all its digits
_UNITS = {10: "s", 13: "ms", 16: "us", 19: "ns"}
_WRITINGS = ((".", None), (".", ","), (",", None), (",", "."), (".", "'"), (".", "\u2019"), (",", " "), (".", " "))
_GROUPED = r"[+-]?\d{1,3}(?:[%s]\d{2,4})*[%s]\d{3}"  # India counts in lakhs
_DAY = re.compile(r"\d{8}|\d{6}|\d{12}|\d{14}")


def is_iso_time(text: str) -> bool:
    return bool(_ISO.fullmatch(text))


def is_number(text: str) -> bool:
    return bool(_NUMBER.fullmatch(text))


def time_unit(texts: Sequence[str]) -> str | None:
    """The unit of counts since 1970, by their digits: of times from 2001 to 2100."""
    if not all(re.fullmatch(r"\d{10,19}(\.\d+)?", text) for text in texts):
        return None
    units = {_UNITS.get(len(text.partition(".")[0])) for text in texts}
    return units.pop() if len(units) == 1 else None


def time_formats(texts: Sequence[str]) -> list[str]:
    """Every format that reads all texts; more than one where day and month cannot be told apart."""
    if not texts:
        return []
    fitting = _formats_by_skeleton().get(_skeleton(texts[0]), [])
    return [form for form in fitting if all(_reads(form, text) for text in texts)]


@cache
def _formats_by_skeleton() -> dict[str, list[str]]:
    """Formats by what a text of them looks like: there are thousands, and each takes a while to try."""
    formats: dict[str, list[str]] = {}
    for date, clock in product(_DATES, _CLOCKS):
        for join in _JOINS if clock else ("",):
            if join == "" and clock and not (date == "%Y%m%d" and ":" not in clock):
                continue
            for zone, shapes in _ZONES.items() if clock else (("", ("",)),):
                form = f"{date}{join}{clock}"
                for shape in shapes:
                    alike = formats.setdefault(_skeleton(_EXAMPLE.strftime(form) + shape), [])
                    if form + zone not in alike:
                        alike.append(form + zone)
    for form in (*_MONTHS, *(f"{clock} {date}" for clock in _CLOCKS[1:3] for date in _DATES if len(date) == 8)):
        formats.setdefault(_skeleton(_EXAMPLE.strftime(form)), []).append(form)
    return formats


def _skeleton(text: str) -> str:
    """`0/0/0 0:0` for 31/12/2024 13:45."""
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "0", text))


def _reads(form: str, text: str) -> bool:
    try:
        time = datetime.strptime(text, form)
    except ValueError:
        return False
    return FIRST_YEAR <= time.year <= LAST_YEAR and not (_COMPACT.search(form) and time.strftime(form) != text)


def clock_format(texts: Sequence[str]) -> str | None:
    """The format of the time of a day that all texts have."""
    return next((form for form in _CLOCKS[1:] if texts and all(_is_clock(form, text) for text in texts)), None)


def _is_clock(form: str, text: str) -> bool:
    try:
        time = datetime.strptime(text, form)
    except ValueError:
        return False
    return not (_COMPACT.search(form) and time.strftime(form) != text)


def is_compact_day(text: str) -> bool:
    """Whether a text has as many digits as a month, a day or a moment without marks between."""
    return bool(_DAY.fullmatch(text))


def is_boolean(texts: Sequence[str]) -> bool:
    """Whether all are words for yes and no; digits are numbers."""
    words = {text.lower() for text in texts}
    return bool(words) and words <= {*TRUE_WORDS, *FALSE_WORDS} and not words <= {"0", "1"}


def number_keys(texts: Sequence[str]) -> dict[str, Any] | None:
    """The keys of a column that read all texts as numbers: empty where they are plain, None where none do."""
    if all(map(is_number, texts)):
        return {}
    for strip in _affixes(texts):
        bare = [_bare(text, strip) for text in texts]
        keys: dict[str, Any] = {"strip": list(strip)} if strip else {}
        for decimal, thousands in _WRITINGS:
            if all(is_number(plain) for plain in (_plain(text, decimal, thousands) for text in bare)):
                written = {"decimal": decimal if decimal == "," else None, "thousands": thousands}
                return keys | {key: value for key, value in written.items() if value}
    return None


def plain_numbers(texts: Sequence[str], keys: Mapping[str, Any]) -> list[str]:
    """The texts as Python writes numbers, by the keys that `number_keys` gave for them."""
    decimal, thousands, strip = keys.get("decimal", "."), keys.get("thousands"), keys.get("strip", ())
    return [_plain(_bare(text, strip), decimal, thousands) for text in texts]


def _affixes(texts: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """What may stand around numbers: nothing, or the same sign before or after each that has one."""
    yield ()
    texts = [_signed(text) for text in texts]
    befores = {re.match(r"[+-]?(EUR|USD|GBP|CHF|[^\w\s.,+()-]{0,4})", text)[1] for text in texts} - {""}  # type: ignore[index] # matches
    afters = {re.search(r"([^\d\s.,()-]{0,4})$", text)[1] for text in texts} - {""}  # type: ignore[index] # always matches
    if len(befores) <= 1 and len(afters) <= 1 and (befores or afters):
        yield (*befores, *afters)


def _signed(text: str) -> str:
    return re.sub(rf"^(?:{NEGATIVE})$", lambda found: f"-{found[1] or found[2]}", text.replace(MINUS, "-"))


def _bare(text: str, strip: Sequence[str]) -> str:
    text = _signed(text)
    for part in strip:
        text = re.sub(rf"^([+-]?){re.escape(part)}\s*", r"\1", text)
        text = re.sub(rf"\s*{re.escape(part)}$", "", text)
    return text


def _plain(text: str, decimal: str, thousands: str | None) -> str:
    text = re.sub("[\u00a0\u2009\u202f]", " ", text)
    if thousands and re.fullmatch(_GROUPED.replace("%s", re.escape(thousands)) + rf"(\{decimal}\d*)?", text):
        text = text.replace(thousands, "")
    return text.replace(".", "_").replace(",", ".") if decimal == "," else text


def hint(alias: str, kind: str, texts: Sequence[str], *, show: bool) -> str:
    """What to do about texts that are no values of a column's type, in words; `show`: whether these may be told."""
    where = f"columns.{alias}"
    if kind == "time":
        if unit := time_unit(texts):
            return f"set {where}.unit to {unit}, if they count from 1970"
        forms = " or ".join(f"'{form}'" for form in time_formats(texts)[:2])
        return f"set {where}.format" + (f" to {forms}" if forms else ", such as '%d/%m/%Y %H:%M'")
    if is_boolean(texts):
        return f"set {where}.type to boolean"
    if keys := number_keys(texts):
        words = ", ".join(f"{key} to {_written(value)}" for key, value in keys.items())
        return f"set in {where}: {words}"
    marks = sorted(set(texts))
    if show and len(marks) <= 3 and not any(map(_has_digit, marks)):
        listed = ", ".join(f"'{mark}'" for mark in marks)
        return f"set {where}.missing_values to [{listed}] if that means none, or correct {where}.type in the YAML"
    return f"correct the rows, or {where}.type in the YAML"


def _written(value: object) -> str:
    return f"[{', '.join(map(repr, value))}]" if isinstance(value, list) else repr(value)


def _has_digit(text: str) -> bool:
    return any(map(str.isdigit, text))
