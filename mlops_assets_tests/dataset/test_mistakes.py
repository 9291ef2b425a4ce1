"""A mistake in a dataset's YAML: one clear error that names its place, and what to do."""

from datetime import datetime

import pytest
import yaml

from mlops_assets.dataset import load_dataset
from mlops_assets_tests.tiny import put


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("colour", "red", "colour: is not a key of a dataset"),
        ("window.train_period", 3, "window.train_period: is not a key of a dataset"),
        ("features.numeric.size.clipp", [0, 1], "features.numeric.size.clipp: is not a key of a dataset"),
        ("name", None, "name: Input should be a valid string"),
        ("name", "My Shop", "name: must be lower-case letters, digits and _, a letter first, not 'My Shop'"),
        ("window.train_periods", "many", "window.train_periods: Input should be a valid integer"),
        ("window.train_periods", 0, "window.train_periods: Input should be greater than or equal to 1, not '0'"),
        ("columns", {}, "columns: Dictionary should have at least 1 item"),
        ("columns.Big", {}, "columns.Big: must be lower-case letters, digits and _, a letter first, not 'Big'"),
        (
            "columns.size.type",
            "float",
            "columns.size.type: Input should be 'integer', 'number', 'text', 'time' or 'boolean'",
        ),
        ("columns.size.timezone", "UTC", "columns.size: timezone is for type time"),
        ("columns.target", {}, "columns.target: the project uses this name itself; choose another alias"),
        ("columns.row_id", {}, "columns.row_id: the project uses this name itself; choose another alias"),
        ("source.kind", "ftp", "source: Input tag 'ftp' found using 'kind' does not match"),
        ("source", {"kind": "files"}, "source.files.uri: Field required"),
        ("source", {"kind": "sql", "url": "sqlite://"}, "source.sql: give either table or query"),
        ("target.kind", "boolean", "'count', 'binary' or 'category', not 'boolean'"),
        ("time", None, "source.uri holds {period}, so time must be given"),
        ("time.column", "size", "time.column: 'size' has type number, which must be time"),
        ("time.first", "2024-13", "time.first: '2024-13' is no month: write one as 2024-01"),
        ("time.last", "2023-12", "time: last lies before first"),
        ("key", ["id"], "key: 'id' is not a column (columns: at, town, zone, size, price)"),
        ("target", {}, "target: give either column or minutes_between"),
        ("target.minutes_between", ["at", "at"], "target: give either column or minutes_between"),
        ("target.column", "cost", "target: 'cost' is not a column (columns: at, town, zone, size, price)"),
        ("target.column", "town", "target: 'town' is text, which is one of some classes: name the positive value by"),
        ("target.column", "size", "features: 'size' is known only after the event, because the target is made of it"),
        ("monotone", {"zone": "up"}, "monotone: 'zone' is not a number feature (numbers:"),
        (
            "monotone",
            {"size": "up"},
            "monotone: features.group_means has 'size' too, whose means would change",
        ),
        ("monotone", {"size": "rising"}, "monotone.size: Input should be 'up' or 'down'"),
        ("expect", [{"kind": "rises"}], "expect.0: Input tag 'rises' found using 'kind' does not match"),
        (
            "expect",
            [{"kind": "invariant", "column": "colour"}],
            "expect[0] (invariant): 'colour' is not a column (columns: at, town, zone, size, price)",
        ),
        (
            "expect",
            [{"kind": "invariant", "column": "price"}],
            "expect[0] (invariant): 'price' is no input (inputs: at, town, zone, size)",
        ),
        (
            "expect",
            [{"kind": "monotone", "column": "zone", "direction": "up"}],
            "expect[0] (monotone): 'zone' is a category, which has no direction: name a number, or use kind invariant",
        ),
        (
            "expect",
            [{"kind": "monotone", "column": "at", "direction": "up"}],
            "expect[0] (monotone): 'at' is of type time, which has no direction",
        ),
        (
            "expect",
            [{"kind": "bounds", "low": 5, "high": 3}],
            "expect.0.bounds: low 5 is not below high 3: give them the other way round",
        ),
        ("expect", [{"kind": "bounds"}], "expect.0.bounds: give low, high or both"),
        ("expect", [{"kind": "bounds", "low": float("nan")}], "expect.0.bounds.low: Input should be a finite number"),
        ("target.keep", [5, 5], "target: keep must be [low, high] with low < high"),
    ],
)
def test_a_mistake_is_told_with_its_place(problem, place, value, message):
    assert message in problem(put(place, value))


