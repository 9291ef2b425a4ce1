"""A training set is judged by what stood in its splits."""

import numpy as np
import pytest

from mlops_assets.core.prepare.sides import FEWEST_ROWS, SPLIT_CHECKS, Sides, judge_splits
from mlops_assets.core.prepare.splitting import SPLITS

MANY = FEWEST_ROWS * 2


def days(first, count=2):
    return np.datetime64(first) + np.arange(count)


def sides_of(groups=None, times=None, passes=1):
    sides = Sides()
    for _ in range(passes):
        for number, name in enumerate(SPLITS):
            columns = {"house": np.array(groups[number])} if groups else {}
            sides.add(name, columns, times[number] if times else None)
    return sides


def outcomes(sides, targets=None, labels=()):
    targets = targets or {name: np.arange(MANY) % 7.0 for name in SPLITS}
    judged = judge_splits(sides, targets, labels)
    assert [outcome.name for outcome in judged] == [check.name for check in SPLIT_CHECKS]
    return {outcome.name: outcome for outcome in judged}


@pytest.mark.parametrize(
    ("sides", "said"),
    [
        (sides_of([[1, 1], [2], [3]], passes=2), "3 groups are in one split each"),
        (sides_of(times=[days("2024-01-01"), days("2024-02-01"), days("2024-03-01")]), "splits follow each other"),
        (sides_of(), "rows are divided by a hash of their key"),
    ],
)
def test_what_keeps_splits_apart_is_said(sides, said):
    outcome = outcomes(sides)["no_leak"]
    assert outcome.passed and said in outcome.description


@pytest.mark.parametrize(
    ("sides", "said"),
    [
        (
            sides_of([[1, 2], [2], [3, 1]]),
            "1 group(s) are in train and in validation; 1 group(s) are in train and in test",
        ),
        (
            sides_of(times=[days("2024-01-01"), days("2024-01-02"), days("2024-03-01")]),
            "validation begins at 2024-01-02, before train ends",
        ),
    ],
)
def test_a_leak_stops_the_training_set(sides, said):
    outcome = outcomes(sides)["no_leak"]
    assert not outcome.passed and outcome.blocking
    assert outcome.description == said


def test_few_rows_are_a_warning():
    targets = {"train": np.arange(MANY) * 1.0, "validation": np.arange(5.0)}
    outcome = outcomes(sides_of(), targets)["rows_in_each_split"]
    assert not outcome.passed and not outcome.blocking
    assert outcome.description == "validation has 5"
    assert outcome.numbers == {"train_rows": MANY, "validation_rows": 5}


@pytest.mark.parametrize(
    ("held", "labels", "said"),
    [
        (np.zeros(MANY), ("red", "green"), "no row of validation is green"),
        (np.full(MANY, 2.5), (), "all targets of validation are 2.5"),
    ],
)
def test_a_split_without_a_class_or_without_a_difference_is_a_warning(held, labels, said):
    targets = {"train": np.arange(MANY) % 2.0, "validation": held}
    outcome = outcomes(sides_of(), targets, labels)["targets_in_each_split"]
    assert not outcome.passed and outcome.description == said
