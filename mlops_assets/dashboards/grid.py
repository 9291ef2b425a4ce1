"""The grid in which charts are dragged and resized: the only module that knows dash-snap-grid.

It has a layout for each of three widths. `wide` is that of the YAML; the others follow from it, and on narrow
screens charts cannot be moved, so that a swipe scrolls the page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dash import ALL, MATCH, Dash, Input, Output, ctx, html
from dash_snap_grid import ResponsiveGrid

from mlops_assets.dashboards.library import Place, Places
from mlops_assets.dashboards.spec import COLUMNS, Board

if TYPE_CHECKING:
    from dash.development.base_component import Component

HANDLE = "card-grip"  # class of what a card is dragged by
ROW_HEIGHT, GAP = 40, 12  # pixels
BREAKPOINTS = {"wide": 860, "medium": 560, "narrow": 0}  # from so many pixels on
WIDTHS = {"wide": COLUMNS, "medium": 6, "narrow": 2}  # columns
MOVABLE = ("wide", "medium")
LEAST = {"minW": 2, "minH": 3}


def places_of(board: Board, moved: Mapping[str, Places]) -> dict[str, Places]:
    """Where charts stand, by breakpoint: as they were moved, else as the YAML says and what follows from it."""
    wide = _merged(_wide(board), moved.get("wide", {}))
    return {
        "wide": wide,
        "medium": _merged(_followed(wide, "medium"), moved.get("medium", {})),
        "narrow": _followed(wide, "narrow"),
    }


def moved_in(
    board: Board, moved: Mapping[str, Places], layouts: Mapping[str, Sequence[Mapping[str, Any]]]
) -> dict[str, Places]:
    """What stands elsewhere in the browser's layouts than by default, for the breakpoints in which charts can move.

    The grid reports its layouts when it is first shown, too: what is as the YAML says must stay the YAML's.
    `moved`: what was known before, which the default of smaller screens follows from.
    """
    wide = _wide(board)
    defaults = {"wide": wide, "medium": _followed(_merged(wide, moved.get("wide", {})), "medium")}
    moved_since = {}
    for breakpoint, default in defaults.items():
        reported = {item["i"]: Place(*(int(item[side]) for side in "xywh")) for item in layouts.get(breakpoint, ())}
        places = reported.items()
        moved_since[breakpoint] = {name: place for name, place in places if default.get(name, place) != place}
    return moved_since


def _wide(board: Board) -> Places:
    return compacted({name: Place(c.size.x, c.size.y, c.size.w, c.size.h) for name, c in board.charts.items()})


def _followed(wide: Places, breakpoint: str) -> Places:
    """The places on a smaller screen, in the order of those on a wide one."""
    order = sorted(wide, key=lambda name: (wide[name].y, wide[name].x))
    width = _of_six if breakpoint == "medium" else _of_two
    return flowed({name: replace(wide[name], w=width(wide[name])) for name in order}, WIDTHS[breakpoint])


def _merged(places: Places, moved: Places) -> Places:
    """What was moved and is gone is left out."""
    return {name: moved.get(name, place) for name, place in places.items()}


def compacted(places: Places) -> Places:
    """Charts moved up as far as they can, as the grid does it: from top to bottom and left to right."""
    done: Places = {}
    for name in sorted(places, key=lambda name: (places[name].y, places[name].x)):
        place = places[name]
        while place.y > 0 and not _meets(replace(place, y=place.y - 1), done):
            place = replace(place, y=place.y - 1)
        while _meets(place, done):
            place = replace(place, y=place.y + 1)
        done[name] = place
    return {name: done[name] for name in places}


def flowed(places: Places, columns: int) -> Places:
    """Charts in their order, side by side as far as the columns reach, then below."""
    x = y = height = 0
    done: Places = {}
    for name, place in places.items():
        if x + place.w > columns:
            x, y, height = 0, y + height, 0
        done[name] = replace(place, x=x, y=y)
        x, height = x + place.w, max(height, place.h)
    return compacted(done)


def grid(page: str, cards: Mapping[str, Component], places: Mapping[str, Places]) -> ResponsiveGrid:
    """The grid of a page with its cards by chart name."""
    layouts = {}
    for breakpoint, by_name in places.items():
        least = LEAST if breakpoint in MOVABLE else {}
        layouts[breakpoint] = [{"i": name, **vars(place)} | least for name, place in by_name.items()]
    return ResponsiveGrid(
        id={"part": "grid", "page": page},
        children=[html.Div(card, id=name, className="cell") for name, card in cards.items()],
        layouts=layouts,
        breakpoints=BREAKPOINTS,
        cols=WIDTHS,
        rowHeight=ROW_HEIGHT,
        margin=[GAP, GAP],
        containerPadding=[0, 0],
        compactType="vertical",
        draggableHandle=f".{HANDLE}",
    )


def still(grid: ResponsiveGrid) -> Component:
    """The same grid of CSS alone, in which nothing moves; CSS counts lines from 1."""
    styles: dict[str, dict[str, str]] = {}
    for breakpoint, places in grid.layouts.items():
        for at in places:
            area = f"{at['y'] + 1} / {at['x'] + 1} / span {at['h']} / span {at['w']}"
            styles.setdefault(at["i"], {})[f"--{breakpoint}"] = area
    cells = [html.Div(cell.children, className="cell", style=styles[cell.id]) for cell in grid.children]
    return html.Div(html.Div(cells, className="still-cells"), className="still")


STILL_CSS = f"""
.still {{ container-type: inline-size; }}
.still-cells {{ display: grid; gap: {GAP}px; grid-auto-rows: {ROW_HEIGHT}px; }}
""" + "".join(
    f"@container (min-width: {least}px) {{ .still-cells {{ grid-template-columns: repeat({WIDTHS[name]}, "
    f"minmax(0, 1fr)); }} .still-cells > * {{ grid-area: var(--{name}); }} }}\n"
    for name, least in sorted(BREAKPOINTS.items(), key=lambda item: item[1])
)  # the widest that fits comes last and holds


def add_callbacks(app: Dash, keep: Callable[[str, Mapping], None]) -> None:
    """`keep` is called with a page and the layouts of its grid when they have changed."""

    @app.callback(Input({"part": "grid", "page": ALL}, "layouts"), prevent_initial_call=True)
    def moved(layouts: list) -> None:
        if ctx.triggered_id and layouts[0]:
            keep(ctx.triggered_id["page"], layouts[0])

    is_movable = f"breakpoint => Array(2).fill({list(MOVABLE)}.includes(breakpoint))"
    own = {"part": "grid", "page": MATCH}
    app.clientside_callback(
        is_movable, Output(own, "isDraggable"), Output(own, "isResizable"), Input(own, "breakpoint")
    )


def _of_six(place: Place) -> int:
    """Small charts stand three in a row, others two, and large ones alone."""
    return 2 if place.w <= 3 else 3 if place.w <= 6 else 6


def _of_two(place: Place) -> int:
    """Tiles stand beside each other, charts alone."""
    return 1 if place.w <= 3 and place.h <= 4 else 2


def _meets(place: Place, others: Places) -> bool:
    return any(
        place.x < other.x + other.w
        and other.x < place.x + place.w
        and place.y < other.y + other.h
        and other.y < place.y + place.h
        for other in others.values()
    )