def test_an_address_in_the_wrong_place_is_not_repeated_for_its_password(problem):
    message = problem(put("window.train_periods", "https://me:hunter2@example"))
    assert "window.train_periods: Input should be a valid integer" in message and "hunter2" not in message


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"column": "size"}, "rows.0: give at least one of min, max, one_of, none_of, not_null"),
        ({"column": "cost", "min": 1}, "rows (ours): 'cost' is not a column"),
        ({"column": "town", "min": 1}, "rows (ours): min and max are for numbers, and 'town' has type text"),
        ({"column": "at", "max": 1}, "rows (ours): min and max are for numbers, and 'at' has type time"),
        ({"column": "at", "one_of": ["2024"]}, "rows (ours): a column of type time can only be tested by not_null"),
        ({"column": "town", "one_of": [1]}, "rows (ours): the values of 'town' must be texts, in quotes"),
        ({"column": "zone", "none_of": ["a"]}, "rows (ours): the values of 'zone' must be numbers"),
    ],
)
def test_a_rule_that_cannot_be_applied_is_told_by_its_name(problem, rule, message):
    assert message in problem(put("rows", [{"name": "ours", **rule}]))


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("categorical", ["colour"], "features.categorical: 'colour' is not a column"),
        ("categorical", ["size"], "features.categorical: 'size' has type number, which must be integer or text"),
        ("categorical", ["town", "town"], "features.categorical: town is given twice"),
        ("numeric", {"town": {}}, "features.numeric: 'town' has type text, which must be number or integer"),
        ("numeric", {"size": {"clip": [1, 0]}}, "features.numeric.size.clip: clip must be [low, high] with low < high"),
        ("numeric", {"zone": {}}, "features: 'zone' is given as two features"),
        ("calendar", {"size": {"parts": ["hour"]}}, "features.calendar: 'size' has type number, which must be time"),
        ("calendar", {"at": {"parts": ["second"]}}, "features.calendar.at.parts.0: Input should be 'hour'"),
        ("calendar", {"at": {"parts": ["holiday"]}}, "features.calendar.at: the part holiday needs a country"),
        ("calendar", {"at": {"parts": ["hour", "hour"]}}, "features.calendar.at.parts: hour is given twice"),
        ("pairs", [["town", "size"]], "features.pairs: 'size' has type number, which must be integer or text"),
        ("pairs", [["town", "zone"], ["town", "zone"]], "features.pairs: ['town', 'zone'] is given twice"),
        ("derived", {"x": {"function": "sqrt", "of": ["size"]}}, "features.derived.x.function: Input should be"),
        ("derived", {"x": {"function": "ratio", "of": ["size"]}}, "features.derived.x: ratio takes 2 input(s), not 1"),
        ("derived", {"x": {"function": "log", "of": ["town"]}}, "features.derived.x: 'town' has type text"),
        ("derived", {"x": {"function": "log", "of": ["price"]}}, "features: 'price' is known only after the event"),
        ("derived", {"size": {"function": "log", "of": ["size"]}}, "'size' is already the name of a column"),
        ("derived", {"target": {"function": "log", "of": ["size"]}}, "'target' is already the name of a column"),
        ("derived", {"at_hour": {"function": "log", "of": ["size"]}}, "features: 'at_hour' is given as two features"),
    ],
)
def test_a_feature_that_cannot_be_is_told(problem, place, value, message):
    assert message in problem(put(f"features.{place}", value))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"colour": "red"}, "example: colour is no input (inputs: "),
        ({"zone": 1.5}, "example.zone: 1.5 is no whole number"),
        ({"size": "large"}, "example.size: 'large' is no number"),
        ({"at": "yesterday"}, "example.at: 'yesterday' is no time (as in ISO 8601)"),
    ],
)
def test_an_example_that_nobody_could_send_is_told(problem, value, message):
    assert message in problem(put("example", value))


def test_an_example_may_hold_times_as_yaml_reads_them(load):
    assert load(put("example", {"at": datetime(2024, 5, 1, 8)})).example == {"at": "2024-05-01T08:00:00"}


def test_features_have_to_be_given(problem):
    assert "features: none are given" in problem(put("features", {}))


