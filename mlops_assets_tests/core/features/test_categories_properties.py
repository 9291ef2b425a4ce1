"""What holds of every vocabulary, and of every group of rows."""

from collections.abc import Mapping

import numpy as np
from hypothesis import strategies as st

from mlops_assets.core.features.categories import (
    UNKNOWN,
    Key,
    Lookup,
    Token,
    Vocabulary,
    distinct,
    find,
    group_ids,
    most_groups,
)
from mlops_assets_tests.properties import for_all

# Small and large, so that codes are looked up in a table and searched for; at both ends of the table, too.
WHOLE = st.integers(-3, 40) | st.sampled_from([2**16 - 1, 2**16, 2**31, 2**53, -(2**53)]) | st.integers(-(2**53), 2**53)
NUMBERS = st.lists(WHOLE.map(float) | st.sampled_from([np.nan, np.inf, -np.inf, -0.0]), max_size=20)
TEXTS = st.lists(st.none() | st.text(max_size=3), max_size=20)
IDS = st.lists(st.integers(0, 40) | st.integers(0, 2**62), max_size=20)
MANY = 300  # rows from which on a table may be filled


def codes_of(fitted, values) -> list[int]:
    """The place of each value among the distinct ones that are present, found the slow way."""
    present = sorted({value for value in fitted if value is not None and np.isfinite(value)})
    return [present.index(value) if value in present else UNKNOWN for value in values]


@for_all(300, fitted=NUMBERS, others=NUMBERS)
def test_a_number_has_the_place_of_its_value_and_any_other_minus_one(fitted, others):
    vocabulary = Vocabulary.fit(np.array(fitted, np.float64))
    values = fitted + others
    codes = vocabulary.encode(np.array(values, np.float64))
    assert codes.dtype == np.int64 and codes.tolist() == codes_of(fitted, values)
    many = vocabulary.encode(np.tile(np.array(values, np.float64), MANY))
    assert many.tolist() == codes.tolist() * MANY


@for_all(fitted=TEXTS, others=TEXTS)
def test_a_text_has_the_place_of_its_value_and_any_other_minus_one(fitted, others):
    vocabulary = Vocabulary.fit(np.array([*fitted, None], object)[:-1])
    values = fitted + others
    present = sorted({text for text in fitted if text is not None})
    codes = vocabulary.encode(np.array([*values, None], object)[:-1])
    assert codes.tolist() == [present.index(text) if text in present else UNKNOWN for text in values]


@for_all(
    300, ordered=IDS.map(lambda ids: sorted(set(ids))), values=st.lists(st.integers(-3, 45) | st.integers(0, 2**62))
)
def test_an_id_is_found_where_it_stands_by_table_and_by_search(ordered, values):
    expected = [ordered.index(value) if value in ordered else UNKNOWN for value in values]
    array, wanted = np.array(ordered, np.int64), np.array(values, np.int64)
    assert find(array, wanted).tolist() == expected
    assert find(array, np.tile(wanted, MANY)).tolist() == expected * MANY


@for_all(ids=IDS)
def test_distinct_ids_are_sorted_and_each_row_knows_the_place_of_its_own(ids):
    for array in (np.array(ids, np.int64), np.tile(np.array(ids, np.int64), MANY)):
        ordered, place = distinct(array)
        assert ordered.tolist() == sorted(set(ids))
        np.testing.assert_array_equal(ordered[place], array)


CATEGORY, NUMBER = "town", "size"
TOWNS = 4
ROWS = st.lists(
    st.tuples(st.integers(UNKNOWN, TOWNS - 1), st.integers(-40, 80).map(lambda half: half / 2) | st.just(np.nan)),
    min_size=1,
    max_size=12,
)
TOKENS = st.lists(
    st.just(Token(CATEGORY, size=TOWNS))
    | st.builds(Token, st.just(NUMBER), st.sampled_from([0.5, 1.0, 5.0]), st.integers(-5, 5), st.integers(1, 9)),
    min_size=1,
    max_size=3,
    unique=True,
).map(tuple)


def columns_of(rows) -> tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray]]:
    """Features and codes of rows of a town's code and a size."""
    towns, sizes = zip(*rows, strict=True)
    return {CATEGORY: np.array(towns), NUMBER: np.array(sizes)}, {CATEGORY: np.array(towns, np.int64)}


@for_all(tokens=TOKENS, rows=ROWS)
def test_rows_are_of_one_group_just_where_all_their_tokens_agree(tokens, rows):
    features, codes = columns_of(rows)
    by_token = np.column_stack([token.encode(features, codes) for token in tokens])
    assert (by_token >= 0).all() and (by_token <= [token.size for token in tokens]).all()
    ids = group_ids(tokens, features, codes)
    assert ((ids >= 0) & (ids < most_groups(tokens))).all()
    same_tokens = (by_token[:, None] == by_token[None]).all(axis=2)
    np.testing.assert_array_equal(ids[:, None] == ids[None], same_tokens)


@for_all(width=st.sampled_from([0.5, 1.0, 5.0]), rows=ROWS, others=ROWS)
def test_a_step_of_a_number_is_known_just_where_it_lies_between_the_fitted_ends(width, rows, others):
    token = Token.fit(f"{NUMBER}/{width:g}", columns_of(rows)[0], {})
    sizes = columns_of(others)[0][NUMBER]
    fitted = np.floor(columns_of(rows)[0][NUMBER] / width)
    fitted = fitted[np.isfinite(fitted)] if np.isfinite(fitted).any() else np.zeros(1)
    for size, code in zip(sizes, token.encode({NUMBER: sizes}, {}), strict=True):
        step = np.floor(size / width)
        assert code == (step - fitted.min() + 1 if fitted.min() <= step <= fitted.max() else 0)


@for_all(data=st.data(), tokens=st.lists(TOKENS, min_size=1, max_size=3), rows=ROWS)
def test_a_row_has_the_values_of_its_group_in_every_key_or_the_keys_default(data, tokens, rows):
    features, codes = columns_of(rows)
    keys = []
    for number, each in enumerate(tokens):
        known = sorted(data.draw(st.sets(st.integers(0, most_groups(each) - 1), max_size=20)))
        values = np.array([[number + identity / 1_000, identity] for identity in known]).reshape(-1, 2)
        keys.append(Key(each, np.array(known, np.int64), values, np.array([-1.0 - number, -1.0])))
    found = Lookup.of(keys)(features, codes)
    for number, key in enumerate(keys):
        rows_ids = group_ids(key.tokens, features, codes)
        by_id = dict(zip(key.ids.tolist(), key.values.tolist(), strict=True))
        assert found[:, number].tolist() == [
            by_id.get(identity, key.default.tolist()) for identity in rows_ids.tolist()
        ]
