"""How charts look: colours of series, texts of numbers, times and errors, what all figures share."""

from __future__ import annotations

import math
import re
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from logging import getLogger
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from mlops_assets.dashboards.spec import TimeRange
from mlops_assets.dashboards.theme import COLOURS, Scheme, template
from mlops_assets.errors import MlopsError

if TYPE_CHECKING:
    import pandas as pd

log = getLogger(__name__)
BLUE, ORANGE, GREEN, VIOLET, RED, TEAL, GREY = range(7)  # places in the palette
OTHERS, NONE = "others", "none"  # names of what is summed up, and of a missing value in a group
FURTHER = ("#a0743c", "#5a6fc0", "#9aa83a", "#b0588f")  # for a seventh series and more
MEANINGS = {
    GREEN: ("api", "succeeded", "passed", "kept", "fresh", "on", "launched", "promoted", "as before"),
    RED: ("failed", "stale", "drifted", "broken"),
    VIOLET: ("freshness",),
    TEAL: ("sensor",),
    ORANGE: ("retry", "warned", "stale soon", "cancelled", "rolled back", "as each year"),
    BLUE: ("schedule", "running", "champion", "candidate"),
    GREY: ("cli", "skipped", "queued", "off", "never started", "never made", "baseline", OTHERS, NONE),
}
COLOUR_OF = {name: colour for colour, names in MEANINGS.items() for name in names}
TRUNCATED, IN_LEGEND = 28, 16  # characters of a name on an axis, and in a legend
# How hours, days or weeks, and months or quarters are written on an axis of time, and where the pointer is.
_PERIODS = (
    (re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}"), "%H:%M\n%b %d", "%b %d, %Y, %H:%M"),
    (re.compile(r"\d{4}-\d{2}-\d{2}"), "%b %d\n%Y", "%b %d, %Y"),
    (re.compile(r"\d{4}-\d{2}"), "%b\n%Y", "%B %Y"),
)


@dataclass(frozen=True)
class View:
    """How a page is looked at. `known`: names that keep their colours on every chart, such as model types."""

    scheme: Scheme
    time_range: TimeRange
    now: datetime
    timezone: str = "UTC"
    unit: str = ""
    known: tuple[str, ...] = ()

    @property
    def palette(self) -> Sequence[str]:
        return COLOURS[self.scheme]

    def colours(self, names: Iterable[str]) -> dict[str, str]:
        """A colour for each series: what a name means, its own, or the next one that is free."""
        names = list(names)
        series = [colour for place, colour in enumerate(self.palette[:GREY]) if place != RED] + list(FURTHER)
        has_own = any(name in self.known for name in names)
        own = {name: series[place % len(series)] for place, name in enumerate(self.known) if has_own}
        meant = {self.palette[COLOUR_OF[name]] for name in names if name in COLOUR_OF}
        free = [colour for colour in series if colour not in {*own.values(), *meant}] or series
        colours, used = {}, 0
        for name in names:
            if name in own:
                colours[name] = own[name]
            elif name in COLOUR_OF:
                colours[name] = self.palette[COLOUR_OF[name]]
            else:
                colours[name] = free[used % len(free)]
                used += 1
        return colours


def base_figure(view: View, *, y_title: str = "", x_title: str = "") -> dict[str, Any]:
    """An empty figure with what all have in common."""
    layout = {
        "template": template(view.scheme),
        "xaxis": {"tickangle": 0} | ({"title": {"text": x_title}} if x_title else {}),
        "yaxis": {"title": {"text": y_title}} if y_title else {},
        "showlegend": False,
    }
    return {"data": [], "layout": layout}


def trace(kind: str, **values: Any) -> dict[str, Any]:
    """A trace from keywords, as Plotly's own functions take them: `line_color="red"` is the colour of its line."""
    made: dict[str, Any] = {"type": kind}
    for name, value in values.items():
        part, _, key = name.partition("_")
        made[part] = made.get(part, {}) | {key: value} if key else value
    return made


def listed(values: pd.Series) -> list:
    """Values as JSON has them: None where one is missing, times as text without an offset."""
    if values.dtype.kind == "M":
        return [None if value != value else value.isoformat() for value in values]
    return [None if _missing(value) else value for value in values.tolist()]


def decimals_of(values: Iterable[float]) -> int:
    """Digits after the point with which a column of numbers is written: some four that count."""
    sizes = [abs(value) for value in values if not _missing(value)]
    if not sizes or all(float(size).is_integer() for size in sizes):
        return 0
    return max(0, min(3, 3 - int(math.log10(max(*sizes, 1)))))


def period_axis(names: Sequence[str]) -> dict[str, Any] | None:
    """An axis of time for names of periods; None where they are other names, or years."""
    for pattern, written, pointed in _PERIODS:
        if all(pattern.fullmatch(name) for name in names):
            return {"type": "date", "tickformat": written, "hoverformat": pointed}
    return None


def number_text(value: Any, unit: str = "") -> str:
    """A number for people: four digits that count, seconds as minutes and hours where they are many."""
    if _missing(value):
        return "–"
    if unit == "s" and abs(value) >= 120:
        return f"{value / 60:.3g} min" if abs(value) < 7200 else f"{value / 3600:.3g} h"
    if unit == "s":
        return f"{value:.2g} s" if abs(value) < 10 else f"{value:.0f} s"
    if unit == "%":
        return f"{100 * value:.3g} %"
    whole = isinstance(value, int) or float(value).is_integer()
    text = f"{value:,.0f}" if whole or abs(value) >= 10_000 else f"{value:.4g}"
    return f"{text} {unit}".strip()


def time_text(value: Any, timezone: str) -> str:
    return "–" if _missing(value) else f"{value.astimezone(ZoneInfo(timezone)):%Y-%m-%d %H:%M}"


def ago(value: datetime, now: datetime) -> str:
    """How long ago, or in how long."""
    seconds = (now - value.astimezone(UTC)).total_seconds()
    size = abs(seconds)
    steps = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
    length, name = next((step for step in steps if size >= 2 * step[0]), (1, "s"))
    span = f"{size / length:.0f} {name}"
    return f"{span} ago" if seconds >= 0 else f"in {span}"


def error_text(error: Exception, redact: Callable[[str], str], unexpected: str) -> str:
    """An error in words; of one that nobody expected only `unexpected`, and the log says more."""
    if isinstance(error, MlopsError):
        return redact(str(error))
    log.error("%s\n%s", unexpected, redact("".join(traceback.format_exception(error))))
    return unexpected


def shortened(name: str, most: int = TRUNCATED) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value)) or value != value
