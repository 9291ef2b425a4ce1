import numpy as np
import pytest
from scipy import stats

from mlops_assets.core import metrics
from mlops_assets.core.metrics import Clusters, Interval, estimate, group_mean_baseline, score
from mlops_assets.core.targets.metrics import RMSE
from mlops_assets.errors import DataError


def test_scores_are_those_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(1)
    y, prediction = rng.normal(size=500), rng.normal(size=500)
    scores = score(y, prediction)
    assert scores.rmse == pytest.approx(metrics.root_mean_squared_error(y, prediction))
    assert scores.mae == pytest.approx(metrics.mean_absolute_error(y, prediction))
    assert scores.r2 == pytest.approx(metrics.r2_score(y, prediction))
    assert scores.n == 500


def test_r2_of_a_constant_target_is_finite():
    assert score(np.ones(3), np.ones(3)).r2 == 1
    assert score(np.ones(3), np.zeros(3)).r2 == 0


@pytest.mark.parametrize(
    ("y", "prediction", "message"),
    [
        ([], [], "shape"),
        ([1.0, 2.0], [1.0], "shape"),
        ([1.0, 2.0], [1.0, np.nan], "1 of 2 predicted values are not finite"),
        ([np.inf, 2.0], [1.0, 2.0], "1 of 2 true values are not finite"),
    ],
)
def test_what_cannot_be_scored_is_an_error_that_says_why(y, prediction, message):
    with pytest.raises(DataError, match=message):
        score(np.array(y), np.array(prediction))


def rows(count):
    return [Clusters.of_rows(count)]


def test_the_rmse_interval_covers_the_true_rmse_about_as_often_as_it_says():
    covered = 0
    for seed in range(200):
        errors = np.random.default_rng(seed).normal(scale=2, size=400) ** 2
        interval = RMSE.interval(errors, rows(400), confidence=0.9)
        covered += interval.low <= 2 <= interval.high
    assert 0.84 <= covered / 200 <= 0.96


@pytest.mark.parametrize("clusters", [12, 60])
def test_it_does_so_where_rows_move_together_too(clusters):
    covered = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        ids = rng.integers(0, clusters, 1_200)
        scale = 1 + rng.random(clusters)[ids]  # of which the mean square is 7/3
        interval = RMSE.interval((scale * rng.normal(size=1_200)) ** 2, [Clusters("days", ids)], confidence=0.9)
        covered += interval.low <= np.sqrt(7 / 3) <= interval.high
    assert 0.83 <= covered / 200 <= 0.97


def test_equal_errors_have_an_interval_of_no_width():
    assert RMSE.interval(np.full(50, 9.0), rows(50), confidence=0.95) == Interval(3.0, 3.0)


def test_one_cluster_says_nothing_of_how_sure_an_rmse_is():
    one = [Clusters("days", np.zeros(50, int))]
    assert RMSE.interval(np.full(50, 9.0), one, confidence=0.95) == Interval(0.0, np.inf)
    with pytest.raises(DataError, match=r"^1 days are too few to say how sure this is \(at least 2 are needed\)"):
        estimate(np.full((1, 50), 9.0), one, lambda means: means[0])


def test_clusters_of_rows_give_the_textbook_error_of_a_mean():
    values = np.random.default_rng(0).exponential(size=(1, 500))
    mean = estimate(values, rows(500), lambda means: means[0])
    assert mean.value == pytest.approx(values.mean())
    assert mean.error == pytest.approx(values.std(ddof=1) / np.sqrt(500))
    low, high = stats.t.interval(0.95, 499, values.mean(), mean.error)
    assert (mean.interval(0.95).low, mean.interval(0.95).high) == pytest.approx((low, high))


def test_clusters_of_unequal_size_are_worth_fewer():
    equal, unequal = (
        Clusters("days", np.repeat([0, 1, 2, 3], 25)),
        Clusters("days", np.repeat([0, 1, 2, 3], [97, 1, 1, 1])),
    )
    assert (len(equal), equal.effective) == (4, 4)
    assert len(unequal) == 4 and unequal.effective == pytest.approx(100**2 / (97**2 + 3))


def test_the_clusters_of_some_rows_are_those_that_have_one_of_them():
    assert Clusters("days", np.array([0, 1, 2, 2, 5])).take(np.array([2, 3, 4])).ids.tolist() == [0, 0, 1]


def test_the_mean_baseline_is_the_training_mean():
    assert metrics.mean_baseline(np.array([1.0, 2.0, 6.0]), 2).tolist() == [3.0, 3.0]


def test_a_pair_gets_its_own_mean_and_an_unseen_pair_the_overall_mean():
    train = np.array([[1, 1], [1, 1], [1, 2], [2, 1]])
    y = np.array([10.0, 20.0, 40.0, 50.0])
    asked = np.array([[1, 1], [1, 2], [2, 1], [2, 2], [-1, 9]])
    assert group_mean_baseline(train, y, asked).tolist() == [15.0, 40.0, 50.0, 30.0, 30.0]


def test_groups_may_be_one_column_of_codes():
    assert group_mean_baseline(np.array([7, 7, 8]), np.array([1.0, 3.0, 5.0]), np.array([8, 7])).tolist() == [
        5,
        2,
    ]


def test_no_rows_to_predict_give_no_predictions():
    assert len(group_mean_baseline(np.array([1, 2]), np.array([1.0, 2.0]), np.array([], dtype=int))) == 0
