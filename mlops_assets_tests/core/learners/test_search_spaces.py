"""A search space is typed from the YAML to the fit, and an error in it names its place."""

import json

import numpy as np
import pytest
from hyperopt.pyll.stochastic import sample

from mlops_assets.core.learners.model_types import SHIPPED, shipped_model_types
from mlops_assets.core.learners.search_spaces import Space, load_search_spaces
from mlops_assets.errors import SpecError

SPACE = Space.model_validate(
    {
        "parameters": {
            "n_estimators": {"integer": [100, 300], "step": 50},
            "alpha": {"loguniform": [1e-4, 10]},
            "criterion": {"choice": ["squared_error", "poisson"]},
            "objective": {"fixed": "reg:squarederror"},
        }
    }
)


@pytest.fixture
def write(tmp_path):
    """A function that writes a search-space YAML and gives its path."""

    def write(text):
        path = tmp_path / "spaces.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_fault_1_integers_come_back_as_integers_and_fault_2_choices_and_constants_as_values():
    expressions, rng = SPACE.to_hyperopt(), np.random.default_rng(7)
    for _ in range(100):
        point = SPACE.point({name: sample(expression, rng) for name, expression in expressions.items()})
        assert [type(value) for value in point.values()] == [int, float, str, str]
        assert point["objective"] == "reg:squarederror"
        assert json.loads(json.dumps(point)) == point


def test_constants_are_not_free_and_not_sampled():
    assert SPACE.free == ("n_estimators", "alpha", "criterion")
    assert set(SPACE.to_hyperopt()) == set(SPACE.free)


def test_a_point_survives_the_way_to_hyperopt_and_back():
    point = {"n_estimators": 150, "alpha": 0.25, "criterion": "poisson", "objective": "reg:squarederror"}
    assert SPACE.point(SPACE.raw(point)) == point


def test_a_point_of_an_older_space_is_adopted_with_this_spaces_constants_or_not_at_all():
    older = {"n_estimators": 150, "alpha": 1, "criterion": "poisson", "objective": "old", "gone": 3}
    adopted = SPACE.adopt(older)
    assert adopted == {"n_estimators": 150, "alpha": 1.0, "criterion": "poisson", "objective": "reg:squarederror"}
    assert type(adopted["alpha"]) is float
    assert SPACE.adopt(older | {"alpha": 99}) is None
    assert SPACE.adopt({"n_estimators": 150}) is None


def test_a_countable_space_knows_its_points():
    space = Space.model_validate({"parameters": {"a": {"choice": [True, False]}, "b": {"integer": [1, 2]}}})
    assert space.size == len(space.points()) == 4
    assert SPACE.size is None
    assert Space().points() == [{}]


def test_every_shipped_space_has_a_start_inside_it():
    spaces = shipped_model_types()
    assert {space.adopt(space.start) is not None for space in spaces.values()} == {True}
    assert spaces["XGBoost"].start["max_depth"] == 8


def test_a_shipped_space_can_be_copied_into_a_file_of_ones_own(write):
    assert load_search_spaces(write(SHIPPED.read_text(encoding="utf-8"))) == shipped_model_types()


@pytest.mark.parametrize(
    "text, message",
    [
        ("Ridge: {parameters: {alpha: {loguniform: [0, 1]}}}", r"Ridge\.parameters\.alpha: loguniform must start"),
        ("Ridge: {parameters: {alpha: {normal: [0, 1]}}}", r"Ridge\.parameters\.alpha\.normal is not a key .*uniform"),
        (
            "Ridge: {params: {}}",
            r"Ridge\.params is not a key \(keys: parameters, start, import_path,.*\)",
        ),
        ("Ridge: {matrix: sparse}", r"Ridge\.matrix: Input should be 'one_hot' or 'dense'"),
        ("Ridge: {parameters: {a: {uniform: [0, 1]}}, start: {b: 1}}", "start must name exactly .* see a, b"),
        ("Ridge: {parameters: {a: {uniform: [0, 1]}}, start: {a: 2}}", "start.a: 2 lies outside 0..1"),
        ("Ridge: {parameters: {random_state: {fixed: 3}}}", "random_state is set by MLOPS_SEED"),
        ("XGBoost: {parameters: {n_jobs: {fixed: 3}}}", "n_jobs is set by MLOPS_THREADS"),
        ("Ridge: 3", "Ridge: Input should be a valid dictionary"),
        ("- Ridge", "must be a mapping of model types"),
        ("Ridge: {", "is not valid YAML"),
    ],
)
def test_a_wrong_file_names_the_file_the_model_type_and_the_parameter(write, text, message):
    with pytest.raises(SpecError, match=rf"^spaces\.yaml.*{message}"):
        load_search_spaces(write(text))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SpecError, match="mine.yaml cannot be read"):
        load_search_spaces(tmp_path / "mine.yaml")
