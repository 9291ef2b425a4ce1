"""Values on their way between a link, a field and the model."""

import pytest

from mlops_assets.core.features.signature import Input
from mlops_assets.serving.form.values import to_send, to_show

INPUTS = (
    Input("at", "time", None, None, None, None),
    Input("town", "text", ("Ay",), None, None, None),
    Input("zone", "integer", ("1",), None, None, None),
    Input("size", "number", None, None, None, None),
)


def test_numbers_are_sent_as_a_json_caller_would_write_them():
    sent = to_send(INPUTS, {"town": "7", "zone": "3", "size": "2.50", "at": "2024-01-05T10:00"})
    assert sent == {"town": "7", "zone": 3, "size": 2.5, "at": "2024-01-05T10:00"}
    assert isinstance(sent["zone"], int)


@pytest.mark.parametrize("text", ["far", "1_000", "inf", "1,5"])
def test_what_is_no_number_is_left_for_the_model_to_refuse(text):
    assert to_send(INPUTS, {"size": text}) == {"size": text}


def test_names_that_are_no_inputs_are_passed_on():
    assert to_send(INPUTS, {"foo": "1"}) == {"foo": "1"}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("2024-01-05T10:00:00", "2024-01-05T10:00"),
        ("2024-01-05T10:00:30", "2024-01-05T10:00:30"),
        ("2024-01-05T10:00+02:00", "2024-01-05T08:00"),
        ("yesterday", ""),
    ],
)
def test_a_time_is_shown_as_its_field_takes_it(make_spec, value, shown):
    assert to_show(INPUTS, {"at": value}, make_spec())["at"] == shown


def test_categories_are_shown_as_texts_and_what_is_missing_is_left_out(make_spec):
    assert to_show(INPUTS, {"town": 7, "zone": 3.0, "size": 2.5}, make_spec()) == {
        "town": "7",
        "zone": "3",
        "size": 2.5,
    }
    assert to_show(INPUTS, {"zone": 3, "size": None}, make_spec()) == {"zone": "3"}
