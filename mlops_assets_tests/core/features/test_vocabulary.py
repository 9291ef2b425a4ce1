"""Vocabularies: codes by sorted value, and -1 for what training did not have."""

import numpy as np
import pytest

from mlops_assets.core.features.categories import UNKNOWN, Vocabulary, distinct, find


def objects(*values):
    return np.array(values, object)


def test_codes_are_the_places_of_the_sorted_distinct_values():
    vocabulary = Vocabulary.fit(objects("b", "a", None, "b"))
    assert vocabulary.values.tolist() == ["a", "b"]
    assert vocabulary.encode(objects("a", "b", "c", None, "")).tolist() == [0, 1, UNKNOWN, UNKNOWN, UNKNOWN]


@pytest.mark.parametrize(
    "values",
    [[3.0, 1.0, 65_535.0], [-4.0, 0.0, 2.0], [1.0, 2.0, 10_000_000.0], [0.0], [2.0**53]],
    ids=["small", "negative", "large", "zero", "at the end of exact floats"],
)
def test_numbers_are_coded_alike_whether_looked_up_or_searched(values):
    vocabulary = Vocabulary.fit(np.array([*values, np.nan, np.inf, values[0]]))
    assert vocabulary.values.tolist() == sorted(values)
    codes = vocabulary.encode(np.array([*sorted(values), np.nan, np.inf, -np.inf, 77.0, -77.0, 1e300]))
    assert codes.tolist() == [*range(len(values)), *[UNKNOWN] * 6]


@pytest.mark.parametrize("column", [np.array([np.nan, np.nan]), np.array([]), objects(None, None), objects()])
def test_a_column_without_values_has_an_empty_vocabulary_that_knows_nothing(column):
    vocabulary = Vocabulary.fit(column)
    assert len(vocabulary) == 0
    assert vocabulary.encode(column).tolist() == [UNKNOWN] * len(column)


def test_find_gives_places_in_a_sorted_array():
    assert find(np.array([1, 5, 9]), np.array([9, 1, 4, 100, -1])).tolist() == [2, 0, -1, -1, -1]
    assert find(np.array([]), np.array([1, 2])).tolist() == [-1, -1]


def test_few_wanted_numbers_are_found_as_many_are():
    ordered, wanted = np.array([0, 5, 90]), np.array([90, 5, 4, 91, 1_000, -1, 0])
    by_search, by_table = find(ordered, wanted), find(ordered, np.tile(wanted, 100))
    assert by_search.tolist() == [2, 1, -1, -1, -1, -1, 0]
    assert by_table.tolist() == by_search.tolist() * 100
    assert by_table.dtype == by_search.dtype == np.int64


@pytest.mark.parametrize("ids", [[], [3], [4, 0, 4, 9], [7, 2**62, 7], [2**31, 0, 1]])
def test_distinct_ids_come_sorted_with_the_place_of_each(ids):
    ids = np.array(ids, np.int64)
    ordered, place = distinct(ids)
    assert ordered.tolist() == sorted(set(ids.tolist()))
    assert ordered[place].tolist() == ids.tolist()
    assert ordered.dtype == place.dtype == np.int64
