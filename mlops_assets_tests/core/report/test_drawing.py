"""Pictures as SVG: shapes lie where they belong, any number and any text can be drawn, and words are cut to fit."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from mlops_assets.core.report.drawing import BLUE, GREY, ORANGE, Panel, apart, picture, picture_of_rows

NS = "{http://www.w3.org/2000/svg}"


def words_of(svg):
    return [text.text or "" for text in ElementTree.fromstring(svg).iter(f"{NS}text")]


def numbers_of(svg, **look):
    """Numbers of each path that looks so."""
    paths = ElementTree.fromstring(svg).iter(f"{NS}path")
    found = [path for path in paths if all(path.get(name.replace("_", "-")) == value for name, value in look.items())]
    return [[float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", path.get("d"))] for path in found]


def test_bars_are_as_long_as_their_values_and_begin_at_the_same_place():
    panel = Panel("Rows", rows=["a", "b"])
    panel.bars([10, 20])
    (numbers,) = numbers_of(picture_of_rows(panel), fill=BLUE)
    x = np.reshape(numbers, (2, 4, 2))[:, :, 0]
    assert x[0].min() == x[1].min()
    assert np.ptp(x[1]) == pytest.approx(2 * np.ptp(x[0]), abs=0.2)


def test_rows_begin_at_the_top_and_have_their_names():
    panel = Panel("Rows", rows=["first", "second"])
    panel.bars([1, 2], [BLUE, ORANGE])
    svg = picture_of_rows(panel)
    (first,), (second,) = numbers_of(svg, fill=BLUE), numbers_of(svg, fill=ORANGE)
    assert max(first[1::2]) < min(second[1::2])
    assert {"Rows", "first", "second"} <= set(words_of(svg))


def test_a_line_rises_on_the_page_where_its_values_do_and_an_equal_dot_is_drawn_once():
    panel = Panel("Line")
    panel.line([0, 1, 2], [1, 2, 3])
    panel.dots([1, 1, 2], [1, 1, 3], ORANGE)
    svg = picture([panel])
    (line,) = numbers_of(svg, stroke=BLUE)
    assert line[0] < line[2] < line[4] and line[1] > line[3] > line[5]
    (dots,) = numbers_of(svg, stroke=ORANGE)
    assert len(dots) == 2 * 3  # x, y and the length of none


def test_infinity_is_the_end_of_an_axis_and_nan_is_not_drawn():
    panel = Panel("Ends")
    panel.line([0, 1], [0, 1])
    panel.rule(0.5, colour=ORANGE)
    panel.dots([0.2, np.nan], [np.inf, 0.5], GREY, size=9)
    svg = picture([panel])
    (rule,) = numbers_of(svg, stroke=ORANGE)
    (dot,) = numbers_of(svg, stroke_width="9")
    assert len(dot) == 3 and dot[1] == min(rule[1], rule[3])


@pytest.mark.parametrize("value", [0.0, 5e-324, 1e-300, 3e-7, 0.1 + 0.2, -1.0, 123456789.0, 1e17, 1.7e308, -1.7e308])
def test_any_number_can_be_drawn_and_axes_have_ticks(value):
    for values in ([value], [value, value / 3], [value, -value]):
        panel = Panel("Numbers", "x", "y")
        panel.line(values, values)
        panel.dots(values, values)
        panel.stairs(np.array(values), np.arange(len(values) + 1.0))
        svg = picture([panel])
        assert "nan" not in svg.decode() and "inf" not in svg.decode()
        assert len(words_of(svg)) >= 3 + 2


def test_ticks_are_round_numbers_of_the_same_digits():
    panel = Panel("", y_ends=(0, 0.31), x_ends=(0, 2_600_000))
    said = words_of(picture([panel]))
    assert {"0.00", "0.05", "0.30", "500,000", "2,500,000"} <= set(said)
    assert "0.35" not in said


def test_labels_of_data_are_text_whatever_is_in_them():
    odd = "<script>&\"' \x00\x1b\ud800\n漢字"
    panel = Panel(odd, odd, odd, rows=[odd], columns=[odd])
    panel.line([0], [0], label=odd)
    told = words_of(picture([panel]))
    assert set(told) == {"<script>&\"' \ufffd\ufffd\ufffd 漢字"} and len(told) == 6


def test_a_label_that_is_too_long_is_cut_and_leaves_room_for_the_plot():
    panel = Panel("T" * 500, rows=["x" * 500, "漢" * 500])
    panel.bars([1, 2])
    svg = picture_of_rows(panel)
    assert all(len(word) < 80 for word in words_of(svg)) and sum(word.endswith("…") for word in words_of(svg)) == 3
    assert np.ptp(numbers_of(svg, fill=BLUE)[0][::2]) > 200


def test_names_of_columns_are_all_said_turned_or_one_of_several_where_they_are_too_many():
    def said(count):
        svg = picture([Panel("", columns=[f"2024-{number:03}" for number in range(count)])]).decode()
        return svg.count(">2024-"), "rotate(-45" in svg

    assert said(5) == (5, False)
    assert said(20) == (20, True)
    assert 3 <= said(200)[0] <= 10 and not said(200)[1]


def test_panels_stand_in_a_grid_above_one_legend_without_repetition():
    panels = [Panel(title) for title in "abc"]
    for panel in panels:
        panel.line([0, 1], [0, 1], label="now")
    svg = picture(panels, (200, 100), columns=2)
    root = ElementTree.fromstring(svg)
    assert root.get("width") == "400" and 200 < float(root.get("height")) < 250
    assert words_of(svg).count("now") == 1


def test_a_picture_has_a_background_and_colours_of_its_own_on_dark_pages():
    svg = picture([Panel("")]).decode()
    assert '<rect width="500" height="300" rx="4" fill="#ffffff"/>' in svg
    assert "@media(prefers-color-scheme:dark)" in svg and '[fill="#ffffff"]{fill:#1a2028}' in svg


@pytest.mark.parametrize(("low", "high"), [(0, 0), (1, 1), (1e17, 1e17), (-1e300, -1e300), (1, 1 + 1e-12)])
def test_equal_ends_are_moved_apart_around_both(low, high):
    ends = apart(low, high)
    assert ends[0] < low <= high < ends[1]
    assert apart(1, 2) == (1, 2)
