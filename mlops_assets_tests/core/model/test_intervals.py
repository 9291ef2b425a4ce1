"""Prediction intervals: they hold as often as they say, in every part of the predicted range."""

import warnings

import numpy as np
import pytest

from mlops_assets.core.model.quantiles import load_intervals
from mlops_assets.core.targets.intervals import Bins, calibrate


def sample(n, seed):
    """Predictions and truths: errors grow with the prediction, lean to one side and have wild ones among them."""
    rng = np.random.default_rng(seed)
    prediction = rng.gamma(2, 15, n)
    error = prediction * (rng.lognormal(0, 0.3, n) - 0.9) + rng.standard_t(3, n)
    return prediction, prediction + error


def covered(intervals, prediction, y):
    low, high = intervals.around(prediction, {})
    return (low <= y) & (y <= high)


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9, 0.95])
def test_intervals_hold_overall_and_in_each_third_of_the_predicted_value(coverage):
    intervals = calibrate(*sample(20_000, 0), coverage)
    prediction, y = sample(50_000, 1)
    inside = covered(intervals, prediction, y)
    third = np.searchsorted(np.quantile(prediction, [1 / 3, 2 / 3]), prediction)
    assert inside.mean() == pytest.approx(coverage, abs=0.01)
    for number in range(3):
        assert inside[third == number].mean() == pytest.approx(coverage, abs=0.02)


def test_both_sides_are_missed_alike_though_errors_lean_to_one():
    intervals = calibrate(*sample(20_000, 0), 0.9)
    prediction, y = sample(50_000, 1)
    low, high = intervals.around(prediction, {})
    assert (y < low).mean() == pytest.approx(0.05, abs=0.01)
    assert (y > high).mean() == pytest.approx(0.05, abs=0.01)
    assert intervals.above[-1] > -intervals.below[-1]


def test_intervals_are_those_of_the_sorted_residuals():
    """By hand: of 999 residuals 0.001 to 0.999 without bins, 90 % lie between the 50th from either end."""
    y = np.arange(1, 1000) / 1000
    intervals = calibrate(np.full(999, 0.5), np.random.default_rng(0).permutation(y), 0.9)
    assert intervals.bins.count == 1
    assert intervals.below[0] == pytest.approx(0.05 - 0.5, abs=0.0011)
    assert intervals.above[0] == pytest.approx(0.95 - 0.5, abs=0.0011)


def test_a_prediction_lies_in_its_interval_even_where_all_truths_lie_above():
    intervals = calibrate(np.full(999, 0.0), np.arange(1, 1000) / 1000, 0.9)
    assert intervals.below[0] == 0
    assert intervals.above[0] == pytest.approx(0.95, abs=0.0011)


def test_a_higher_level_widens_the_intervals_and_not_what_they_promise():
    prediction, y = sample(5_000, 0)
    plain, wider = calibrate(prediction, y, 0.9), calibrate(prediction, y, 0.9, levels=[0.95])
    assert wider.coverage == plain.coverage == 0.9
    assert covered(wider, *sample(50_000, 1)).mean() == pytest.approx(0.95, abs=0.01)


def test_each_part_of_the_bins_gets_the_level_that_it_needs():
    prediction, y = sample(20_000, 0)
    intervals = calibrate(prediction, y, 0.8, levels=[0.8, 0.9, 0.97])
    later, truth = sample(50_000, 1)
    inside, third = covered(intervals, later, truth), intervals.bins.place(later) * 3 // intervals.bins.count
    for number, level in enumerate((0.8, 0.9, 0.97)):
        assert inside[third == number].mean() == pytest.approx(level, abs=0.01)


def test_few_rows_get_few_bins_and_too_few_no_intervals():
    assert calibrate(*sample(99, 0), 0.9) is None
    assert calibrate(*sample(100, 0), 0.9).bins.count == 1
    assert calibrate(*sample(350, 0), 0.9).bins.count == 3
    assert calibrate(*sample(350, 0), 0.99) is None
    assert calibrate(*sample(100_000, 0), 0.9).bins.count == 20


