"""Weights of an ensemble: found on rows held out, never negative, and by the metric of the target."""

import numpy as np
import pytest

from mlops_assets.core.learners.ensemble import blend, blend_held_out, learn_weights
from mlops_assets.core.targets.kinds import target_of
from mlops_assets.dataset.target import Target

NUMBER = target_of(Target(column="price"))
ABSOLUTE = target_of(Target(column="price", metric="mae"))
YES_OR_NO = target_of(Target(column="price", kind="binary", above=20))


@pytest.fixture
def rows():
    """A truth (n,), and three that tell of it: two with errors of their own, one of noise."""
    rng = np.random.default_rng(7)
    y = rng.normal(20, 5, 600)
    return y, [y + rng.normal(0, 2, 600), y + rng.normal(0, 2, 600), rng.normal(0, 5, 600)]


@pytest.mark.parametrize("target", [NUMBER, ABSOLUTE])
def test_errors_that_differ_cancel_and_what_tells_nothing_is_left_out(target, rows):
    y, raws = rows
    weights = learn_weights(raws, y, target)
    assert weights[2] == 0 and (weights[:2] > 0.3).all()
    alone = min(target.metric(y, raw) for raw in raws)
    assert target.metric(y, blend(raws, weights)) < alone * 0.8


def test_of_squared_errors_the_sum_of_weights_is_free_and_of_others_it_is_one(rows):
    y, raws = rows
    low = [raw * 0.9 for raw in raws[:2]]
    assert learn_weights(low, y, NUMBER).sum() == pytest.approx(1 / 0.9, abs=0.01)
    assert learn_weights(low, y, ABSOLUTE).sum() == pytest.approx(1)


def test_classes_are_blended_by_their_log_loss():
    rng = np.random.default_rng(7)
    margin = rng.normal(0, 2, 800)
    y = (rng.random(800) < 1 / (1 + np.exp(-margin))).astype(np.float64)
    raws = [margin + rng.normal(0, 1, 800), margin + rng.normal(0, 1, 800), rng.normal(0, 3, 800)]
    weights = learn_weights(raws, y, YES_OR_NO)
    assert weights.sum() == pytest.approx(1) and weights.argmin() == 2


def test_what_is_said_of_a_row_held_out_is_weighted_by_other_rows(rows):
    y, raws = rows
    held = blend_held_out(raws, y, NUMBER)
    changed = y.copy()
    changed[:100] += 1_000  # of the first fifth
    assert np.array_equal(blend_held_out(raws, changed, NUMBER)[:100], held[:100])
    assert not np.allclose(blend_held_out(raws, changed, NUMBER)[200:], held[200:])


def test_weights_are_the_same_twice(rows):
    y, raws = rows
    assert np.array_equal(learn_weights(raws, y, NUMBER), learn_weights(raws, y, NUMBER))
