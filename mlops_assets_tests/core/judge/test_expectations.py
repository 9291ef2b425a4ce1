"""How a candidate has to behave, whatever the truth: what it keeps, what it breaks, and on which row."""

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from mlops_assets.core.judge import expectations
from mlops_assets.core.judge.expectations import MOST_ROWS, examine
from mlops_assets.dataset import DatasetSpec
from mlops_assets.dataset.parts import Expectation
from mlops_assets_tests.core.examples import fit_final_model
from mlops_assets_tests.tiny import TINY, random_columns

FEATURES = {"categorical": ["town"], "numeric": {"size": {}, "zone": {}}}
COLUMNS = {
    alias: values for alias, values in random_columns(1_200, seed=3).items() if alias in ("town", "size", "zone")
}


def model_of(**target):
    """Of a price that grows with the size, whatever the zone is; towns differ."""

    def rows(n, seed=0):
        columns = random_columns(n, seed)
        town = np.select([columns["town"] == "Ay", columns["town"] == "Bree"], [0.0, 30.0], 10.0)
        return columns | {"price": 5 + np.nan_to_num(columns["size"]) + town}

    spec = DatasetSpec.model_validate(TINY | {"target": {"column": "price"} | target, "features": FEATURES})
    name = "LogisticRegression" if target else "Ridge"
    return fit_final_model(spec, name, rows=400, make=rows)


@pytest.fixture(scope="module")
def model():
    return model_of()


def found(model, columns=COLUMNS, **expected):
    (finding,) = examine(model, columns, [TypeAdapter(Expectation).validate_python(expected)])
    return finding


def test_a_number_that_the_answer_rises_with_rises_and_does_not_fall(model):
    rises, falls = (found(model, kind="monotone", column="size", direction=way) for way in ("up", "down"))
    assert rises.is_met and rises.sentence == "monotone: size up is kept by 500 rows"
    assert (falls.rows, falls.broken, falls.share, falls.blocks) == (MOST_ROWS, MOST_ROWS, 1.0, True)
    least, most = (f"{end(COLUMNS['size']):.15g}" for end in (np.nanmin, np.nanmax))
    assert f"where size is {least} and" in falls.example and falls.example.endswith(f"where it is {most}")
    assert "is broken by 100.00% of 500 rows, one of which is answered " in falls.sentence
    assert set(falls.row) == {"town", "size", "zone"}


def test_a_tolerance_and_a_share_of_rows_let_it_pass(model):
    falls = {"kind": "monotone", "column": "size", "direction": "down"}
    assert found(model, **falls, tolerance=1_000).is_met
    few = {"kind": "bounds", "high": float(np.quantile(model.predict_columns(COLUMNS), 0.9))}
    assert 0 < found(model, **few).share < 0.2 and found(model, **few).blocks
    assert found(model, **few, share=0.2).is_met
    assert "(at most 1.00% may)" in found(model, **few, share=0.01).sentence
    told = found(model, **few, blocking=False)
    assert not told.is_met and not told.blocks


def test_an_input_that_matters_is_not_one_that_the_answer_ignores(model):
    town = found(model, kind="invariant", column="town", tolerance=1)
    assert town.broken == MOST_ROWS
    assert "where town is Bree and" in town.example or town.example.endswith("where it is Bree")
    assert found(model, kind="invariant", column="town", tolerance=40).is_met
    assert found(model, kind="invariant", column="zone", tolerance=5).is_met


def test_answers_beyond_a_bound_are_counted_and_the_farthest_is_told(model):
    answers = model.predict_columns(COLUMNS)
    high = float(np.median(answers))
    beyond = found(model, kind="bounds", low=-1_000, high=high)
    assert 0.4 < beyond.share < 0.6
    assert float(beyond.example) <= float(f"{answers.max():.4g}")
    assert beyond.sentence.startswith(f"bounds: from -1000 to {high:g} is broken by")
    assert found(model, kind="bounds", low=float(answers.min())).is_met


def test_of_two_classes_it_is_the_probability_that_is_looked_at():
    model = model_of(above=30)
    assert found(model, kind="monotone", column="size", direction="up").is_met
    assert found(model, kind="bounds", low=0, high=1).is_met
    broken = found(model, kind="monotone", column="size", direction="down", tolerance=0.5)
    assert broken.broken == MOST_ROWS and " and 1 where it is " in broken.example


def test_several_classes_are_refused_at_the_door():
    target = {"column": "price", "classes": [1, 2, 3]}
    with pytest.raises(ValidationError, match="expect: it is for numbers, counts and two classes; of several"):
        DatasetSpec.model_validate(
            TINY | {"target": target, "features": FEATURES, "expect": [{"kind": "bounds", "low": 0}]}
        )


def test_a_number_that_no_row_has_breaks_nothing_and_the_same_rows_give_the_same(model):
    empty = COLUMNS | {"size": np.full(1_200, np.nan)}
    assert found(model, empty, kind="monotone", column="size", direction="down").is_met
    one, other = (found(model, kind="invariant", column="town") for _ in range(2))
    assert one == other


def test_no_more_rows_and_values_are_asked_than_are_said(model, monkeypatch):
    asked = []
    monkeypatch.setattr(
        type(model), "predict_columns", lambda self, columns: asked.append(len(columns["size"])) or np.zeros(asked[-1])
    )
    found(model, kind="monotone", column="size", direction="up")
    assert asked == [MOST_ROWS, MOST_ROWS * expectations.MOST_VALUES]
