"""Names and numbers as people read them."""

import pytest

from mlops_assets.core.features.signature import Input
from mlops_assets.serving.form.wording import decimals, hint, number, plain, range_text, set_text, signed, value_text


@pytest.mark.parametrize(("span", "places"), [(320.0, 0), (32.0, 1), (3.2, 2), (0.5, 3), (1e-9, 6), (0.0, 2)])
def test_decimals_tell_the_ends_of_an_interval_apart(span, places):
    assert decimals(span) == places


def test_numbers_have_a_real_minus_and_thousands():
    assert (number(-1234.56, 1), signed(2.0, 1), signed(-0.25, 2)) == ("−1,234.6", "+2.0", "−0.25")
    assert (number(-0.01, 1), signed(-0.01, 1), signed(0.01, 1)) == ("0.0", "0.0", "0.0")
    assert (plain(4983.0), plain(0.125), plain(1e9 / 7)) == ("4,983", "0.125", "1.42857e+08")


def test_a_set_says_why_it_leaves_out_the_most_probable_class():
    assert set_text(["in time", "late"], ["in time", "late"], 0.9) == "90% set: in time, late"
    told = "90% set: late; not in time, because 90% of its rows are more clearly so"
    assert set_text(["in time", "late"], ["late"], 0.9) == told


@pytest.mark.parametrize(
    ("item", "told"),
    [
        (Input("size", "number", None, 1.5, 4983.0, None), "seen: 1.5 to 4,983"),
        (Input("size", "number", None, 1.5, 90, None, least=0.0, most=100.0), "may be 0 to 100, seen: 1.5 to 90"),
        (Input("size", "number", None, 1.5, 90, None, least=0.0), "may be at least 0, seen: 1.5 to 90"),
        (Input("clock", "integer", None, 500.0, 2359.0, None), "seen: 500 to 2359"),
        (Input("zone", "integer", ("1", "2"), None, None, None), "2 known"),
        (Input("note", "text", None, None, None, None), ""),
        (
            Input("at", "time", None, "2013-01-01T05:00:00", "2013-12-31T23:00:00", "America/New_York"),
            "seen: 2013-01-01 to 2013-12-31, clock of New York",
        ),
    ],
)
def test_a_hint_tells_what_a_value_may_be_and_what_the_model_has_seen(item, told):
    assert hint(item) == told


def test_an_input_that_never_had_a_value_has_no_range():
    assert range_text(Input("size", "number", None, None, None, None)) == ""


def test_times_are_shown_without_their_letter_and_texts_as_they_are():
    assert value_text("2013-05-06T07:08") == "2013-05-06 07:08"
    assert (value_text("TX-T1"), value_text(3)) == ("TX-T1", "3")
