"""The signature: what training rows had, and which rows are unlike them."""

import numpy as np
import pytest

from mlops_assets.core.columns import from_rows
from mlops_assets.core.features.categories import Vocabulary
from mlops_assets.core.features.signature import (
    FEWEST_LACKING,
    Input,
    is_no_clock_time,
    learn_absences,
    learn_signature,
    limits,
    missing,
    out_of_range,
    refuse_incomplete,
    required,
    unseen,
)
from mlops_assets.dataset import load_dataset
from mlops_assets.errors import InputError

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
        Input("at", "time", None, "2024-01-03T05:00:00.000000", "2024-02-20T23:00:00.000000", zone, True),
        Input("town", "text", ("Ay", "Bree"), None, None, None, True),
        Input("zone", "integer", ("3", "12"), None, None, None, True),
        Input("size", "number", None, 5.0, 100.0, None, True, 0.0, 100.0),  # clipped to 0..100 by the spec
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


# What training rows lacked


COMPLETE = {"at": "2024-01-03T05:00", "town": "Bree", "zone": 12, "size": 5}


def lacking(*names):
    return {name: value for name, value in COMPLETE.items() if name not in names}


def flagged(spec, rows, training):
    flags = missing(from_rows(rows, spec), learn_absences(from_rows(training, spec)))
    return {name: values.tolist() for name, values in flags.items()}


def test_a_row_that_lacks_what_every_training_row_had_is_refused_with_all_that_it_lacks(spec):
    inputs, _ = learn(spec, [COMPLETE, lacking("zone")])
    needed = required(spec, inputs)
    assert needed == ("at", "town", "size")
    refuse_incomplete(from_rows([COMPLETE, lacking("zone")], spec), needed)
    with pytest.raises(InputError, match="row 7: town, size must be given: .* without them") as caught:
        refuse_incomplete(from_rows([COMPLETE, lacking("size", "town"), lacking("at")], spec), needed, first=6)
    assert (caught.value.row, caught.value.field, caught.value.fields) == (7, "town", ("town", "size"))
    with pytest.raises(InputError, match="row 0: size must be given: .* without it"):
        refuse_incomplete(from_rows([COMPLETE | {"size": "inf"}], spec), needed)


def test_an_input_that_may_be_missing_by_the_spec_is_not_needed(make_spec, tiny):
    allowing = make_spec(columns=tiny["columns"] | {"size": {"type": "number", "missing": "allow"}})
    inputs, _ = learn(allowing, [COMPLETE])
    assert required(allowing, inputs) == ("at", "town", "zone")


def test_what_was_never_missing_is_flagged_and_what_often_was_is_not(spec):
    training = [COMPLETE] * 50 + [lacking("zone")] * FEWEST_LACKING + [lacking("town")] * (FEWEST_LACKING - 1)
    rows = [COMPLETE, lacking("zone"), lacking("town"), lacking("zone", "size")]
    assert flagged(spec, rows, training) == {"town": [False, False, True, False], "size": [False, False, False, True]}
    assert flagged(spec, [COMPLETE], training) == {}


def test_inputs_that_were_missing_together_alone_are_not_known_to_be_missing_apart(spec):
    training = [COMPLETE] * 50 + [lacking("zone", "size")] * 20
    rows = [lacking("zone", "size"), lacking("zone"), lacking("zone", "size", "town")]
    assert flagged(spec, rows, training) == {"zone": [False, True, False], "town": [False, False, True]}


def test_inputs_that_were_missing_apart_may_be_missing_together(spec):
    training = [COMPLETE] * 50 + [lacking("zone")] * 20 + [lacking("size")] * 20
    assert flagged(spec, [lacking("zone", "size")], training) == {}


# What numbers may be


def test_a_number_may_be_what_clip_and_rules_say(make_spec, tiny):
    rules = [{"name": "sane", "column": "size", "min": 2, "max": 500}, {"name": "zones", "column": "zone", "max": 9}]
    inputs, _ = learn(make_spec(rows=rules), [COMPLETE])
    by_name = {item.name: item for item in inputs}
    assert (by_name["size"].least, by_name["size"].most) == (2.0, 100.0)
    assert (by_name["zone"].least, by_name["zone"].most) == (None, 9.0)
    assert by_name["size"].allows(2) and not by_name["size"].allows(1.9) and not by_name["size"].allows(101)


def test_times_that_no_clock_shows_are_out_of_range():
    wrong = is_no_clock_time(np.array([0, 1345, 2359, 2400, 1275, 2399, 2401, -5, np.nan]))
    assert wrong.tolist() == [False, False, False, False, True, True, True, True, False]
    columns = {"departs": np.array([1275.0, 1200.0])}
    assert out_of_range(columns, (), ["departs"])["departs"].tolist() == [True, False]


def test_inputs_of_a_clocks_functions_are_clocks(flights):
    from mlops_assets.core.columns import from_table

    spec = load_dataset("nyc_flights", {})
    columns = from_table(flights, spec.inputs())
    vocabularies = {name: Vocabulary.fit(columns[name]) for name in spec.features.categories}
    inputs = learn_signature(spec, columns, vocabularies)
    assert {item.name for item in inputs if item.is_clock} == {"scheduled_departure", "scheduled_arrival"}
    assert required(spec, inputs) == spec.inputs()
