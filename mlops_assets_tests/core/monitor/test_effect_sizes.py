"""Effect sizes: what the limits mean, and that neither many nor few rows move them."""

import numpy as np
import pytest

from mlops_assets.core.monitor.effect_sizes import (
    KS_LIMIT,
    PSI_LIMIT,
    V_LIMIT,
    bias_effect,
    category_effects,
    cramers_v,
    kolmogorov_smirnov,
    number_effects,
    psi,
    share_effect,
)

SMALLEST = 0.1**0.5  # distance of two means, in standard deviations, at which a change counts


def by_measure(effects):
    return {effect.measure: effect for effect in effects}


def normal(n, mean=0.0, seed=0):
    return np.random.default_rng(seed).normal(mean, 1, n)


def towns(n, shares, seed=0):
    names = np.array(["Ay", "Bree", "Cork", None], object)
    return names[np.random.default_rng(seed).choice(4, n, p=shares)]


def test_all_limits_mean_the_same_distance_of_two_normal_distributions():
    a, b = np.sort(normal(400_000)), np.sort(normal(400_000, SMALLEST, seed=1))
    assert psi(a, b).value == pytest.approx(PSI_LIMIT, rel=0.07)
    assert kolmogorov_smirnov(a, b).value == pytest.approx(KS_LIMIT, rel=0.03)
    edges = np.linspace(-3, 3, 25)
    v = cramers_v(*(np.bincount(edges.searchsorted(x), minlength=26) for x in (a, b)))
    assert v == pytest.approx(V_LIMIT, rel=0.04)


def test_the_kolmogorov_smirnov_distance_is_that_of_scipy():
    from scipy.stats import ks_2samp

    a, b = np.sort(normal(500).round(1)), np.sort(normal(300, 0.5, seed=1).round(1))
    assert kolmogorov_smirnov(a, b).value == pytest.approx(ks_2samp(a, b).statistic)


def test_cramers_v_is_that_of_scipy_for_samples_of_one_size_and_stays_for_others():
    from scipy.stats.contingency import association

    counts = np.array([[30, 50, 20], [45, 25, 30]])
    assert cramers_v(*counts) == pytest.approx(association(counts, method="cramer"))
    assert cramers_v(counts[0] * 100, counts[1]) == pytest.approx(cramers_v(*counts))


@pytest.mark.parametrize("n", [50, 1_000, 50_000])
def test_chance_alone_counts_once_in_a_thousand_samples_at_most(n):
    rng = np.random.default_rng(n)
    counted = 0
    for _ in range(200):
        a, b = rng.normal(size=4 * n), rng.normal(size=n)
        groups = (rng.integers(0, 40, size).astype(float) for size in (4 * n, n))
        effects = [*number_effects(a, b), *category_effects(*groups)]
        counted += sum(effect.counts for effect in effects)
    assert counted <= 1


def test_a_change_that_is_too_small_to_matter_never_counts_however_many_rows_there_are():
    effects = number_effects(normal(300_000), normal(300_000, 0.1, seed=1))
    assert not any(effect.counts for effect in effects)
    from scipy.stats import ks_2samp

    assert ks_2samp(normal(300_000), normal(300_000, 0.1, seed=1)).pvalue < 1e-100


def test_a_change_that_matters_counts_with_a_thousand_rows():
    effects = by_measure(number_effects(normal(10_000), normal(1_000, 0.6, seed=1)))
    assert effects["PSI"].counts and effects["KS"].counts and not effects["missing"].counts
    assert effects["KS"].words.startswith("median")


def test_more_missing_values_count_and_say_from_what_to_what():
    values = normal(20_000)
    holes = np.where(np.arange(20_000) % 8 == 0, np.nan, values)
    effects = by_measure(number_effects(values, holes))
    assert effects["missing"].counts and effects["missing"].words == "0.0% → 12.5%"
    assert not effects["PSI"].counts


def test_a_column_that_is_empty_is_missing_and_nothing_else():
    (effect,) = number_effects(normal(1_000), np.full(1_000, np.nan))
    assert (effect.measure, effect.counts) == ("missing", True)
    (effect,) = category_effects(towns(1_000, [0.5, 0.5, 0, 0]), np.full(1_000, None, object))
    assert (effect.measure, effect.counts) == ("missing", True)


def test_a_number_that_never_changed_and_does_now_is_seen():
    effects = by_measure(number_effects(np.zeros(1_000), np.ones(1_000)))
    assert effects["KS"].value == 1 and effects["KS"].counts


def test_categories_that_came_and_went_are_named():
    before, after = towns(20_000, [0.9, 0.1, 0, 0]), towns(20_000, [0.9, 0, 0.1, 0], seed=1)
    effects = by_measure(category_effects(before, after))
    assert (effects["new"].words, effects["gone"].words) == ("Cork", "Bree")
    assert all(effects[name].counts for name in ("V", "new", "gone"))


def test_rare_categories_may_come_and_go():
    rng = np.random.default_rng(0)
    before, after = (rng.zipf(2.0, 20_000).astype(float) for _ in range(2))
    effects = by_measure(category_effects(before, after))
    assert effects["new"].value > 0
    assert not any(effect.counts for effect in effects.values())


def test_with_few_rows_a_category_may_be_absent_by_chance():
    before = towns(20_000, [0.97, 0.03, 0, 0])
    assert not by_measure(category_effects(before, towns(100, [1, 0, 0, 0])))["gone"].counts
    assert by_measure(category_effects(before, towns(2_000, [1, 0, 0, 0])))["gone"].counts


def test_numbers_and_texts_are_categories_alike():
    texts = by_measure(category_effects(towns(9_000, [0.5, 0.3, 0.1, 0.1]), towns(9_000, [0.3, 0.5, 0.1, 0.1], 1)))
    codes = {"Ay": 7.0, "Bree": 8.0, "Cork": 9.0, None: np.nan}
    samples = towns(9_000, [0.5, 0.3, 0.1, 0.1]), towns(9_000, [0.3, 0.5, 0.1, 0.1], 1)
    numbers = by_measure(category_effects(*(np.array([codes[town] for town in sample]) for sample in samples)))
    assert {name: effect.value for name, effect in texts.items()} == {
        name: effect.value for name, effect in numbers.items()
    }
    assert texts["V"].words.startswith(("Ay", "Bree")) and numbers["V"].words.startswith(("7", "8"))


def test_a_bias_counts_from_where_it_raises_the_rmse_by_a_tenth():
    y, error = np.zeros(100_000), normal(100_000)
    small, large = bias_effect(y - error - 0.42, y), bias_effect(y - error - 0.5, y)
    assert (small.counts, large.counts) == (False, True)
    assert np.sqrt(np.mean((error + 0.5) ** 2)) / error.std() > 1.1
    assert "truth +0.49" in large.words or "truth +0.5" in large.words
    assert bias_effect(y, y).value == 0


def test_a_share_says_from_what_to_what():
    effect = share_effect("share", (20, 1_000), (350, 1_000))
    assert (effect.measure, effect.counts, effect.words) == ("share", True, "2.0% → 35.0%")
    assert not share_effect("share", (0, 1_000), (0, 1_000)).value
