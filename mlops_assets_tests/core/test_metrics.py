import numpy as np
import pytest

from mlops_assets.core import metrics
from mlops_assets.core.metrics import Interval, bootstrap_means, group_mean_baseline, rmse_interval, score
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


def test_the_rmse_interval_covers_the_true_rmse_about_as_often_as_it_says():
    covered = 0
    for seed in range(200):
        errors = np.random.default_rng(seed).normal(scale=2, size=400) ** 2
        interval = rmse_interval(errors, confidence=0.9, seed=seed, resamples=300)
        covered += interval.low <= 2 <= interval.high
    assert 0.84 <= covered / 200 <= 0.96


def test_a_seed_gives_the_same_interval_again():
    errors = np.random.default_rng(3).exponential(size=1000)
    first = rmse_interval(errors, confidence=0.95, seed=5)
    assert rmse_interval(errors, confidence=0.95, seed=5) == first
    assert rmse_interval(errors, confidence=0.95, seed=6) != first


def test_equal_errors_have_an_interval_of_no_width():
    assert rmse_interval(np.full(50, 9.0), confidence=0.95, seed=0) == Interval(3.0, 3.0)


def test_drawing_blocks_gives_the_spread_of_drawing_rows(monkeypatch):
    values = np.random.default_rng(0).exponential(size=(2, 12_000))
    rows = bootstrap_means(values, seed=1, resamples=600)
    monkeypatch.setattr(metrics, "BLOCKS", 3_000)
    blocks = bootstrap_means(values, seed=1, resamples=600)
    assert blocks.mean(axis=0) == pytest.approx(values.mean(axis=1), rel=0.005)
    assert blocks.std(axis=0) == pytest.approx(rows.std(axis=0), rel=0.12)


def test_all_columns_of_a_bootstrap_share_their_draws():
    values = np.random.default_rng(0).normal(size=200)
    means = bootstrap_means(np.stack([values, values + 1]), seed=0, resamples=50)
    assert means[:, 1] - means[:, 0] == pytest.approx(np.ones(50))


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
