"""A question and its link are the same thing."""

import pytest

from mlops_assets.serving.form.values import Query, filled_values, format_query, parse_query


@pytest.mark.parametrize(
    "query",
    [
        Query({"carrier": "UA", "at": "2013-05-06T07:08", "distance": "1400.5"}, (3, 2)),
        Query({"town": "São Paulo & more=?#+%"}),
        Query({}, (4,)),
        Query({}),
    ],
)
def test_a_link_repeats_its_question(query):
    assert parse_query(format_query(query)) == query


def test_numbers_are_written_so_that_they_come_back_the_same():
    link = format_query(Query({"size": 0.1 + 0.2, "zone": 3}))
    assert {name: float(text) for name, text in parse_query(link).values.items()} == {"size": 0.1 + 0.2, "zone": 3}


def test_what_is_no_version_is_not_compared_and_there_are_only_so_many():
    assert parse_query("?compare-with=3,x,-1,3,²,5,6,7").compare == (3, 5, 6)


@pytest.mark.parametrize("search", [None, "", "?", "?&&", "?x"])
def test_a_link_that_asks_nothing_is_no_question(search):
    assert not parse_query(search)


def test_empty_fields_are_not_given():
    assert filled_values(["a", "b", "c", "d"], ["", None, 0, "x"]) == {"c": 0, "d": "x"}
