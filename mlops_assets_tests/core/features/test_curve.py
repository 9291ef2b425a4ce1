"""The curve: the mean log of the target along the log of a number."""

import numpy as np
import pytest

from mlops_assets.core.features.target_encoding import BINS, BinnedLog, Curve, log_number

EVERYTHING = slice(None)


def fit(number, y):
    return Curve.fit(BinnedLog.of(number), EVERYTHING, np.log(y))


def test_a_power_law_is_found_again():
    number = np.random.default_rng(0).lognormal(1, 1, 20_000)
    curve = fit(number, 3 * number**0.7)
    inner = np.quantile(number, [0.02, 0.3, 0.6, 0.98])
    np.testing.assert_allclose(np.exp(curve(np.log(inner))), 3 * inner**0.7, rtol=0.01)


def test_bins_hold_about_equally_many_rows():
    number = BinnedLog.of(np.random.default_rng(0).lognormal(1, 1, 50_000))
    assert np.bincount(number.bins[number.place], minlength=BINS).tolist() == pytest.approx([250] * BINS, abs=1)


def test_numbers_without_a_log_have_the_mean_of_their_kind():
    curve = fit(np.array([1.0, 10, 0, -5, np.nan]), np.array([2.0, 2, 8, 8, 8]))
    assert log_number(np.array([0.0, -5, np.nan, 1])).tolist()[3] == 0
    np.testing.assert_allclose(curve(np.array([0.0, 5.0, np.nan])), np.log([2, 2, 8]))


def test_without_such_rows_a_missing_number_has_the_overall_mean():
    curve = fit(np.array([1.0, 1, 4]), np.array([1.0, 1, 8]))
    np.testing.assert_allclose(curve(np.array([np.nan])), np.log([1, 1, 8]).mean())


def test_a_number_that_is_always_missing_explains_nothing():
    curve = fit(np.full(3, np.nan), np.array([2.0, 2, 2]))
    np.testing.assert_allclose(curve(np.array([np.nan, 1.0])), np.log([2, 2]))


def test_beyond_its_ends_the_curve_stays_level():
    curve = fit(np.array([1.0, np.e]), np.array([2.0, 5]))
    np.testing.assert_allclose(curve(np.array([-9.0, 9.0])), np.log([2, 5]))
