"""Facts: numbers with a unit and four digits for people, and one entry with what programs read."""

import math

import dagster as dg
import pytest

from mlops_assets.facts import RECORD, Hidden, Quantity, entries, facts_of

FACTS = {
    "validation_rmse": Quantity(13.816641251056057, "minutes"),
    "r2": Quantity(0.98765432, ""),
    "share": 0.123456,
    "rows": 27_020,
    "judgement": "as promised",
    "recipe": Hidden({"code": "3", "data": {"2013-12": "ab12"}}),
}


def test_people_see_four_digits_with_their_unit_and_nothing_that_is_for_programs():
    shown = entries(FACTS)
    assert shown.pop(RECORD).value["recipe"] == FACTS["recipe"].value
    assert shown == {
        "validation_rmse (minutes)": 13.82,
        "r2": 0.9877,
        "share": 0.1235,
        "rows": 27_020,
        "judgement": "as promised",
    }


def test_programs_read_exact_numbers_under_their_names():
    recorded = dg.AssetMaterialization("model", metadata=entries(FACTS)).metadata
    assert facts_of(recorded) == {
        "validation_rmse": 13.816641251056057,
        "r2": 0.98765432,
        "share": 0.123456,
        "rows": 27_020,
        "judgement": "as promised",
        "recipe": {"code": "3", "data": {"2013-12": "ab12"}},
    }


def test_what_was_recorded_before_is_read_as_it_stands():
    recorded = dg.AssetMaterialization("model", metadata={"recipe": "{}", "rmse": 1.23456789}).metadata
    assert facts_of(recorded) == {"recipe": "{}", "rmse": 1.23456789}


def test_a_later_fact_takes_the_place_of_an_earlier_one_and_the_others_stay():
    first = entries({"content": Hidden("a"), "reigns": Hidden([1]), "gain": 0.5})
    later = {**first, **entries({"content": Hidden("b"), "gain": 0.25}, first[RECORD].value)}
    assert facts_of(later) == {"content": "b", "reigns": [1], "gain": 0.25}


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_a_number_that_json_does_not_know_is_shown_and_is_in_no_json(value):
    shown = entries({"gain_high": Quantity(value, "minutes")})
    assert shown[RECORD].value == {}
    assert repr(facts_of(shown)) == repr({"gain_high (minutes)": value})
