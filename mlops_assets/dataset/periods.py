"""Arithmetic of periods. A period is named by its start, as short as its kind allows.

`2024-01-31T05` is an hour, `2024-01-31` a day, `2024-01-29` (a Monday) a week, `2024-01` a month, `2024-04` a quarter
and `2024` a year. Such texts sort in time order, NumPy reads them, and they are the keys of Dagster's partitions. All
times are those of a wall clock.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal, TypeAlias

Every: TypeAlias = Literal["hour", "day", "week", "month", "quarter", "year"]
TO = "..."  # between the first and the last of periods in a row
_MONDAY = datetime(1, 1, 1)  # which it was; all lengths in hours are counted from it
_FIELD = re.compile(r"\{(\w+)\}")
_WEEK = re.compile(r"(\d{4})-W(\d{2})")
_QUARTER = re.compile(r"(\d{4})-Q([1-4])")


@dataclass(frozen=True)
class _Kind:
    """One length of periods: in months, or in hours where they are all as long."""

    form: str  # of a name, for `strftime`
    example: str
    cron: str  # when one begins
    uri: tuple[str, ...]  # each lists the fields of a URI that tell one from another
    months: int = 0
    hours: int = 0


_KINDS: dict[Every, _Kind] = {
    "hour": _Kind("%Y-%m-%dT%H", "2024-01-31T05", "0 * * * *", ("yyyy mm dd hh",), hours=1),
    "day": _Kind("%Y-%m-%d", "2024-01-31", "0 0 * * *", ("yyyy mm dd",), hours=24),
    "week": _Kind(
        "%Y-%m-%d", "2024-01-29 (a Monday) or 2024-W05", "0 0 * * 1", ("iso_yyyy ww", "yyyy mm dd"), hours=168
    ),
    "month": _Kind("%Y-%m", "2024-01", "0 0 1 * *", ("yyyy mm",), months=1),
    "quarter": _Kind("%Y-%m", "2024-04 (its start) or 2024-Q2", "0 0 1 1,4,7,10 *", ("yyyy q", "yyyy mm"), months=3),
    "year": _Kind("%Y", "2024", "0 0 1 1 *", ("yyyy",), months=12),
}


@dataclass(frozen=True)
class Cadence:
    """The periods of a dataset: one begins where the one before it ends."""

    every: Every = "month"

    @property
    def form(self) -> str:
        """How names are written, for `strftime` and `strptime`."""
        return self._kind.form

    @property
    def cron(self) -> str:
        """When a period begins."""
        return self._kind.cron

    def of(self, moment: date) -> str:
        """The period that a day or a moment lies in."""
        return self._name(self._start(self._number(_as_datetime(moment))))

    def start(self, period: str) -> datetime:
        """The first moment of a period."""
        return datetime.strptime(period, self._kind.form)

    def end(self, period: str) -> datetime:
        """The first moment after a period."""
        return self._start(self._number(self.start(period)) + 1)

    def after(self, period: str) -> str:
        return self._name(self.end(period))

    def between(self, first: str, last: str) -> list[str]:
        """All periods from `first` to `last`, both included; none where `last` lies before `first`."""
        numbers = range(self._number(self.start(first)), self._number(self.start(last)) + 1)
        return [self._name(self._start(number)) for number in numbers]

    def months_in(self, period: str) -> list[int]:
        """The months of the year, from 1, that a period has days in."""
        start, last = self.start(period), self.end(period) - timedelta(microseconds=1)
        count = (last.year - start.year) * 12 + last.month - start.month + 1
        return [(start.month - 1 + number) % 12 + 1 for number in range(count)]

    def missing(self, periods: Iterable[str]) -> list[str]:
        """Those that are not there between the first and the last of some."""
        known = sorted(set(periods))
        return [period for period in self.between(known[0], known[-1]) if period not in known] if known else []

    def year_before(self, period: str) -> str | None:
        """The period of the same season: a year before, on the same day of the week; a year has none."""
        if self.every == "year":
            return None
        back = 12 // self._kind.months if self._kind.months else 52 * 168 // self._kind.hours
        return self._name(self._start(self._number(self.start(period)) - back))

    def read(self, text: str) -> str:
        """The name of the period that a text means: a name, or a week or quarter as ISO 8601 and people write them.

        Raises ValueError that shows the text.
        """
        try:
            if self.every == "week" and (match := _WEEK.fullmatch(text)):
                return self._name(datetime.fromisocalendar(int(match[1]), int(match[2]), 1))
            if self.every == "quarter" and (match := _QUARTER.fullmatch(text)):
                return self._name(datetime(int(match[1]), 3 * int(match[2]) - 2, 1))
            start = self.start(text)
        except ValueError:
            start = None
        if start is None or self._name(start) != text or self.of(start) != text:
            raise ValueError(f"'{text}' is no {self.every}: write one as {self._kind.example}")
        return text

    def filled(self, uri: str, period: str) -> str:
        """A URI with the name of a period in place of `{period}`, and parts of its start for `{yyyy}` and the like."""
        fields = _fields(self.start(period)) | {"period": period}
        return _FIELD.sub(lambda match: fields.get(match[1], match[0]), uri)

    def lacks(self, uri: str) -> str | None:
        """The fields that a URI with some of them lacks to tell one period from another."""
        given = set(fields_in(uri))
        ways = [set(way.split()) for way in self._kind.uri]
        if "period" in given or any(way <= given for way in ways):
            return None
        return ", ".join(f"{{{name}}}" for name in self._kind.uri[0].split() if name not in given)

    @property
    def _kind(self) -> _Kind:
        return _KINDS[self.every]

    def _number(self, moment: datetime) -> int:
        if months := self._kind.months:
            return (moment.year * 12 + moment.month - 1) // months
        return (moment - _MONDAY) // timedelta(hours=self._kind.hours)

    def _start(self, number: int) -> datetime:
        if months := self._kind.months:
            return datetime(number * months // 12, number * months % 12 + 1, 1)
        return _MONDAY + number * timedelta(hours=self._kind.hours)

    def _name(self, start: datetime) -> str:
        return f"{start.year:04d}{start.strftime(self._kind.form[2:])}"


MONTHS = Cadence()


def fields_in(uri: str) -> list[str]:
    """The fields of a period that a URI holds, in order."""
    known = _fields(_MONDAY).keys() | {"period"}
    return [name for name in _FIELD.findall(uri) if name in known]


def _fields(start: datetime) -> dict[str, str]:
    iso_year, week, _ = start.isocalendar()
    return {
        "yyyy": f"{start.year:04d}",
        "mm": f"{start.month:02d}",
        "dd": f"{start.day:02d}",
        "hh": f"{start.hour:02d}",
        "q": str((start.month + 2) // 3),
        "ww": f"{week:02d}",
        "iso_yyyy": f"{iso_year:04d}",
    }


def _as_datetime(day: date) -> datetime:
    return day.replace(tzinfo=None) if isinstance(day, datetime) else datetime(day.year, day.month, day.day)
