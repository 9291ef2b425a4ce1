"""Arithmetic of periods: calendar months written `YYYY-MM`; such texts sort in time order."""

from datetime import date, datetime


def period_of(day: date) -> str:
    """The period that a day or a moment lies in."""
    return f"{day.year:04d}-{day.month:02d}"


def period_start(period: str) -> datetime:
    """The first moment of a period."""
    return datetime(int(period[:4]), int(period[5:]), 1)


def period_end(period: str) -> datetime:
    """The first moment after a period."""
    start = period_start(period)
    return start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)


def periods_between(first: str, last: str) -> list[str]:
    """All periods from `first` to `last`, both included; none where `last` lies before `first`."""
    periods = []
    while first <= last:
        periods.append(first)
        first = period_of(period_end(first))
    return periods


def period_after(period: str) -> str:
    return period_of(period_end(period))
