"""Realised performance: scores, segments, joins by key or by all inputs, and promises."""

import numpy as np
import pytest

from mlops_assets.core.columns import take
from mlops_assets.core.metrics import Interval
from mlops_assets.core.model.answers import Answers
from mlops_assets.core.monitor.coverage import judge_coverage
from mlops_assets.core.monitor.performance import (
    FEWEST_ROWS,
    MOST_CATEGORIES,
    Promise,
    by_category,
    by_prediction,
    identity,
    join,
    judge,
    main_category,
    outcomes_of,
    realise,
)
from mlops_assets.core.targets.class_answers import ClassAnswers
from mlops_assets.core.targets.kinds import target_of
from mlops_assets.core.targets.numbers import NUMBER
from mlops_assets.dataset.target import Target
from mlops_assets.errors import DataError

NOT = np.nan
LIMITS = {"margin": 0.1, "confidence": 0.95}


def outcomes(truth, prediction, low=None, high=None):
    nothing = [NOT] * len(truth)
    given = (prediction, nothing if low is None else low, nothing if high is None else high)
    y = np.array(truth, float)
    return outcomes_of(NUMBER, y, Answers(*(np.array(values, float) for values in given), {}, {}))


def answers(prediction, half_width=1.0):
    prediction = np.array(prediction, float)
    return Answers(prediction, prediction - half_width, prediction + half_width, {}, {})


# Scores


def test_scores_are_those_of_the_errors():
    realised = realise(outcomes([10, 20, 30], [11, 22, 27], [9, 21, 26], [13, 23, 28]))
    assert (realised.rows, realised.mae, realised.bias) == (3, 2.0, 0.0)
    assert realised.loss == pytest.approx(np.sqrt(14 / 3))
    assert realised.coverage == pytest.approx(1 / 3)


def test_predictions_that_are_too_high_have_a_positive_bias():
    assert realise(outcomes([1, 1], [3, 2])).bias == 1.5


def test_the_ends_of_an_interval_belong_to_it():
    assert realise(outcomes([1, 5], [3, 3], [1, 1], [5, 5])).coverage == 1.0


def test_coverage_counts_rows_that_have_an_interval_and_is_none_without_any():
    assert realise(outcomes([1, 9, 5], [3, 3, 3], [1, 1, NOT], [5, 5, NOT])).coverage == 0.5
    assert realise(outcomes([1], [3])).coverage is None


def test_no_outcome_has_no_scores():
    with pytest.raises(DataError):
        realise(outcomes([], []))


# Segments


def test_thirds_are_made_of_the_predicted_value():
    prediction = np.arange(9)
    low, middle, high = by_prediction(outcomes(np.add(prediction, [0, 0, 0, 1, 1, 1, -2, -2, -2]), prediction))
    assert [segment.realised.rows for segment in (low, middle, high)] == [3, 3, 3]
    assert [segment.realised.bias for segment in (low, middle, high)] == [0, -1, 2]


def test_equal_predictions_are_one_segment():
    (only,) = by_prediction(outcomes([1, 2, 3], [5, 5, 5]))
    assert only.realised.rows == 3


def test_the_most_frequent_categories_are_shown_and_all_others_together():
    zones = np.array([float(zone) for zone in range(12) for _ in range(20 - zone)] + [NOT])
    nothing = np.zeros(len(zones))
    segments = by_category(outcomes(nothing, nothing), zones, "zone")
    assert [segment.name for segment in segments] == [*(f"zone {n}" for n in range(MOST_CATEGORIES)), "zone: any other"]
    assert sum(segment.realised.rows for segment in segments) == len(zones)
    assert segments[-1].realised.rows == 12 + 11 + 10 + 9 + 1


def test_texts_are_categories_too():
    towns = np.array(["Ay", None, "Ay", "Bree"], object)
    segments = by_category(outcomes([1, 1, 1, 1], [1, 2, 1, 3]), towns, "town")
    assert [(segment.name, segment.realised.bias) for segment in segments] == [
        ("town Ay", 0.0),
        ("town Bree", 2.0),
        ("town: any other", 1.0),
    ]


def test_the_main_category_is_the_first_of_a_pair_else_the_first(make_spec, tiny):
    def main(**changes):
        return main_category(make_spec(features={"numeric": {"size": {}}} | changes))

    assert main(categorical=["zone"], pairs=[["town", "zone"]]) == "town"
    assert main(categorical=["zone", "town"]) == "zone"
    assert main() is None


# Joins


