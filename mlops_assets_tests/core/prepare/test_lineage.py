"""Which columns are made from which: by alias, and for every column there is."""

import numpy as np
import pytest

from mlops_assets.core.features.encoder import fit_encoder
from mlops_assets.core.prepare.lineage import clean_lineage, dense_lineage
from mlops_assets.core.prepare.meanings import dense_meanings
from mlops_assets.dataset import DatasetSpec, load_dataset
from mlops_assets_tests.tiny import TINY


@pytest.fixture
def lineage():
    """Of a matrix with a derived number, parts of a time, and means by group."""
    features = {
        "categorical": ["town", "zone"],
        "numeric": {"size": {}, "twice": {}},
        "calendar": {"at": {"parts": ["hour", "weekday"]}},
        "derived": {"twice": {"function": "minutes_between", "of": ["at", "at"]}},
        "group_means": {"keys": [["town", "at_hour"], ["zone"]], "relative_to": "size"},
    }
    spec = DatasetSpec.model_validate(TINY | {"features": features})
    columns = {
        "at": np.array(["2024-01-01T10", "2024-01-02T11", "2024-01-03T12"], "datetime64[us]"),
        "town": np.array(["Ay", "Bree", "Ay"], object),
        "zone": np.array([1.0, 2.0, 1.0]),
        "size": np.array([3.0, 4.0, 5.0]),
    }
    encoder = fit_encoder(spec.features, columns, np.array([1.0, 2.0, 3.0]), 7).encoder
    return encoder, dense_lineage(spec, encoder), dense_meanings(spec, encoder)


def test_every_column_of_the_matrix_has_a_lineage(lineage):
    encoder, found, _ = lineage
    assert tuple(found) == (*encoder.dense_names, "target")


def test_features_go_back_to_the_columns_that_they_are_derived_from(lineage):
    _, found, _ = lineage
    assert found["zone"] == ("zone",)
    assert found["at_weekday"] == found["twice"] == ("at",)


def test_every_column_of_the_matrix_is_said_in_words(lineage):
    encoder, _, meanings = lineage
    assert tuple(meanings) == (*encoder.dense_names, "target") and all(meanings.values())
    assert meanings["twice"] == "minutes between: at, at"
    assert meanings["at_weekday"] == "weekday of at"
    assert meanings["mean_by_town__at_hour"] == "mean target of train rows with the same town and at_hour"
    assert meanings["count_by_zone"] == "how many train rows have the same zone"
    assert meanings["size_beyond_town__at_hour"] == "how far the log of size is above that"


def test_means_of_the_target_go_back_to_it_and_counts_do_not(lineage):
    _, found, _ = lineage
    assert found["mean_by_town__at_hour"] == ("town", "at", "target")
    assert found["pace_by_zone"] == ("zone", "size", "target")
    assert found["count_by_zone"] == ("zone",)
    assert found["size_beyond_town__at_hour"] == ("size", "town", "at")


def test_a_target_that_is_computed_goes_back_to_what_it_is_computed_from():
    found = clean_lineage(load_dataset("nyc_green_taxi", {}))
    assert found["target"] == ("pickup_at", "dropoff_at")
    assert found["distance"] == ("distance",) and "dropoff_at" not in found
