"""A parameter gives typed values inside its bounds, and nothing else."""

import json

import numpy as np
import pytest
from hyperopt.pyll.stochastic import sample
from pydantic import ValidationError

from mlops_assets.core.learners.search_spaces import Parameter


def drawn(parameter, n=300):
    expression, rng = parameter.to_hyperopt("p"), np.random.default_rng(7)
    return [parameter.value(sample(expression, rng)) for _ in range(n)]


def test_an_integer_is_an_int_and_both_ends_are_drawn_as_often_as_the_middle():
    values = drawn(Parameter(integer=(3, 6)), 4000)
    assert {type(value) for value in values} == {int}
    counts = [values.count(value) for value in (3, 4, 5, 6)]
    assert min(counts) > 850


def test_an_integer_keeps_its_step():
    assert set(drawn(Parameter(integer=(100, 260), step=50))) == {100, 150, 200, 250}


def test_a_logarithmic_integer_draws_small_values_more_often():
    values = drawn(Parameter(integer_log=(1, 100)), 2000)
    assert {type(value) for value in values} == {int}
    assert min(values) == 1 and max(values) <= 100
    assert sum(value <= 10 for value in values) > 800


@pytest.mark.parametrize("kind", ["uniform", "loguniform"])
def test_a_float_stays_inside_its_bounds_and_reads_back_from_json_as_it_was(kind):
    values = drawn(Parameter(**{kind: (0.001, 0.0011)}))
    assert all(type(value) is float and 0.001 <= value <= 0.0011 for value in values)
    assert json.loads(json.dumps(values)) == values


def test_a_choice_gives_its_value_and_not_its_place():
    parameter = Parameter(choice=(True, 1, None, "auto", [64, 32]))
    assert {repr(value) for value in drawn(parameter)} == {"True", "1", "None", "'auto'", "[64, 32]"}
    assert [parameter.raw(value) for value in (True, 1, None, "auto", [64, 32])] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "parameter",
    [
        Parameter(integer=(100, 400), step=50),
        Parameter(integer_log=(1, 50)),
        Parameter(uniform=(0, 1)),
        Parameter(loguniform=(1e-4, 10)),
        Parameter(choice=("a", "b")),
    ],
    ids=lambda parameter: parameter.kind,
)
def test_a_value_survives_the_way_to_hyperopt_and_back(parameter):
    for value in drawn(parameter, 50):
        assert parameter.value(parameter.raw(value)) == value


@pytest.mark.parametrize(
    "parameter, value",
    [
        (Parameter(integer=(100, 400), step=50), 120),
        (Parameter(integer=(1, 4)), 2.0),
        (Parameter(integer=(1, 4)), True),
        (Parameter(uniform=(0, 1)), 1.5),
        (Parameter(uniform=(0, 1)), "0.5"),
        (Parameter(choice=(1, 2)), True),
    ],
)
def test_a_value_that_the_parameter_never_takes_is_refused(parameter, value):
    with pytest.raises(ValueError):
        parameter.raw(value)


@pytest.mark.parametrize(
    "content, message",
    [
        ({}, "give exactly one of uniform"),
        ({"uniform": [0, 1], "fixed": 3}, "give exactly one of uniform"),
        ({"uniform": [1, 1]}, "low < high"),
        ({"loguniform": [0, 1]}, "must start above 0"),
        ({"integer": [1.5, 3]}, "valid integer"),
        ({"uniform": [0, 1], "step": 2}, "step goes with integer"),
        ({"uniform": [0, float("inf")]}, "finite number"),
    ],
)
def test_a_wrong_distribution_says_why(content, message):
    with pytest.raises(ValidationError, match=message):
        Parameter.model_validate(content)


def test_a_number_with_an_exponent_is_a_number_although_yaml_says_text():
    assert Parameter.model_validate({"loguniform": ["1e-4", 10]}).loguniform == (1e-4, 10)
    assert Parameter.model_validate({"choice": ["1e-4", "2E+3", "e5"]}).choice == (1e-4, 2000.0, "e5")
    assert Parameter.model_validate({"fixed": "1e-4"}).fixed == 1e-4