def test_rows_are_joined_by_the_key_where_callers_give_it(make_spec, tiny):
    assert identity(make_spec(key=["zone"])) == ("zone",)
    assert identity(make_spec(key=["zone", "price"])) == make_spec().inputs()  # the price is not known before
    assert identity(make_spec()) == ("at", "town", "zone", "size")


def test_each_true_row_that_was_asked_gets_its_answer(make_columns, make_spec):
    names, columns = make_spec().inputs(), make_columns(500)
    y, rng = columns.pop("price"), np.random.default_rng(1)
    rows = rng.permutation(500)[:200]
    found = join(columns, y, take(columns, rows), answers(y[rows] + 0.5), names)
    assert np.array_equal(np.sort(found.truth), np.sort(y[rows]))  # missing values are equal to each other
    assert np.allclose(found.prediction, found.truth + 0.5)
    assert (found.held == 1).all()


def test_a_set_of_several_classes_holds_the_truth_or_does_not(make_columns, make_spec):
    kind = target_of(Target(column="price", classes=("a", "b", "c")))
    names, columns = make_spec().inputs(), make_columns(90)
    y = np.arange(90) % 3.0
    likely = np.tile([[True, True, False], [False, True, True], [True, False, False]], (30, 1))
    said = ClassAnswers(kind.labels, np.ones(90, np.int64), None, np.full((90, 3), 1 / 3), likely)
    nothing = np.full(90, NOT)
    rows = np.random.default_rng(1).permutation(90)
    asked = ClassAnswers(kind.labels, said.decision[rows], None, said.probabilities[rows], likely[rows])
    columns.pop("price")
    found = join(columns, y, take(columns, rows), Answers(y, nothing, nothing, {}, {}, classes=asked), names, (), kind)
    assert realise(found).coverage == pytest.approx(2 / 3)
    judgement = judge_coverage(found, 0.9, confidence=0.95)
    assert judgement.reason.startswith("sets held 66.7% where 90% was promised")


def test_a_row_that_differs_in_one_input_was_not_asked(make_columns, make_spec):
    columns = make_columns(50)
    y = columns.pop("price")
    others = columns | {"size": np.nan_to_num(columns["size"]) + 0.001}
    assert len(join(columns, y, others, answers(y), make_spec().inputs())) == 0


def test_answers_to_equal_rows_count_as_their_mean_and_every_equal_true_row_counts():
    truth = {"zone": np.array([1.0, 1.0, 2.0])}
    asked = {"zone": np.array([1.0, 1.0, 3.0])}
    found = join(truth, np.array([10.0, 12.0, 9.0]), asked, answers([10, 14, 5]), ["zone"])
    assert found.truth.tolist() == [10, 12]
    assert found.prediction.tolist() == [12, 12]


def test_a_key_decides_alone():
    truth = {"zone": np.array([1.0, 2.0]), "size": np.array([5.0, 5.0])}
    asked = {"zone": np.array([2.0]), "size": np.array([7.0])}
    assert join(truth, np.array([10.0, 20.0]), asked, answers([3]), ["zone"]).truth.tolist() == [20]


# Promises


def rows_with_rmse(rmse, n=2_000):
    noise = np.random.default_rng(3).normal(size=n)
    return outcomes(np.zeros(n), noise * rmse / np.sqrt((noise**2).mean()))


PROMISE = Promise(2.0, Interval(1.9, 2.1))


@pytest.mark.parametrize(
    ("rmse", "kept", "beyond_doubt"),
    [(1.0, True, False), (2.19, True, False), (2.21, False, False), (2.6, False, True)],
)
def test_a_promise_is_kept_up_to_the_margin_and_broken_beyond_doubt_where_the_interval_lies_above(
    rmse, kept, beyond_doubt
):
    found = judge(rows_with_rmse(rmse), PROMISE, **LIMITS)
    assert (found.kept, found.beyond_doubt) == (kept, beyond_doubt)
    assert f"RMSE {rmse:.4g} where 2 was promised ({rmse / 2 - 1:+.1%}, margin 10%)" in found.reason


def test_a_few_rows_break_no_promise():
    found = judge(rows_with_rmse(50, FEWEST_ROWS - 1), PROMISE, **LIMITS)
    assert found.kept and "29 rows are too few to judge by" in found.reason


def test_a_promise_of_no_error_at_all_can_be_broken():
    assert judge(rows_with_rmse(1), Promise(0.0, Interval(0, 0)), **LIMITS).beyond_doubt
