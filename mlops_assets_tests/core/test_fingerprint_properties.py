"""What holds of every recipe."""

import hashlib

from hypothesis import strategies as st

from mlops_assets.core.fingerprint import Recipe, changes
from mlops_assets_tests.properties import JSON, for_all

PARTS = st.dictionaries(st.sampled_from(["code", "data", "settings", "upstream"]), JSON, max_size=4)


def reordered(value):
    """The same with the keys of every mapping the other way round, and tuples for lists."""
    if isinstance(value, dict):
        return {key: reordered(value[key]) for key in reversed(value)}
    return tuple(map(reordered, value)) if isinstance(value, list) else value


@for_all(parts=PARTS)
def test_it_survives_json(parts):
    recipe = Recipe(parts)
    again = Recipe.from_json(recipe.to_json())
    assert again == recipe and again.digest == recipe.digest and again.parts == parts
    assert recipe.digest == hashlib.sha256(recipe.to_json().encode()).hexdigest()
    assert changes(recipe, again) == ()


@for_all(parts=PARTS)
def test_the_order_of_keys_and_the_kind_of_lists_are_of_no_account(parts):
    assert Recipe(reordered(parts)) == Recipe(parts)


@for_all(200, old=PARTS, new=PARTS, name=st.sampled_from(["code", "data"]), value=JSON, other=JSON)
def test_digests_differ_just_where_a_change_can_be_told(old, new, name, value, other):
    for one, two in ((old, new), (old, old | {name: value}), (old | {name: value}, old | {name: other})):
        before, after = Recipe(one), Recipe(two)
        differs = before.digest != after.digest
        assert differs == bool(changes(before, after)) == bool(changes(after, before))
        assert differs == (before.to_json() != after.to_json())


@for_all(old=PARTS, new=PARTS)
def test_each_line_of_a_change_names_a_part_that_differs(old, new):
    lines = changes(Recipe(old), Recipe(new))
    differing = {
        name for name in old.keys() | new.keys() if Recipe({"x": old.get(name, ())}) != Recipe({"x": new.get(name, ())})
    }
    assert {line.split()[0].removesuffix(":") for line in lines} >= differing
