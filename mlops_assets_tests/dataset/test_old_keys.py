"""Keys of 0.1, in which a period was always a month: they load, and say their new name."""

import copy
import logging

import pytest
import yaml

from mlops_assets.dataset import load_dataset
from mlops_assets.dataset.old_keys import renewed, renewed_settings
from mlops_assets.errors import SpecError

OLD = {
    "time": {"column": "at", "first_month": "2024-01", "last_month": "2024-06", "keep_other_months": True},
    "window": {"train_months": 6, "validation_months": 2, "test_months": 0, "test_share": 0.1},
}


@pytest.fixture
def written(tiny, tmp_path):
    """A YAML with the keys of 0.1."""
    path = tmp_path / "old.yaml"
    path.write_text(yaml.safe_dump(copy.deepcopy(tiny) | OLD | {"source": {"kind": "files", "uri": "a_{month}.csv"}}))
    return path


def test_old_keys_load_as_the_new_ones(written):
    spec = load_dataset(str(written), {})
    assert (spec.time.first, spec.time.last, spec.time.keep_other_periods) == ("2024-01", "2024-06", True)
    assert (spec.window.train_periods, spec.window.validation_periods, spec.window.test_periods) == (6, 2, 0)
    assert spec.source.uri == "a_{period}.csv"


def test_each_is_told_with_its_new_name_in_one_line(written, caplog):
    with caplog.at_level(logging.WARNING):
        spec = load_dataset(str(written), {})
    assert "time.first_month is time.first now" in spec.old_keys
    assert "window.train_months is window.train_periods now" in spec.old_keys
    assert "{month} in source.uri is {period} now" in spec.old_keys
    assert len(spec.old_keys) == 7
    assert [record.getMessage().startswith("old.yaml: time.first_month is") for record in caplog.records] == [True]


def test_new_keys_are_not_spoken_of(tiny, tmp_path, caplog):
    path = tmp_path / "new.yaml"
    path.write_text(yaml.safe_dump(tiny))
    assert load_dataset(str(path), {}).old_keys == ()
    assert not caplog.records


def test_a_key_under_both_names_is_an_error(written):
    document = yaml.safe_load(written.read_text())
    document["time"]["first"] = "2024-02"
    written.write_text(yaml.safe_dump(document))
    with pytest.raises(SpecError, match=r"old\.yaml: time\.first_month: is not a key of a dataset"):
        load_dataset(str(written), {})


@pytest.mark.parametrize("document", [None, [], {"time": None, "window": 3, "source": "here"}])
def test_what_is_no_dataset_is_left_to_its_checks(document):
    assert renewed(document) == (document, ())


def test_settings_that_were_recorded_are_those_of_now():
    recorded = {"time": OLD["time"], "window": OLD["window"], "seed": 7}
    now = renewed_settings(recorded)
    assert (now["time"]["every"], now["time"]["first"], now["time"]["last"]) == ("month", "2024-01", "2024-06")
    assert (now["window"]["train_periods"], now["window"]["test_share"], now["seed"]) == (6, 0.1, 7)
