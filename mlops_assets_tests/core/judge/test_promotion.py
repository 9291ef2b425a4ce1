import numpy as np
import pytest

from mlops_assets.core.judge.promotion import judge
from mlops_assets.errors import DataError

GATE = {"confidence": 0.95, "minimum_gain": 0.002, "seed": 7}


def errors_of(rmse: float, n: int = 5_000, seed: int = 0) -> np.ndarray:
    """Squared errors: most of an error is the event's own, a part is the model's."""
    event = np.random.default_rng(99).standard_t(4, size=n)
    model = np.random.default_rng(seed).normal(scale=0.4, size=n)
    errors = event + model
    return (errors * rmse / np.sqrt(np.mean(errors**2))) ** 2


@pytest.mark.parametrize("n", [30, 300])
def test_an_equal_model_is_promoted_no_more_often_than_the_stated_level(n):
    promoted = 0
    for seed in range(400):
        rng = np.random.default_rng([n, seed])
        event = rng.standard_t(3, size=n)
        one, other = ((event + rng.normal(scale=0.5, size=n)) ** 2 for _ in range(2))
        verdict = judge(one, other, {}, confidence=0.95, minimum_gain=0, seed=seed, resamples=200)
        promoted += verdict.promote
    assert promoted / 400 <= 0.05


def test_a_model_is_never_promoted_over_itself():
    errors = errors_of(4)
    verdict = judge(errors, errors, {}, confidence=0.95, minimum_gain=0, seed=7)
    assert not verdict.promote
    assert verdict.gain == 0
    assert verdict.reason.startswith("Not promoted: RMSE 4 is that of the champion;")


def test_a_real_gain_of_two_percent_on_many_rows_is_promoted():
    verdict = judge(
        errors_of(4.9, 50_000, seed=1), errors_of(5.0, 50_000, seed=2), {"mean": errors_of(9, 50_000)}, **GATE
    )
    assert verdict.promote
    assert verdict.gain == pytest.approx(0.02)
    assert verdict.challenger_rmse == pytest.approx(4.9)
    assert verdict.champion_rmse == pytest.approx(5.0)
    assert 0 < verdict.interval.low < 0.1 < verdict.interval.high
    assert verdict.reason.startswith("Promoted: RMSE 4.9 is 2.00% below the 5 of the champion on 50,000 rows;")


def test_a_gain_that_is_certain_but_small_is_not_promoted():
    champion = errors_of(5)
    verdict = judge(champion * 0.998, champion, {}, **GATE)
    assert verdict.interval.low > 0
    assert not verdict.promote
    assert "which is less than the 0.2% asked for" in verdict.reason


def test_a_gain_that_is_large_but_uncertain_is_not_promoted():
    verdict = judge(errors_of(4.9, 50, seed=1), errors_of(5.0, 50, seed=2), {}, **GATE)
    assert not verdict.promote
    assert "does not lie above zero" in verdict.reason


def test_a_worse_model_is_not_promoted():
    verdict = judge(errors_of(5.5, seed=1), errors_of(5.0, seed=2), {}, **GATE)
    assert not verdict.promote
    assert "RMSE 5.5 is 10.00% above the 5 of the champion" in verdict.reason


def test_without_a_champion_the_first_model_that_beats_the_baselines_is_promoted():
    verdict = judge(errors_of(5), None, {"mean": errors_of(9), "pair mean": errors_of(6)}, **GATE)
    assert verdict.promote
    assert (verdict.champion, verdict.champion_rmse, verdict.gain, verdict.interval) == (
        None,
        None,
        None,
        None,
    )
    assert [comparison.rmse for comparison in verdict.baselines] == pytest.approx([9, 6])
    assert "there is no champion yet" in verdict.reason


@pytest.mark.parametrize("champion", [None, errors_of(8)])
def test_a_model_that_does_not_beat_a_baseline_is_not_promoted(champion):
    verdict = judge(errors_of(6, seed=1), champion, {"mean": errors_of(9), "pair mean": errors_of(6, seed=2)}, **GATE)
    assert not verdict.promote
    assert "the baseline 'pair mean'" in verdict.reason


def test_too_few_rows_promote_nothing():
    verdict = judge(errors_of(1, 29), errors_of(9, 29), {}, **GATE)
    assert not verdict.promote
    assert verdict.reason == "Not promoted: 29 test rows are too few to judge by (at least 30 are needed)."


def test_the_same_seed_gives_the_same_verdict():
    rivals = errors_of(4.95, seed=1), errors_of(5, seed=2), {"mean": errors_of(9)}
    assert judge(*rivals, **GATE) == judge(*rivals, **GATE)


def test_errors_of_different_rows_cannot_be_compared():
    with pytest.raises(DataError, match="the challenger has 40, the champion has 50"):
        judge(errors_of(5, 40), errors_of(5, 50), {}, **GATE)


def test_errors_that_are_not_numbers_are_named():
    broken = errors_of(5, 40)
    broken[3] = np.nan
    with pytest.raises(DataError, match="1 of 40 squared errors of the baseline 'mean'"):
        judge(errors_of(5, 40), None, {"mean": broken}, **GATE)


def test_no_rows_are_an_error():
    with pytest.raises(DataError, match="without test rows"):
        judge(np.array([]), None, {}, **GATE)
