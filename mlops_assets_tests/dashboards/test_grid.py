"""The grid: where charts stand by default, and what of a browser's layout is worth keeping."""

from mlops_assets.dashboards.grid import compacted, flowed, moved_in, places_of
from mlops_assets.dashboards.library import Place
from mlops_assets.dashboards.spec import Board

SIZES = {
    "tile": {"x": 0, "y": 0, "w": 3, "h": 3},
    "wide": {"x": 3, "y": 0, "w": 9, "h": 6},
    "below": {"x": 0, "y": 10, "w": 6, "h": 4},
}
BOARD = Board(
    title="Some",
    charts={name: {"title": name, "source": "runs", "type": "line", "size": size} for name, size in SIZES.items()},
)


def as_layouts(places):
    return {
        breakpoint: [{"i": name, **vars(place)} for name, place in all_.items()] for breakpoint, all_ in places.items()
    }


def test_charts_move_up_as_far_as_they_can():
    assert places_of(BOARD, {})["wide"]["below"] == Place(0, 6, 6, 4)
    assert compacted({"low": Place(0, 5, 2, 2)}) == {"low": Place(0, 0, 2, 2)}


def test_charts_that_overlap_are_put_below_each_other():
    assert compacted({"a": Place(0, 0, 4, 3), "b": Place(2, 1, 4, 3)})["b"] == Place(2, 3, 4, 3)


def test_smaller_screens_keep_the_order_of_the_wide_one():
    narrow = places_of(BOARD, {})["narrow"]
    assert sorted(narrow, key=lambda name: narrow[name].y) == ["tile", "wide", "below"]
    assert {name: place.w for name, place in narrow.items()} == {"tile": 1, "wide": 2, "below": 2}
    moved = {"wide": {"below": Place(0, 0, 6, 4), "tile": Place(0, 4, 3, 3)}}
    narrow = places_of(BOARD, moved)["narrow"]
    assert narrow["below"].y < narrow["tile"].y


def test_what_the_grid_reports_of_itself_is_not_kept():
    assert moved_in(BOARD, {}, as_layouts(places_of(BOARD, {}))) == {"wide": {}, "medium": {}}


def test_only_what_was_moved_is_kept_and_never_for_narrow_screens():
    layouts = as_layouts(places_of(BOARD, {}))
    layouts["wide"][0]["h"] = 5
    layouts["narrow"][0]["h"] = 9
    assert moved_in(BOARD, {}, layouts) == {"wide": {"tile": Place(0, 0, 3, 5)}, "medium": {}}


def test_what_was_moved_and_is_gone_is_left_out():
    assert "gone" not in places_of(BOARD, {"wide": {"gone": Place(0, 0, 1, 1)}})["wide"]
    layouts = {"wide": [{"i": "gone", "x": 0, "y": 0, "w": 1, "h": 1}]}
    assert moved_in(BOARD, {}, layouts)["wide"] == {}


def test_charts_flow_side_by_side_and_then_below():
    places = flowed({"a": Place(9, 9, 4, 2), "b": Place(9, 9, 2, 3), "c": Place(9, 9, 3, 1)}, 6)
    assert places == {"a": Place(0, 0, 4, 2), "b": Place(4, 0, 2, 3), "c": Place(0, 2, 3, 1)}
