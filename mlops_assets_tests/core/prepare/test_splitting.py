"""Which rows are trained on: periods by age, rows by time, and snapshots by a hash."""

import numpy as np
import pytest

from mlops_assets.core.prepare.splitting import (
    MOST_STEPS,
    Cutoffs,
    Evenly,
    Periods,
    choose_periods,
    period_numbers,
    split_by_hash,
    split_by_time,
    walking_steps,
)
from mlops_assets.dataset import Window
from mlops_assets.dataset.periods import Cadence
from mlops_assets.errors import DataError

YEAR = [f"2023-{period:02}" for period in range(1, 13)]


def test_the_newest_period_is_for_the_test_and_the_one_before_for_validation():
    periods = choose_periods(YEAR, Window(train_periods=3, validation_periods=1, test_periods=1))
    assert periods == Periods(("2023-08", "2023-09", "2023-10"), ("2023-11",), ("2023-12",))
    assert periods.all == ("2023-08", "2023-09", "2023-10", "2023-11", "2023-12")


def test_the_order_in_which_periods_are_listed_does_not_matter():
    shuffled = list(np.random.default_rng(0).permutation(YEAR))
    assert choose_periods(shuffled, Window()) == choose_periods(YEAR, Window())


def test_fewer_periods_than_wanted_are_all_used():
    assert choose_periods(YEAR[:3], Window()) == Periods(("2023-01",), ("2023-02",), ("2023-03",))
    longer = Window(train_periods=2, validation_periods=2, test_periods=3)
    assert choose_periods(YEAR[:6], longer) == Periods(("2023-01",), ("2023-02", "2023-03"), tuple(YEAR[3:6]))


def test_without_test_periods_there_are_two_parts():
    assert choose_periods(YEAR[:2], Window(test_periods=0)) == Periods(("2023-01",), ("2023-02",), ())


def test_periods_that_are_absent_are_passed_over_and_told():
    chosen = choose_periods(["2023-01", "2023-03", "2023-05"], Window())
    assert (chosen.train, chosen.gaps) == (("2023-01",), ("2023-02", "2023-04"))
    assert chosen.gap_note == " Between its periods the window has a gap: 2023-02, 2023-04."
    assert choose_periods(YEAR, Window()).gap_note == ""
    assert (
        "2023-02-02, 2023-02-03, 2023-02-04, 2023-02-05, 2023-02-06 and 53 more."
        in choose_periods(["2023-02-01", "2023-04-01", "2023-04-02"], Window(), Cadence("day")).gap_note
    )


def test_a_window_may_refuse_gaps():
    with pytest.raises(DataError, match=r"window\.gaps is refuse\. .* 2023-02\. Mend the source, or set"):
        choose_periods(["2023-01", "2023-03", "2023-04"], Window(gaps="refuse"))


def test_periods_are_numbered_as_the_calendar_has_them():
    times = np.array(["1969-12-28", "1969-12-29", "1970-01-04T23:59", "1970-01-05", "2024-12-30"], "datetime64[us]")
    assert period_numbers(times, "week").tolist() == [-1, 0, 0, 1, 2870]
    assert period_numbers(times, "quarter").tolist() == [-1, -1, 0, 0, 219]


def test_a_walk_over_many_short_periods_takes_few_steps_and_the_newest_is_whole():
    days = np.datetime64("2024-01-01") + np.arange(400)
    train, held = walking_steps([days[:300].astype("datetime64[us]"), days[300:].astype("datetime64[us]")], "day")
    steps, counts = np.unique(np.concatenate([train, held]), return_counts=True)
    assert len(steps) == MOST_STEPS - 2
    assert (steps[-1], set(counts[1:])) == (0, {7})
    assert np.unique(walking_steps([days.astype("datetime64[us]")], "month")[0]).tolist() == list(range(-13, 1))


@pytest.mark.parametrize(("count", "test_periods"), [(0, 1), (1, 1), (2, 1), (1, 0)])
def test_too_few_periods_are_told_with_what_is_needed(count, test_periods):
    needed = f"{count} period.s. are not enough: 1 for validation, {test_periods} for test and at least 1 for training"
    with pytest.raises(DataError, match=needed):
        choose_periods(YEAR[:count], Window(test_periods=test_periods))