def test_a_part_of_a_calendar_may_not_take_the_name_of_a_column(problem):
    message = problem(put("columns.at_hour", {"type": "number"}))
    assert "features.calendar: its part 'at_hour' has the name of a column; choose another alias" in message


def test_the_end_of_the_event_is_no_feature(problem):
    def change(document):
        document["columns"]["end"] = {"type": "time"}
        document["target"] = {"minutes_between": ["at", "end"], "keep": [1, 60]}
        document["features"]["calendar"]["end"] = {"parts": ["hour"]}

    assert "features: 'end' is known only after the event, because the target is made of it" in problem(change)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ([["colour"]], "'colour' is not a feature (features: town, zone, size, at_hour, at_weekday)"),
        ([["price/5"]], "'price' is not a feature"),
        ([["at"]], "'at' is not a feature"),
        ([["town", "size"]], "'size' is a number and needs the width of its steps, such as size/5"),
        ([["zone/3"]], "'zone' is a category, which takes no width"),
        ([["size/0"]], "'size/0' must be a name, or name/width with a number above 0 as width"),
        ([["size/-1"]], "'size/-1' must be a name, or name/width"),
        ([["size/wide"]], "'size/wide' must be a name, or name/width"),
        ([["size/"]], "'size/' must be a name, or name/width"),
        ([["size/1/2"]], "'size/1/2' must be a name, or name/width"),
        ([["town"], ["town"]], "group_means.keys: ['town'] is given twice"),
        ([[]], "features.group_means.keys.0: Tuple should have at least 1 item"),
        ([], "features.group_means.keys: Tuple should have at least 1 item"),
    ],
)
def test_a_group_that_cannot_be_formed_is_told(problem, keys, message):
    assert message in problem(put("features.group_means.keys", keys))


@pytest.mark.parametrize("keys", [[["town"]], [["zone", "town"]], [["at_hour"]], [["at_hour/3", "size/0.5"]]])
def test_groups_are_categories_calendar_parts_and_numbers_in_steps(load, keys):
    assert load(put("features.group_means.keys", keys)).features.group_means.keys == tuple(map(tuple, keys))


def test_groups_may_use_the_members_of_a_pair_and_derived_numbers(load):
    def change(document):
        document["features"] = {
            "pairs": [["town", "zone"]],
            "derived": {"log_size": {"function": "log", "of": ["size"]}},
            "group_means": {"keys": [["town", "log_size/0.1"]], "relative_to": "log_size"},
        }

    assert load(change).features.group_means.relative_to == "log_size"


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("features.group_means.relative_to", "town", "relative_to: 'town' is not a number feature"),
        ("features.group_means.relative_to", "at_hour", "relative_to: 'at_hour' is not a number feature"),
        ("target.keep", None, "relative_to needs target.keep with a low end above 0"),
        ("target.keep", [0, 10], "relative_to needs target.keep with a low end above 0"),
        ("target.keep", [-5, 10], "relative_to needs target.keep with a low end above 0"),
    ],
)
def test_a_number_to_be_relative_to_is_a_feature_beside_a_positive_target(problem, place, value, message):
    assert message in problem(put(place, value))


def test_several_mistakes_are_told_at_once(problem):
    def change(document):
        document["key"] = ["nobody"]
        document["features"]["categorical"] = ["size", "nothing"]

    message = problem(change)
    assert all(name in message for name in ("key: 'nobody'", "categorical: 'size'", "categorical: 'nothing'"))


@pytest.mark.parametrize(
    ("every", "first", "name"),
    [("day", "2024-01-31", "2024-01-31"), ("year", "2024", "2024"), ("week", "2024-W05", "2024-01-29")],
)
def test_periods_may_be_dates_and_numbers_of_yaml(tmp_path, tiny, every, first, name):
    text = yaml.safe_dump(tiny).replace("first: 2024-01", f"every: {every}\n  first: {first}")
    (tmp_path / "shop.yaml").write_text(text.replace("first: '2024-01'", f"every: {every}\n  first: {first}"))
    assert load_dataset(str(tmp_path / "shop.yaml"), {}).time.first == name


def test_a_file_of_several_periods_is_refused_with_what_its_name_lacks(problem):
    def change(document):
        document["time"] |= {"every": "day", "first": "2024-01-31"}
        document["source"]["uri"] = "s3://sales/{yyyy}/{mm}.csv"

    assert "source.uri: every day is a file of its own, and {dd} is not in the name" in problem(change)
