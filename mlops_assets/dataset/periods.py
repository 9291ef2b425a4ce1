"""Arithmetic of months written `YYYY-MM`; such texts sort in time order."""

from datetime import date, datetime


def month_of(day: date) -> str:
    """The month that a day or a moment lies in."""
    return f"{day.year:04d}-{day.month:02d}"


def month_start(month: str) -> datetime:
    """The first moment of a month."""
    return datetime(int(month[:4]), int(month[5:]), 1)


def month_end(month: str) -> datetime:
    """The first moment after a month."""
    start = month_start(month)
    return start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)


def months_between(first: str, last: str) -> list[str]:
    """All months from `first` to `last`, both included; none where `last` lies before `first`."""
    months = []
    while first <= last:
        months.append(first)
        first = month_of(month_end(first))
    return months


def month_after(month: str) -> str:
    return month_of(month_end(month))