def test_a_snapshot_is_each_of_its_parts():
    assert choose_periods(["snapshot"], Window()) == Periods(("snapshot",), ("snapshot",), ("snapshot",))
    assert choose_periods(["snapshot"], Window(test_share=0)).test == ()
    assert choose_periods(["snapshot"], Window()).all == ("snapshot",)


def test_a_row_on_the_first_microsecond_of_a_part_belongs_to_it():
    times = np.array(["2023-10-31T23:59:59.999999", "2023-11-01", "2023-11-30T23:59", "2023-12-01"], "datetime64[us]")
    november, december = np.datetime64("2023-11"), np.datetime64("2023-12")
    assert split_by_time(times, november, december).tolist() == [0, 1, 1, 2]
    assert split_by_time(times, november, None).tolist() == [0, 1, 1, 1]


@pytest.mark.parametrize(("validation", "test"), [(0.15, 0.15), (0.3, 0.0), (0.05, 0.45)])
def test_a_snapshot_is_split_in_the_shares_that_are_asked_for(validation, test):
    key = {"id": np.arange(50_000.0)}
    split = split_by_hash(key, Window(validation_share=validation, test_share=test), seed=7)
    shares = np.bincount(split, minlength=3) / len(split)
    np.testing.assert_allclose(shares, [1 - validation - test, validation, test], atol=0.01)


def test_a_row_never_changes_sides_when_others_come():
    ids = np.random.default_rng(0).permutation(10_000).astype(float)
    before = split_by_hash({"id": ids[:3_000]}, Window(), seed=7)
    after = split_by_hash({"id": np.sort(ids)}, Window(), seed=7)
    np.testing.assert_array_equal(after[ids[:3_000].astype(int)], before)
    assert (split_by_hash({"id": ids[:3_000]}, Window(), seed=8) != before).any()


def test_each_class_is_held_out_by_its_own_share_and_keeps_its_sides_when_others_come():
    rng = np.random.default_rng(0)
    places, codes = rng.random(2_000), (rng.random(2_000) < 0.02).astype(int)
    window = Window(validation_share=0.2, test_share=0.1)
    split = Cutoffs.by_class(places, codes, window).split(places, codes)
    for code in (0, 1):
        count = np.count_nonzero(codes == code)
        held = round((0.2 + 0.1) * count) - round(0.1 * count), round(0.1 * count)
        assert np.bincount(split[codes == code], minlength=3).tolist() == [count - sum(held), *held]
    fewer = Cutoffs.by_class(places[:1_800], codes[:1_800], window).split(places[:1_800], codes[:1_800])
    assert np.mean(fewer != split[:1_800]) < 0.02
    none = Cutoffs.by_class(places, codes, Window(test_share=0)).split(places, codes)
    assert set(none) == {0, 1}


def test_rows_with_one_key_stay_together():
    towns = np.array(["Ay", "Bree", None, "Ay", "Bree", None], object)
    split = split_by_hash({"town": towns, "zone": np.array([1.0, 2, np.nan] * 2)}, Window(), seed=7)
    assert split[:3].tolist() == split[3:].tolist()


def test_a_growing_test_share_only_takes_rows_from_before_it():
    key = {"id": np.arange(5_000.0)}
    small, large = (split_by_hash(key, Window(test_share=share), seed=7) for share in (0.1, 0.2))
    assert (large[small == 2] == 2).all()


@pytest.mark.parametrize("share", [1.0, 0.5, 0.01])
def test_an_even_share_does_not_depend_on_the_batches(share):
    at_once, in_parts = Evenly(share), Evenly(share)
    chosen = np.concatenate([in_parts.choose(count) for count in (1, 0, 7, 500, 492)])
    np.testing.assert_array_equal(chosen, at_once.choose(1000))
    assert chosen[0]
    assert np.count_nonzero(chosen) == 1000 * share
