"""Whether intervals kept their promise: days move together, and what chance by days explains is no fault."""

import numpy as np
import pytest

from mlops_assets.core.metrics import Clusters
from mlops_assets.core.monitor.coverage import judge_coverage
from mlops_assets.core.monitor.performance import Outcomes

DAYS, A_DAY = 30, 100


def outcomes(share, by_day=0.0, seed=0):
    """30 days of 100 rows, of which a share, that differs by day, is within an interval of -1 to 1."""
    rng = np.random.default_rng(seed)
    days = np.repeat(np.arange(DAYS), A_DAY)
    shares = np.clip(share + by_day * rng.normal(size=DAYS), 0, 1)
    truth = np.where(rng.random(len(days)) < shares[days], 0.0, 2.0)
    zero = np.zeros(len(days))
    return Outcomes(truth, zero, (truth == 0).astype(float), (Clusters("days", days),))


def test_a_share_as_promised_is_kept():
    judgement = judge_coverage(outcomes(0.92), 0.9, confidence=0.95)
    assert judgement.kept and not judgement.beyond_doubt
    assert judgement.reason.startswith("intervals held 9") and judgement.reason.endswith("where 90% was promised")


def test_far_less_than_promised_is_broken_beyond_doubt_and_a_little_less_is_broken():
    far = judge_coverage(outcomes(0.75), 0.9, confidence=0.95)
    assert (far.kept, far.beyond_doubt) == (False, True)
    assert "by 30 days" in far.reason
    little = judge_coverage(outcomes(0.86), 0.9, confidence=0.95)
    assert (little.kept, little.beyond_doubt) == (False, False)


def test_what_chance_by_days_explains_is_kept():
    """Row by row, 3,000 rows at 87 % would be a broken promise; days that differ as these do allow it."""
    moving = outcomes(0.88, by_day=0.12, seed=1)
    inside = (np.abs(moving.truth) <= 1).mean()
    assert inside < 0.88
    assert judge_coverage(moving, 0.9, confidence=0.95).kept
    by_rows = Outcomes(moving.truth, moving.prediction, moving.held)
    assert not judge_coverage(by_rows, 0.9, confidence=0.95).kept


def test_an_honest_interval_is_hardly_ever_called_broken():
    broken = sum(not judge_coverage(outcomes(0.9, 0.04, seed), 0.9, confidence=0.95).kept for seed in range(300))
    assert broken / 300 <= 0.05


@pytest.mark.parametrize("rows", [0, 10])
def test_too_few_intervals_say_nothing(rows):
    few = outcomes(0.1)
    held = np.where(np.arange(len(few)) < rows, few.held, np.nan)
    judgement = judge_coverage(Outcomes(few.truth, few.prediction, held, few.clusterings), 0.9, confidence=0.95)
    assert judgement.kept and "too few" in judgement.reason
