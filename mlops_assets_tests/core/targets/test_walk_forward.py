"""The level that intervals need: what periods before would have needed, and no more where periods are alike."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from mlops_assets.core.targets.intervals import HIGHEST
from mlops_assets.core.targets.walk_forward import look_back, needed_levels, persistence


def parts(shifts, rows=2_000, seed=0):
    """Rows of one number with noise of deviation 1, and a shift of the target for each period."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(len(shifts), rows))
    y = 3 * x + np.array(shifts)[:, None] + rng.normal(size=x.shape)
    periods = np.repeat(np.datetime64("2024-01") + np.arange(len(shifts)), rows)
    held = len(shifts) // 2 * rows
    whole = csr_matrix(x.reshape(-1, 1)), y.reshape(-1), periods
    return [tuple(values[:held] for values in whole), tuple(values[held:] for values in whole)]


def test_periods_that_are_alike_need_the_level_of_the_coverage():
    levels = look_back(parts([5] * 8)).levels
    for coverage in (0.5, 0.8, 0.9, 0.95):
        assert needed_levels(levels, coverage) == pytest.approx((coverage,) * 3, abs=0.015)


def test_periods_that_differ_need_more_and_then_intervals_hold_on_average():
    shifts = np.random.default_rng(1).normal(0, 0.7, 40)
    levels = look_back(parts(shifts)).levels
    level = np.mean(needed_levels(levels, 0.9))
    assert 0.92 < level < HIGHEST
    # By hand: the interval made in one period, about its own shift, and the share of the next period it holds.
    rng = np.random.default_rng(2)
    inside = []
    for before, after in pairwise(shifts[1:]):
        low, high = np.quantile(before + rng.normal(size=5_000), [(1 - level) / 2, (1 + level) / 2])
        later = after + rng.normal(size=5_000)
        inside.append(((low <= later) & (later <= high)).mean())
    assert np.mean(inside) == pytest.approx(0.9, abs=0.015)


def test_a_level_is_never_below_the_coverage_nor_above_the_highest():
    low, high = np.linspace(0, 0.8, 1001), np.full(1001, 1.0)
    assert needed_levels(np.array([low, high, low]), 0.9) == (0.9, HIGHEST, 0.9)


def test_fewer_than_three_periods_say_nothing():
    assert len(look_back(parts([5, 5])).levels) == 0
    assert len(look_back([]).levels) == 0
    assert needed_levels(look_back(parts([5, 5])).levels, 0.9) == (0.9,)


def test_a_third_that_changes_more_from_period_to_period_gets_a_higher_level_than_the_others():
    rng = np.random.default_rng(0)
    rows = []
    for [X, y, periods] in parts([5] * 20):
        large = X.toarray()[:, 0] > 0.43  # the upper third of a normal distribution
        shift = dict(zip(np.unique(periods), rng.normal(0, 1, 20), strict=False))
        rows.append((X, y + large * np.array([shift[period] for period in periods]), periods))
    low, middle, high = needed_levels(look_back(rows).levels, 0.9)
    assert high > 0.93 > 0.92 > max(low, middle)


def test_no_period_has_a_say_in_the_line_that_it_is_judged_by():
    """The last period's targets move only what is told of the last period."""
    [first, second] = parts([5] * 4)
    moved = second[1].copy()
    moved[-2_000:] += 1e6
    levels, other = look_back([first, second]).levels, look_back([first, (second[0], moved, second[2])]).levels
    assert (other[:, -450:] == 1).all()  # one of the two periods judged is beyond all intervals
    np.testing.assert_allclose(other[:, 250], levels[:, 500], atol=0.1)


def test_the_same_rows_give_the_same_levels():
    np.testing.assert_array_equal(look_back(parts([5, 6, 7])).levels, look_back(parts([5, 6, 7])).levels)


def test_a_period_that_is_calmer_than_most_is_stretched_to_what_is_usual_and_a_wild_one_is_not():
    def last_by(factor):
        rows = parts([5] * 8)
        rng = np.random.default_rng(3)
        X, y, periods = rows[1]
        newest = periods == periods[-1]
        line = 3 * X.toarray()[:, 0] + 5
        y = np.where(newest, line + factor * rng.normal(size=len(y)), y)
        return look_back([rows[0], (X, y, periods)]).stretch

    assert last_by(0.5) == pytest.approx(2, abs=0.1)
    assert last_by(1) == pytest.approx(1, abs=0.05)
    assert last_by(3) == 1


def test_a_bias_that_stays_is_told_from_one_that_comes_and_goes():
    assert persistence([2.0] * 9) == pytest.approx(8 / 12)  # eight pairs of periods, and four in doubt
    assert persistence([2.0, -2.0] * 4) == 0
    assert persistence([0.0] * 5) == persistence([1.0]) == persistence([]) == 0
    assert persistence([0.1, 9.0]) < 0.01  # one pair tells little


def test_looking_back_sees_how_much_of_a_bias_the_next_period_has():
    drifting = look_back(parts(np.linspace(0, 20, 12))).persistence
    turning = look_back(parts([2, 8] * 6)).persistence
    assert drifting > 0.6 > 0 == turning
    assert look_back([]).persistence == 0