@pytest.mark.parametrize(
    "prediction",
    [
        np.full(1_000, 7.0),
        np.repeat([1.0, 2.0, 3.0], [960, 37, 3]),
        np.repeat([1.0, 2.0, 3.0], [3, 37, 960]),
        np.round(np.random.default_rng(0).gamma(2, 2, 1_000)),
    ],
)
def test_equal_predictions_leave_no_bin_with_too_few_rows(prediction):
    bins = Bins.of(prediction, fewest=100)
    assert np.bincount(bins.place(prediction), minlength=bins.count).min() >= 100
    intervals = calibrate(prediction, prediction + np.random.default_rng(1).normal(size=1_000), 0.9)
    assert np.isfinite(np.concatenate(intervals.around(prediction, {}))).all()


@pytest.mark.parametrize("values", [[1.0, 2.0, 3.0], [-3.0, -2.0, -1.0]])
def test_equal_predictions_have_one_bin_however_their_last_bit_is_rounded(values):
    bins = Bins.of(np.repeat(values, 500), fewest=100)
    assert bins.count > 1
    for value in values:
        near = np.array([np.nextafter(value, -9), value, np.nextafter(value, 9)])
        assert len({*bins.place(near).tolist(), *map(bins.place_row, near.tolist())}) == 1


def test_saved_intervals_are_the_same(tmp_path):
    intervals = calibrate(*sample(5_000, 0), 0.9)
    intervals.save(tmp_path)
    again, prediction = load_intervals(tmp_path), sample(100, 1)[0]
    assert again.coverage == 0.9
    for end, expected in zip(again.around(prediction, {}), intervals.around(prediction, {}), strict=True):
        np.testing.assert_array_equal(end, expected)


def test_calibrating_changes_no_filter_of_warnings():
    before = list(warnings.filters)
    calibrate(*sample(500, 0), 0.9)
    assert warnings.filters == before


# By category


def airports(n, seed):
    """Errors that lean otherwise and are wider in one of three categories; the last is rare."""
    rng = np.random.default_rng(seed)
    airport = rng.choice(np.array(["EWR", "JFK", "TEB"], object), n, p=[0.6, 0.39, 0.01])
    prediction = rng.gamma(2, 15, n)
    error = rng.normal(size=n) * (1 + prediction / 20) * np.where(airport == "JFK", 4, 1) + 3 * (airport == "JFK")
    return prediction, prediction + error, airport


def test_a_category_of_enough_rows_is_calibrated_by_itself():
    prediction, y, airport = airports(20_000, 0)
    shared = calibrate(prediction, y, 0.9)
    own = calibrate(prediction, y, 0.9, category=("airport", airport))
    later, truth, where = airports(100_000, 1)
    for name in ("EWR", "JFK"):
        rows = where == name
        held = [
            ((low <= truth) & (truth <= high))[rows].mean()
            for low, high in (intervals.around(later, {"airport": where}) for intervals in (shared, own))
        ]
        assert abs(held[0] - 0.9) > 0.05
        assert held[1] == pytest.approx(0.9, abs=0.012)


def test_a_rare_or_unknown_category_has_the_interval_of_all():
    prediction, y, airport = airports(20_000, 0)
    own, shared = calibrate(prediction, y, 0.9, category=("airport", airport)), calibrate(prediction, y, 0.9)
    for name in ("TEB", "LHR", None):
        columns = {"airport": np.full(5, name, object)}
        for end, expected in zip(own.around(prediction[:5], columns), shared.around(prediction[:5], {}), strict=True):
            np.testing.assert_allclose(end, expected)


def test_saved_intervals_know_their_categories(tmp_path):
    prediction, y, airport = airports(5_000, 0)
    own = calibrate(prediction, y, 0.9, category=("airport", airport))
    own.save(tmp_path)
    ends = load_intervals(tmp_path).around(prediction, {"airport": airport})
    for end, expected in zip(ends, own.around(prediction, {"airport": airport}), strict=True):
        np.testing.assert_array_equal(end, expected)


def test_residuals_of_a_calm_period_are_stretched():
    prediction, y = sample(5_000, 0)
    plain, wider = calibrate(prediction, y, 0.9), calibrate(prediction, y, 0.9, stretch=1.5)
    width, wide = (np.subtract(*i.around(prediction, {})[::-1]).mean() for i in (plain, wider))
    assert wide == pytest.approx(1.5 * width, rel=0.1)


# Of quantiles


class Guessed:
    """Quantiles of errors that grow with a feature, of which a share alone is said."""

    def __init__(self, share):
        self.share = share

    def ends(self, features):
        reach = 1.645 * self.share * features["size"]
        return np.stack([10 - reach, 10 + reach], axis=1)

    def ends_row(self, features):
        return tuple(self.ends({"size": np.array([features["size"]])})[0].tolist())


