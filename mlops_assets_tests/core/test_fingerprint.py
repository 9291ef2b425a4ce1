import hashlib
from pathlib import Path

import pytest

from mlops_assets.core.fingerprint import Recipe, changes

DIGEST, OTHER = "a1" * 32, "b2" * 32
PARTS = {
    "code": {"version": 1},
    "settings": {"max_trials": 10, "model_types": ("Ridge", "XGBoost"), "rate": 0.1},
    "data": {"period": {"2024-01": DIGEST, "2024-02": DIGEST}},
}


def with_part(**changed) -> Recipe:
    return Recipe(PARTS | changed)


def test_the_digest_does_not_depend_on_the_order_of_keys():
    reordered = {name: PARTS[name] for name in reversed(PARTS)}
    assert Recipe(reordered).digest == Recipe(PARTS).digest
    assert len(Recipe(PARTS).digest) == 64


def test_the_digest_is_the_sha256_of_the_canonical_json():
    recipe = Recipe({"settings": {"rate": 0.1, "names": ("a", "b")}, "code": 1})
    assert recipe.to_json() == '{"code":1,"settings":{"names":["a","b"],"rate":0.1}}'
    assert recipe.digest == hashlib.sha256(recipe.to_json().encode()).hexdigest()


@pytest.mark.parametrize(
    "changed",
    [
        {"code": {"version": 2}},
        {"code": {"version": "1"}},
        {"code": {"version": True}},
        {"code": {"version": 1.0}},
        {"settings": {**PARTS["settings"], "rate": 0.1 + 1e-17 * 8}},
        {"settings": {**PARTS["settings"], "model_types": ("XGBoost", "Ridge")}},
        {"data": {}},
        {"upstream": DIGEST},
    ],
)
def test_every_difference_changes_the_digest_and_is_named(changed):
    assert with_part(**changed).digest != Recipe(PARTS).digest
    assert len(changes(Recipe(PARTS), with_part(**changed))) >= 1


def test_a_recipe_survives_json():
    recipe = Recipe(PARTS)
    again = Recipe.from_json(recipe.to_json())
    assert again == recipe
    assert again.digest == recipe.digest
    assert changes(recipe, again) == ()


def test_tuples_are_lists():
    assert Recipe({"a": (1, (2,))}) == Recipe({"a": [1, [2]]})


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"home": Path("var")}, r"settings\.home is "),
        ({"rates": [1.0, float("nan")]}, r"settings\.rates\[1\] is nan"),
        ({"by_period": {1: "x"}}, r"settings\.by_period has the key 1"),
        ({"names": {"a"}}, r"settings\.names is "),
    ],
)
def test_what_json_cannot_hold_is_refused_by_name(part, message):
    with pytest.raises(TypeError, match=message):
        Recipe({"settings": part})


def test_a_recipe_cannot_be_changed():
    with pytest.raises(TypeError):
        Recipe(PARTS).parts["code"] = 2


def test_equal_recipes_have_no_changes():
    assert changes(Recipe(PARTS), Recipe(PARTS)) == ()


@pytest.mark.parametrize(
    ("changed", "lines"),
    [
        ({"code": {"version": 2}}, ["code: version 1 -> 2"]),
        ({"code": {"version": 1, "name": "x"}}, ['code: name is new ("x")']),
        (
            {"data": {"period": {"2024-02": OTHER, "2024-03": DIGEST}}},
            ["data: period 2024-01 is gone", "data: period 2024-02 changed", "data: period 2024-03 is new"],
        ),
        ({"data": {"period": "all"}}, ["data: period {"]),
        ({"data": DIGEST}, ["data: {"]),
        (
            {"settings": {"max_trials": 20, "model_types": ["XGBoost", "Lasso"], "rate": None}},
            [
                "settings: max_trials 10 -> 20",
                'settings: model_types gained "Lasso" and lost "Ridge"',
                "settings: rate 0.1 -> null",
            ],
        ),
        (
            {"settings": {**PARTS["settings"], "model_types": ["XGBoost", "Ridge"]}},
            ["settings: model_types are in another order"],
        ),
        ({"upstream": DIGEST}, ["upstream is new"]),
    ],
)
def test_changes_are_plain_lines(changed, lines):
    found = changes(Recipe(PARTS), with_part(**changed))
    assert len(found) == len(lines)
    assert all(line.startswith(start) for line, start in zip(found, lines, strict=True))


def test_a_part_that_is_gone_is_named():
    assert changes(Recipe(PARTS), Recipe({"code": PARTS["code"], "data": PARTS["data"]})) == ("settings is gone",)


def test_rules_in_a_list_are_compared_by_position():
    old = Recipe({"spec": {"rows": [{"min": 1}, {"max": 2}]}})
    new = Recipe({"spec": {"rows": [{"min": 3}, {"max": 2}, {"min": 0}]}})
    assert changes(old, new) == ("spec: rows #1 min 1 -> 3", "spec: rows #3 is new")


def test_digests_and_long_values_are_shortened():
    (line,) = changes(Recipe({"data": DIGEST}), Recipe({"data": "x" * 500}))
    assert line.startswith("data: a1a1a1a1 -> ")
    assert len(line) < 90
