import numpy as np
import pytest

from mlops_assets.core.judge.promotion import confidence_of_look
from mlops_assets.core.judge.promotion import judge as judge_by_clusters
from mlops_assets.core.metrics import Clusters
from mlops_assets.errors import DataError

GATE = {"confidence": 0.95, "minimum_gain": 0.002}


def judge(challenger, *rivals, clusterings=None, **options):
    """The verdict on rows that are taken one by one where nothing is said of how they move together."""
    return judge_by_clusters(
        challenger, *rivals, clusterings=clusterings or (Clusters.of_rows(len(challenger)),), **options
    )


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
        verdict = judge(one, other, {}, confidence=0.95, minimum_gain=0)
        promoted += verdict.promote
    assert promoted / 400 <= 0.05


def test_a_model_is_never_promoted_over_itself():
    errors = errors_of(4)
    verdict = judge(errors, errors, {}, confidence=0.95, minimum_gain=0)
    assert not verdict.promote
    assert verdict.gain == 0
    assert verdict.reason.startswith("Not promoted: RMSE 4 is that of the champion;")


def test_a_real_gain_of_two_percent_on_many_rows_is_promoted():
    verdict = judge(
        errors_of(4.9, 50_000, seed=1), errors_of(5.0, 50_000, seed=2), {"mean": errors_of(9, 50_000)}, **GATE
    )
    assert verdict.promote
    assert verdict.gain == pytest.approx(0.02)
    assert verdict.challenger_loss == pytest.approx(4.9)
    assert verdict.champion_loss == pytest.approx(5.0)
    assert 0 < verdict.interval.low < 0.1 < verdict.interval.high
    assert verdict.reason.startswith("Promoted: RMSE 4.9 is 2.00% below the 5 of the champion on 50,000 rows;")


def test_a_better_model_that_does_not_behave_as_expected_is_not_promoted():
    rivals = errors_of(9), {}
    assert judge(errors_of(4), *rivals, **GATE).promote
    verdict = judge(errors_of(4), *rivals, unmet=["size falls", "it is negative"], **GATE)
    assert not verdict.promote
    assert verdict.reason.startswith("Not promoted: it does not behave as expected: size falls; it is negative. Judged")


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
    assert (verdict.champion, verdict.champion_loss, verdict.gain, verdict.interval) == (
        None,
        None,
        None,
        None,
    )
    assert [comparison.loss for comparison in verdict.baselines] == pytest.approx([9, 6])
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


def test_the_same_errors_give_the_same_verdict():
    rivals = errors_of(4.95, seed=1), errors_of(5, seed=2), {"mean": errors_of(9)}
    one, other = judge(*rivals, **GATE), judge(*rivals, **GATE)
    assert (one.promote, one.reason, one.interval) == (other.promote, other.reason, other.interval)


DAYS = Clusters("days", np.repeat(np.arange(30), 100))


