"""Which rows move together, and which parts of them the gate looks at."""

import numpy as np
import pytest

from mlops_assets.core.judge.clusters import clusterings, slices

DAYS = np.array(["2024-01-01T08:00", "2024-01-01T23:59", "2024-01-02T00:00", "2024-01-05"], "datetime64[us]")
COLUMNS = {
    "town": np.array(["Ay", "Bree", "Ay", None], object),
    "zone": np.array([1.0, 1.0, 2.0, np.nan]),
    "size": np.array([5.0, 10.0, 20.0, np.nan]),
}


def gate(make_spec, **gate):
    return make_spec(gate=gate)


def names_and_ids(found):
    return {clusters.name: clusters.ids.tolist() for clusters in found}


def test_rows_of_a_calendar_day_move_together(make_spec):
    assert names_and_ids(clusterings(make_spec(), COLUMNS, DAYS)) == {"days": [0, 0, 1, 2]}


def test_so_do_those_of_a_group_that_the_yaml_names(make_spec):
    spec = gate(make_spec, groups=["town", ["town", "zone"]])
    assert names_and_ids(clusterings(spec, COLUMNS, DAYS)) == {
        "days": [0, 0, 1, 2],
        "groups of town": [0, 1, 0, 2],
        "groups of town and zone": [0, 1, 2, 3],
    }


def test_rows_of_one_day_are_taken_by_group_or_one_by_one(make_spec):
    one_day = np.repeat(DAYS[:1], 4)
    assert names_and_ids(clusterings(make_spec(), COLUMNS, one_day)) == {"rows": [0, 1, 2, 3]}
    assert list(names_and_ids(clusterings(gate(make_spec, groups=["town"]), COLUMNS, one_day))) == ["groups of town"]


def test_rows_of_one_day_move_together_by_its_hours(make_spec):
    hours = np.array(["2024-01-01T05:10", "2024-01-01T05:50", "2024-01-01T06:00", "2024-01-01T07:00"], "datetime64[us]")
    assert names_and_ids(clusterings(make_spec(), COLUMNS, hours)) == {"hours": [0, 0, 1, 2]}


def test_groups_that_stay_on_one_side_move_together(make_spec):
    spec = make_spec(split={"groups": ["town"]}, gate={"groups": ["town"]})
    assert list(names_and_ids(clusterings(spec, COLUMNS, DAYS))) == ["days", "groups of town"]


def test_a_snapshot_has_its_key_for_days(make_spec):
    features = {"categorical": ["town"], "numeric": {"size": {}}}
    spec = make_spec(time=None, key=["zone"], features=features, source={"kind": "files", "uri": "tiny.csv"})
    assert names_and_ids(clusterings(spec, COLUMNS, None)) == {"keys": [0, 0, 1, 2]}


def test_slices_are_the_values_of_a_category_and_the_ranges_of_a_number(make_spec):
    spec = gate(make_spec, slices=["town", {"column": "size", "edges": [6, 20]}])
    assert {name: np.flatnonzero(mask).tolist() for name, mask in slices(spec, COLUMNS).items()} == {
        "town Ay": [0, 2],
        "town Bree": [1],
        "town: any other": [3],
        "size below 6": [0],
        "size 6 to 20": [1],
        "size from 20": [2],
    }


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"groups": ["county"]}, r"gate.groups\[0\]: 'county'"),
        ({"slices": ["size"]}, r"gate.slices\[0\]: 'size'"),
        ({"slices": [{"column": "town", "edges": [1]}]}, r"gate.slices\[0\]: 'town'"),
        ({"slices": [{"column": "size", "edges": [2, 1]}]}, "edges must ascend"),
    ],
)
def test_what_the_gate_cannot_ask_for_is_named(make_spec, wrong, message):
    with pytest.raises(ValueError, match=message):
        gate(make_spec, **wrong)
