"""Small pictures as SVG text: panels of bars, lines and dots between axes; the same input gives the same bytes.

    panel = Panel("Rows by period", rows=["2024-01", "2024-02"])
    panel.bars([100, 120])
    svg = picture([panel])

Sizes are in pixels. A picture has a background of its own, a dark one for who prefers dark pages: it reads on any page.
What lies beyond an axis, at infinity too, is drawn at its end; NaN is not drawn.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import accumulate
from math import ceil, floor, inf, log10
from typing import TypeAlias
from unicodedata import east_asian_width

import numpy as np
from numpy.typing import ArrayLike

from mlops_assets.core.types import FloatArray

BLUE, ORANGE, GREY, PALE = "#3b6ea5", "#d9822b", "#8a8f98", "#c4c6ca"
INK, PAPER, GRID = "#3d434b", "#ffffff", "#e6e8eb"
_DARK = {BLUE: "#6f9fd4", ORANGE: "#e8a25c", PALE: "#59616c", INK: "#cdd3da", PAPER: "#1a2028", GRID: "#2d3540"}
_RULES = "".join(f'[fill="{old}"]{{fill:{new}}}[stroke="{old}"]{{stroke:{new}}}' for old, new in _DARK.items())
_STYLE = f"<style>@media(prefers-color-scheme:dark){{{_RULES}}}</style>"
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
FONT, TITLE = 11, 13
LINE = 16  # height of a line of text
LARGEST = 1e300  # of a number on an axis, so that differences are finite
Ends: TypeAlias = tuple[float, float]


@dataclass(frozen=True)
class Mark:
    """Shapes of one look: n of k points each; `end` is how SVG's path of each ends: `z` an area, `h0` dots, else lines.

    `size`: the width of a line or a dot; `dash`: as of `Panel.line`.
    """

    x: FloatArray
    y: FloatArray
    end: str
    colour: str
    label: str
    opacity: float = 1.0
    size: float = 1.5
    dash: str = ""

    @property
    def look(self) -> str:
        if self.end == "z":
            shade = f' fill-opacity="{self.opacity:g}" shape-rendering="crispEdges"' if self.opacity < 1 else ""
            return f'fill="{self.colour}"{shade}'
        if self.end == "h0":
            return f'stroke="{self.colour}" stroke-width="{self.size:g}" stroke-linecap="round"'
        dashes = f' stroke-dasharray="{self.dash}"' if self.dash else ""
        return f'fill="none" stroke="{self.colour}" stroke-width="{self.size:g}"{dashes}'


@dataclass
class Panel:
    """A pair of axes, and what is drawn between them.

    `rows` name the places 0, 1, ... of the y axis, from the top, `columns` those of the x axis. `x_ends` and `y_ends`
    are those of the values drawn, unless given; `room` is the share of the x axis that stays free beyond them.
    """

    title: str
    x: str = ""
    y: str = ""
    rows: Sequence[str] | None = None
    columns: Sequence[str] | None = None
    x_ends: Ends | None = None
    y_ends: Ends | None = None
    room: float = 0.04
    marks: list[Mark] = field(default_factory=list)
    notes: list[tuple[float, float, str]] = field(default_factory=list)

    def boxes(self, x: ArrayLike, y: ArrayLike, colour: str = BLUE, opacity: float = 1, label: str = "") -> None:
        """Rectangles of two opposite corners each, x and y (n, 2); of an opacity below 1, for adjacent ones."""
        x, y = _shapes(x, y, 2)
        self.marks.append(Mark(x[:, [0, 1, 1, 0]], y[:, [0, 0, 1, 1]], "z", colour, label, opacity))

    def bars(
        self,
        values: ArrayLike,
        colours: str | Sequence[str] = BLUE,
        starts: ArrayLike = 0.0,
        sides: Ends = (-0.3, 0.3),
        label: str = "",
    ) -> None:
        """A bar of each value (n,) from its start, along its row or its column; `sides` are relative to its place."""
        values = np.asarray(values, float)
        along = np.stack([np.broadcast_to(starts, values.shape), values + starts], axis=1)
        across = np.arange(len(values))[:, None] + np.array(sides)
        of = np.array([colours] * len(values) if isinstance(colours, str) else colours, dtype=object)
        for colour in dict.fromkeys(of):
            ends = along[of == colour], across[of == colour]
            self.boxes(*(ends if self.rows is not None else ends[::-1]), colour, label=label)

    def stairs(
        self, heights: FloatArray, edges: FloatArray, colour: str = BLUE, label: str = "", *, fill: bool = True
    ) -> None:
        """Heights (n,) between edges (n + 1,), as of a histogram."""
        x, y = np.repeat(edges, 2), np.concatenate([[0.0], np.repeat(heights, 2), [0.0]])
        if fill:
            self.marks.append(Mark(x[None], y[None], "z", colour, label))
        else:
            self.line(x, y, colour, label)

    def line(
        self, x: ArrayLike, y: ArrayLike, colour: str = BLUE, label: str = "", width: float = 1.5, dash: str = ""
    ) -> None:
        """A line through points (n,); `dash` is SVG's: lengths drawn and left out."""
        x, y = _shapes(x, y, 1)
        self.marks.append(Mark(x.T, y.T, "", colour, label, size=width, dash=dash))

    def rule(self, x: float | None = None, y: float = 0, colour: str = INK, label: str = "", dash: str = "") -> None:
        """A line all across: upright at an x, else level at a y."""
        ends = [-inf, inf]
        self.line(*((ends, [y, y]) if x is None else ([x, x], ends)), colour, label, 1.2, dash)

    def dots(self, x: ArrayLike, y: ArrayLike, colour: str = BLUE, label: str = "", size: float = 5) -> None:
        """Points (n,), each a dot of so many pixels."""
        self.marks.append(Mark(*_shapes(x, y, 1), "h0", colour, label, size=size))