def equal_by_day(seed: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Losses of two equal models that disagree by whole days: `share` of the variance of their difference."""
    rng = np.random.default_rng(seed)
    own, by_day = rng.normal(size=3_000), rng.normal(size=30)[DAYS.ids]
    difference = np.sqrt(1 - share) * own + np.sqrt(share) * by_day
    event = 4 * rng.chisquare(1, 3_000) + 6
    return event + difference / 2, event - difference / 2


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_an_equal_model_that_is_better_on_some_days_is_not_promoted_more_often(share):
    verdicts = [judge(*equal_by_day(seed, share), {}, clusterings=[DAYS], **GATE) for seed in range(400)]
    by_rows = [judge(*equal_by_day(seed, share), {}, **GATE) for seed in range(400)]
    assert sum(verdict.promote for verdict in verdicts) / 400 <= 0.05
    assert sum(verdict.promote for verdict in by_rows) / 400 > 0.1  # what it would be if days did not count


def test_the_clusters_with_the_larger_error_count_and_the_verdict_names_them():
    one, other = equal_by_day(3, share=0.5)
    verdict = judge(one, other, {}, clusterings=[DAYS, Clusters.of_rows(3_000)], **GATE)
    assert verdict.champion.difference.clusters is DAYS
    assert "Judged by 30 days: a gain of " in verdict.reason
    assert verdict.reason.endswith("or more would have been seen in four of five tries.")


def test_the_smallest_visible_gain_is_one_that_most_tries_see():
    visible = judge(*equal_by_day(0, share=0.05), {}, clusterings=[DAYS], **GATE).champion.smallest_visible_gain
    seen = 0
    for seed in range(200):
        one, other = equal_by_day(seed, share=0.05)
        seen += judge(one * (1 - visible) ** 2, other, {}, clusterings=[DAYS], **GATE).champion.won
    assert seen / 200 == pytest.approx(0.8, abs=0.12)


def test_a_further_look_at_the_same_rows_asks_for_more():
    assert [confidence_of_look(0.95, look) for look in (1, 2, 10)] == pytest.approx([0.95, 0.9875, 0.9995])
    spent = sum((1 - confidence_of_look(0.95, look)) / 2 for look in range(1, 10_000))
    assert spent < 0.05
    rivals = errors_of(4.93, 3_000, seed=1), errors_of(5.0, 3_000, seed=2)
    first, fourth = (judge(*rivals, {}, confidence=0.95, minimum_gain=0, look=look) for look in (1, 4))
    assert fourth.interval.low < first.interval.low
    assert "at look 4 at the same rows" in fourth.reason


def test_ten_looks_with_equal_models_promote_no_more_often_than_one_may():
    promoted = 0
    for period in range(150):
        rng = np.random.default_rng(period)
        event, champion = rng.standard_t(4, size=900), rng.normal(scale=0.5, size=900)
        for look in range(1, 11):
            challenger = (event + rng.normal(scale=0.5, size=900)) ** 2
            if judge(challenger, (event + champion) ** 2, {}, confidence=0.95, minimum_gain=0, look=look).promote:
                promoted += 1
                break
    assert promoted / 150 <= 0.08  # 5 % and two standard errors of 150 tries; without counting looks it is 19 %


def test_a_challenger_that_loses_in_a_slice_is_refused_and_the_slice_is_named():
    champion = errors_of(5, seed=2)
    small = np.arange(5_000) < 500
    challenger = np.where(small, champion * 1.5, champion * 0.8)
    parts = {"carrier AA": small, "carrier UA": ~small}
    verdict = judge(challenger, champion, {}, slices=parts, **GATE)
    assert not verdict.promote and verdict.gain > 0
    assert "Not promoted: it gains overall, and loses where carrier AA (500 rows):" in verdict.reason
    assert judge(challenger, champion, {}, **GATE).promote
    assert [(part.name, part.rows) for part in verdict.slices] == [("carrier AA", 500), ("carrier UA", 4_500)]


def test_a_slice_that_is_a_little_worse_by_chance_stops_nothing():
    refused = 0
    for seed in range(100):
        champion = errors_of(5, seed=1_000 + seed)
        parts = {f"part {number}": np.arange(5_000) % 8 == number for number in range(8)}
        verdict = judge(errors_of(4.8, seed=seed), champion, {}, slices=parts, **GATE)
        refused += "loses where" in verdict.reason
    assert refused <= 5


def test_rows_of_one_cluster_promote_nothing():
    one_day = Clusters("days", np.zeros(100, int))
    verdict = judge(errors_of(4, 100), errors_of(5, 100), {}, clusterings=[one_day], **GATE)
    assert verdict.reason == "Not promoted: 1 days are too few to judge by."


def test_errors_of_different_rows_cannot_be_compared():
    with pytest.raises(DataError, match="the challenger has 40, the champion has 50"):
        judge(errors_of(5, 40), errors_of(5, 50), {}, **GATE)


def test_errors_that_are_not_numbers_are_named():
    broken = errors_of(5, 40)
    broken[3] = np.nan
    with pytest.raises(DataError, match="1 of 40 losses of the baseline 'mean'"):
        judge(errors_of(5, 40), None, {"mean": broken}, **GATE)


def test_no_rows_are_an_error():
    with pytest.raises(DataError, match="without test rows"):
        judge(np.array([]), None, {}, **GATE)
