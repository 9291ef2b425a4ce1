"""The signature: what training rows had, and which rows are unlike them."""

import numpy as np
import pytest

from mlops_assets.core.columns import from_rows
from mlops_assets.core.features.categories import Vocabulary
from mlops_assets.core.features.signature import Input, learn_signature, limits, out_of_range, unseen
from mlops_assets.dataset import load_dataset

TRAINING = [
    {"at": "2024-01-03T05:00", "town": "Bree", "zone": 12, "size": 5},
    {"at": "2024-02-20T23:00", "town": "Ay", "zone": 3, "size": 250.5},
    {"at": None, "town": None, "zone": None, "size": "inf"},
]


@pytest.fixture
def spec(make_spec, tiny):
    return make_spec(columns=tiny["columns"] | {"at": {"type": "time", "timezone": "Europe/Berlin"}})


def learn(spec, rows=TRAINING):
    columns = from_rows(rows, spec)
    vocabularies = {name: Vocabulary.fit(columns[name]) for name in spec.features.categories}
    return learn_signature(spec, columns, vocabularies), vocabularies


def test_a_signature_has_types_categories_and_ranges_in_the_specs_order(spec):
    inputs, _ = learn(spec)
    zone = "Europe/Berlin"
    assert inputs == (
        Input("at", "time", None, "2024-01-03T05:00:00.000000", "2024-02-20T23:00:00.000000", zone),
        Input("town", "text", ("Ay", "Bree"), None, None, None),
        Input("zone", "integer", ("3", "12"), None, None, None),
        Input("size", "number", None, 5.0, 100.0, None),  # clipped to 0..100 by the spec
    )


def test_an_input_without_any_value_has_no_range_and_flags_nothing(spec):
    inputs, vocabularies = learn(spec, [{}, {}])
    assert all(item.low is None and item.high is None for item in inputs)
    assert [item.categories for item in inputs] == [None, (), (), None]
    columns = from_rows(TRAINING, spec)
    assert out_of_range(columns, limits(inputs)) == {}
    flagged = unseen(columns, {name: known.encode(columns[name]) for name, known in vocabularies.items()})
    assert {name: flags.tolist() for name, flags in flagged.items()} == {
        "town": [True, True, False],
        "zone": [True, True, False],
    }


def test_rows_outside_the_range_are_flagged_input_by_input(spec):
    inputs, _ = learn(spec)
    rows = [
        {"size": 5, "at": "2024-01-03T05:00"},
        {"size": 4.9, "at": "2024-01-03T04:59"},
        {"size": 100.1, "at": "2025-02-20"},
        {"size": "inf", "at": "2025-03-01"},
        {},
    ]
    flags = out_of_range(from_rows(rows, spec), limits(inputs))
    assert {name: values.tolist() for name, values in flags.items()} == {
        "size": [False, True, True, True, False],
        "at": [False, True, False, True, False],
    }


def test_only_inputs_with_a_flagged_row_are_told(spec):
    inputs, _ = learn(spec)
    assert out_of_range(from_rows(TRAINING[:1], spec), limits(inputs)) == {}
    assert list(out_of_range(from_rows([{"size": 1}], spec), limits(inputs))) == ["size"]


def test_a_category_that_is_also_counted_has_a_range_too(make_spec, tiny):
    features = tiny["features"] | {"derived": {"zone_log": {"function": "log", "of": ["zone"]}}}
    inputs, _ = learn(make_spec(features=features))
    zone = next(item for item in inputs if item.name == "zone")
    assert (zone.categories, zone.low, zone.high) == (("3", "12"), 3.0, 12.0)


def test_inputs_of_a_derived_number_have_a_range(flights):
    from mlops_assets.core.columns import from_table

    spec = load_dataset("nyc_flights", {})
    columns = from_table(flights, spec.inputs())
    vocabularies = {name: Vocabulary.fit(columns[name]) for name in spec.features.categories}
    by_name = {item.name: item for item in learn_signature(spec, columns, vocabularies)}
    assert by_name["scheduled_departure"].low >= 0 and by_name["scheduled_departure"].high <= 2359
    assert set(by_name["origin"].categories) == {"EWR", "JFK", "LGA"}
    assert by_name["departure_at"].timezone == "America/New_York"
    assert np.datetime64(by_name["departure_at"].high) > np.datetime64("2013-03-01")