def uneven(n, seed, share=1.0):
    """Predictions that tell nothing of the errors, truths, features, and quantiles with what they say."""
    rng = np.random.default_rng(seed)
    size = rng.choice([1.0, 2.0, 8.0], n)
    features = {"size": size, "town": rng.choice(np.array(["Ay", "Bree"], object), n)}
    guessed = Guessed(share)
    return 10 + rng.normal(size=n) / 10, 10 + size * rng.normal(size=n), features, (guessed, guessed.ends(features))


@pytest.mark.parametrize("share", [0.6, 1.0, 1.5])
@pytest.mark.parametrize("coverage", [0.8, 0.9])
def test_intervals_of_quantiles_hold_as_often_as_asked_however_wrong_these_are(share, coverage):
    prediction, y, _, said = uneven(20_000, 0, share)
    intervals = calibrate(prediction, y, coverage, quantiles=said)
    later, truth, features, _ = uneven(50_000, 1)
    low, high = intervals.around(later, features)
    assert ((low <= truth) & (truth <= high)).mean() == pytest.approx(coverage, abs=0.01)
    assert (low <= later).all() and (later <= high).all()


def test_right_quantiles_make_intervals_that_hold_among_calm_rows_as_among_wild_ones():
    prediction, y, _, said = uneven(20_000, 0)
    later, truth, features, _ = uneven(50_000, 1)
    by_quantiles, by_residuals = calibrate(prediction, y, 0.9, quantiles=said), calibrate(prediction, y, 0.9)
    for size in (1.0, 2.0, 8.0):
        rows = features["size"] == size
        low, high = by_quantiles.around(later, features)
        assert ((low <= truth) & (truth <= high))[rows].mean() == pytest.approx(0.9, abs=0.02)
        assert (high - low)[rows].mean() == pytest.approx(2 * 1.645 * size, rel=0.1)
    low, high = by_residuals.around(later, features)
    assert ((low <= truth) & (truth <= high))[features["size"] == 8].mean() < 0.8


def test_levels_stretches_and_categories_act_on_intervals_of_quantiles_too():
    prediction, y, features, said = uneven(20_000, 0)
    y = np.where(features["town"] == "Bree", 10 + 3 * (y - 10), y)
    later, truth, at, _ = uneven(50_000, 1)
    truth = np.where(at["town"] == "Bree", 10 + 3 * (truth - 10), truth)

    def held_and_width(**how):
        low, high = calibrate(prediction, y, 0.9, quantiles=said, **how).around(later, at)
        return (low <= truth) & (truth <= high), (high - low).mean()

    held, width = held_and_width()
    assert held_and_width(levels=[0.96])[0].mean() == pytest.approx(0.96, abs=0.01)
    assert held_and_width(stretch=1.5)[1] > 1.2 * width
    own, _ = held_and_width(category=("town", features["town"]))
    for town in ("Ay", "Bree"):
        assert abs(held[at["town"] == town].mean() - 0.9) > 0.05
        assert own[at["town"] == town].mean() == pytest.approx(0.9, abs=0.012)


def test_a_prediction_outside_of_its_quantiles_widens_the_interval():
    prediction, y, features, said = uneven(2_000, 0)
    intervals = calibrate(prediction, y, 0.9, quantiles=said)
    features = {name: values[:2] for name, values in features.items()}
    low, high = intervals.around(np.array([-100.0, 100.0]), features)
    assert low[0] == -100 and high[1] == 100
    assert low[1] < 10 < high[0]


def test_what_is_added_to_predictions_moves_the_quantiles_with_them():
    prediction, y, features, said = uneven(150, 0)
    intervals = calibrate(prediction, y, 0.9, quantiles=said)
    assert intervals.bins.count == 1
    moved = intervals.around(prediction + 3, features, 3.0)
    for end, expected in zip(moved, intervals.around(prediction, features), strict=True):
        np.testing.assert_allclose(end, expected + 3)
    rows = [
        intervals.around_row(said + 3, {"size": size}, 3.0)
        for said, size in zip(prediction, features["size"], strict=True)
    ]
    np.testing.assert_allclose(np.array(rows).T, moved, rtol=0, atol=1e-12)