@dataclass(frozen=True)
class Drawing:
    """Panels as `picture` takes them: SVG text, or whatever else can draw marks."""

    panels: tuple[Panel, ...]
    size: tuple[float, float] = (500, 300)
    columns: int = 1

    def svg(self) -> bytes:
        return picture(self.panels, self.size, self.columns)


def picture(panels: Sequence[Panel], size: tuple[float, float] = (500, 300), columns: int = 1) -> bytes:
    """The panels, each of this size, so many in a row, above one legend."""
    columns = max(1, min(columns, len(panels)))
    width, below = size[0] * columns, size[1] * ceil(len(panels) / columns)
    parts: list[str] = []
    for place, panel in enumerate(panels):
        parts += _panel(panel, place % columns * size[0], place // columns * size[1], *size)
    marks = {mark.label: mark for panel in panels for mark in reversed(panel.marks) if mark.label}
    legend, height = _legend(list(reversed(marks.values())), width, below)
    box = f'width="{width:g}" height="{height:g}"'
    look = f'font-family="system-ui,sans-serif" font-size="{FONT}" fill="{INK}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {box} viewBox="0 0 {width:g} {height:g}" {look}>{_STYLE}'
    parts = [head, f'<rect {box} rx="4" fill="{PAPER}"/>', *parts, *legend, "</svg>\n"]
    return "\n".join(parts).encode()


def picture_of_rows(panel: Panel, height: float = 22) -> bytes:
    """A panel with rows, each so high."""
    return picture([panel], (500, 70 + height * len(panel.rows or ())))


@dataclass(frozen=True)
class _Axis:
    """From numbers to pixels, with the numbers that are named beside it."""

    ends: Ends
    start: float
    end: float
    ticks: Sequence[tuple[float, str]]

    def places(self, values: ArrayLike) -> FloatArray:
        low, high = self.ends
        share = (np.clip(np.asarray(values, float), -LARGEST, LARGEST) - low) / (high - low)
        pixels: FloatArray = np.round(self.start + np.clip(share, 0, 1) * (self.end - self.start), 1)
        return pixels

    def at(self, value: float) -> float:
        return float(self.places(value))


def _panel(panel: Panel, left: float, top: float, width: float, height: float) -> Iterator[str]:
    across, upright, is_turned = _axes(panel, left, top, width, height)
    start, end, upper, bottom = across.start, across.end, *sorted((upright.start, upright.end))
    lines = [] if panel.columns is not None else [f"M{across.at(x):g} {bottom:g}V{upper:g}" for x, _ in across.ticks]
    lines += [] if panel.rows is not None else [f"M{start:g} {upright.at(y):g}H{end:g}" for y, _ in upright.ticks]
    yield f'<path d="{"".join(lines)}" stroke="{GRID}"/>'
    yield f'<path d="M{start:g} {upper:g}V{bottom:g}H{end:g}" fill="none" stroke="{GREY}"/>'
    for mark in panel.marks:
        yield f'<path d="{_path(across.places(mark.x), upright.places(mark.y), mark.end)}" {mark.look}/>'
    yield _text(left + 12, top + 20, _fit(panel.title, width - 24, TITLE), "start", size=TITLE)
    for place, word in upright.ticks:
        yield _text(start - 5, upright.at(place) + 4, word, "end")
    for place, word in across.ticks:
        yield _text(across.at(place), bottom + 14, word, *(("end", -45) if is_turned else ()))
    for note_x, note_y, word in panel.notes:
        x = min(across.at(note_x) + 4, left + width - 4 - _width(word))
        yield _text(x, upright.at(note_y) + 4, word, "start")
    if panel.x:
        yield _text((start + end) / 2, top + height - 8, _fit(panel.x, width - 24))
    if panel.y:
        yield _text(left + 16, (upper + bottom) / 2, _fit(panel.y, height - 24), "middle", -90)


def _axes(panel: Panel, left: float, top: float, width: float, height: float) -> tuple[_Axis, _Axis, bool]:
    """The axes where the words beside them leave room, and whether the words below are turned to fit."""
    y_ends = panel.y_ends or _ends([mark.y for mark in panel.marks], panel.rows)
    y_ticks = _fitted(_ticks(y_ends, panel.rows, height / 40), 0.45 * width)
    start = left + 16 + _widest(y_ticks) + (LINE if panel.y else 0)
    end = left + width - 14
    x_ends = panel.x_ends or _ends([mark.x for mark in panel.marks], panel.columns, panel.room)
    x_ticks = _ticks(x_ends, panel.columns, (end - start) / 60)
    room, needed = (end - start) / max(len(x_ticks), 1), 6 + _widest(x_ticks)
    is_turned = panel.columns is not None and needed > room >= LINE - 3
    x_ticks = _fitted(x_ticks, 60) if is_turned else _fitted(x_ticks[:: ceil(needed / room)], end - start)
    upper, bottom = top + 32, top + height - 8 - LINE - (LINE if panel.x else 0)
    bottom -= 0.7 * _widest(x_ticks) - 8 if is_turned else 0
    way = (bottom, upper) if panel.rows is None else (upper, bottom)
    return _Axis(x_ends, start, end, x_ticks), _Axis(y_ends, *way, y_ticks), is_turned


def _fitted(ticks: Sequence[tuple[float, str]], width: float) -> list[tuple[float, str]]:
    return [(place, _fit(word, width)) for place, word in ticks]


def _widest(ticks: Sequence[tuple[float, str]]) -> float:
    return max((_width(word) for _, word in ticks), default=0)


def apart(low: float, high: float) -> Ends:
    """Ends so far apart that numbers lie between them, and no further than numbers go: both, or others around them."""
    low, high = (float(min(max(end, -LARGEST), LARGEST)) for end in (low, high))
    if high - low > max(1e-9 * max(abs(low), abs(high)), 1 / LARGEST):
        return low, high
    half = max(0.5, 0.05 * abs(low))
    return low - half, high + half


def _ends(parts: Sequence[FloatArray], names: Sequence[str] | None, room: float = 0.04) -> Ends:
    """Ends of an axis that shows its names, or all finite numbers; 0 is where bars begin, with no room below."""
    if names is not None:
        return -0.5, max(len(names), 1) - 0.5
    values = np.concatenate([np.ravel(part) for part in parts]) if parts else np.empty(0)
    values = values[np.isfinite(values)]
    if not values.any():
        return 0.0, 1.0
    low, high = apart(values.min(), values.max())
    span = high - low
    return low - (0.04 * span if low else 0), high + room * span


def _ticks(ends: Ends, names: Sequence[str] | None, most: float) -> list[tuple[float, str]]:
    """Places and words of an axis: its names, or about `most` round numbers."""
    if names is not None:
        return [(float(place), name) for place, name in enumerate(names)]
    low, high = ends
    rough = (high - low) / max(most, 2)
    power = 10.0 ** floor(log10(rough))
    step = next(power * times for times in (1, 2, 5, 10) if power * times >= 0.999 * rough)
    numbers = step * np.arange(ceil(low / step - 1e-6), floor(high / step + 1e-6) + 1) + 0.0
    is_plain = step > 1e-5 and max(abs(low), abs(high)) < 1e8
    digits = f",.{max(0, -floor(log10(step) + 1e-6))}f" if is_plain else ".6g"
    return [(number, f"{number:{digits}}") for number in numbers.tolist()]


def _shapes(x: ArrayLike, y: ArrayLike, points: int) -> tuple[FloatArray, FloatArray]:
    """Shapes of so many points each (n, points), without those of which a number is NaN."""
    x, y = (np.reshape(np.asarray(values, float), (-1, points)) for values in (x, y))
    keep = ~(np.isnan(x) | np.isnan(y)).any(axis=1)
    return x[keep], y[keep]


def _path(x: FloatArray, y: FloatArray, end: str) -> str:
    """What SVG draws for shapes of points in pixels (n, k); equal shapes once."""
    if end == "h0":  # of dots half a pixel is near enough, and many are then equal
        x, y = np.round(2 * x) / 2, np.round(2 * y) / 2
    lines = (zip(*line, strict=True) for line in zip(x.tolist(), y.tolist(), strict=True))
    shapes = ("L".join(f"{a:g} {b:g}" for a, b in line) for line in lines)
    return "".join(f"M{shape}{end}" for shape in dict.fromkeys(shapes) if shape)


def _legend(marks: Sequence[Mark], width: float, top: float) -> tuple[list[str], float]:
    """Lines of samples with their labels, and where they end."""
    parts, x, y = [], 14.0, top + 8
    for mark in marks:
        word = _fit(mark.label, width - 50)
        if x > 14 and x + 22 + _width(word) > width:
            x, y = 14.0, y + LINE
        sample = {"z": f"M{x:g} {y - 4:g}h14v8h-14z", "": f"M{x:g} {y:g}h14", "h0": f"M{x + 7:g} {y:g}h0"}[mark.end]
        parts += [f'<path d="{sample}" {mark.look}/>', _text(x + 20, y + 4, word, "start")]
        x += 34 + _width(word)
    return parts, y + 12 if marks else top


def _text(x: float, y: float, words: str, anchor: str = "middle", turn: int = 0, size: int = FONT) -> str:
    more = f' font-size="{size}"' if size != FONT else ""
    more += f' transform="rotate({turn} {x:g} {y:g})"' if turn else ""
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}"{more}>{escape(words)}</text>'


def _width(words: str) -> float:
    """About how wide words are, rather too much than too little."""
    return FONT * sum(map(_em, words))


def _em(letter: str) -> float:
    return 1.0 if east_asian_width(letter) in "WF" else 0.6


def _fit(words: str, width: float, size: float = FONT) -> str:
    """The words on one line as XML can hold them, and no more of them than the width has room for."""
    words = _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", " ".join(words.split()))
    kept = sum(size * end <= width for end in accumulate(map(_em, words)))
    return words if kept == len(words) else f"{words[: max(kept - 1, 1)]}…"
