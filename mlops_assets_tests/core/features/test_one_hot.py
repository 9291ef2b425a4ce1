"""The sparse matrix: one column a value that training had, and none for any other."""

import numpy as np
import pytest

from mlops_assets.core.features.encoder import fit_encoder
from mlops_assets.dataset import Features

FEATURES = Features(
    categorical=["town"],
    numeric={"size": {}},
    calendar={"at": {"parts": ["hour", "minute_of_day", "holiday"], "country": "US"}},
    pairs=[["town", "zone"]],
)
TRAINING = {
    "town": np.array(["Ay", "Bree", "Ay", None], object),
    "zone": np.array([1.0, 2, 2, 1]),
    "size": np.array([1.0, 2, 3, np.nan]),
    "at": np.array(["2024-01-01T00:00", "2024-01-02T05:30", "NaT", "2024-01-02T05:00"], "datetime64[us]"),
}
NAMES = (
    "town=Ay",
    "town=Bree",
    "at_hour=0",
    "at_hour=5",
    "at_holiday=0",
    "at_holiday=1",
    "town=Ay,zone=1",
    "town=Ay,zone=2",
    "town=Bree,zone=2",
    "size",
    "size is missing",
    "at_minute_of_day",
    "at_minute_of_day is missing",
)


@pytest.fixture
def fitted():
    return fit_encoder(FEATURES, TRAINING, np.ones(4), seed=7)


def named(encoder, **values):
    """The columns of one row that are not zero, by name."""
    columns = {name: np.array([value], TRAINING[name].dtype) for name, value in values.items()}
    matrix = encoder.transform(FEATURES, columns, "one_hot")
    assert matrix.shape == (1, len(NAMES))
    return dict(zip(np.array(NAMES)[matrix.indices], matrix.data, strict=True))


def test_columns_are_the_values_pairs_and_numbers_of_training(fitted):
    assert fitted.encoder.one_hot_names == NAMES
    assert fitted.one_hot.shape == (4, len(NAMES))
    assert fitted.encoder.one_hot_encoder.width == len(NAMES)


def test_a_known_row_has_a_one_for_each_category_and_scaled_numbers(fitted):
    row = named(fitted.encoder, town="Bree", zone=2, size=2.0, at="2024-01-01T05:10")
    minute = row.pop("at_minute_of_day")
    assert row.pop("size") == 0
    assert row == {"town=Bree": 1, "at_hour=5": 1, "at_holiday=1": 1, "town=Bree,zone=2": 1}
    minutes = np.array([0, 330, 300])
    assert minute == pytest.approx((310 - minutes.mean()) / minutes.std())


def test_two_known_values_that_training_never_had_together_are_no_pair(fitted):
    assert "town=Bree,zone=2" in named(fitted.encoder, town="Bree", zone=2, size=1, at="NaT")
    assert not any("," in name for name in named(fitted.encoder, town="Bree", zone=1, size=1, at="NaT"))


def test_a_known_value_beside_an_unseen_one_is_no_pair(fitted):
    for town, zone in (("Bree", 9), ("Ay", np.nan), ("Elsewhere", 2), (None, 1)):
        assert not any("," in name for name in named(fitted.encoder, town=town, zone=zone, size=1, at="NaT"))


def test_an_unseen_row_has_no_category_and_says_what_is_missing(fitted):
    row = named(fitted.encoder, town="Elsewhere", zone=np.inf, size=np.nan, at="NaT")
    assert row == {"size": 0, "size is missing": 1, "at_minute_of_day": 0, "at_minute_of_day is missing": 1}


def test_scaled_training_numbers_have_mean_zero_and_deviation_one(fitted):
    size = fitted.one_hot.toarray()[:, NAMES.index("size")]
    assert size.mean() == pytest.approx(0)
    assert size[:3].std() == pytest.approx(1)


def test_a_number_that_training_always_had_gets_no_column_for_missing():
    encoder = fit_encoder(Features(numeric={"size": {}}), {"size": np.array([1.0, 3])}, np.ones(2), seed=7).encoder
    assert encoder.one_hot_names == ("size",)
    matrix = encoder.transform(Features(numeric={"size": {}}), {"size": np.array([np.nan, 3])}, "one_hot")
    assert matrix.toarray().tolist() == [[0], [1]]


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e9 / 3, np.nan])
def test_a_constant_number_is_not_blown_up_by_rounding(constant):
    features = Features(numeric={"size": {}})
    encoder = fit_encoder(features, {"size": np.full(10, constant)}, np.ones(10), seed=7).encoder
    matrix = encoder.transform(features, {"size": np.array([constant, 0.0, 7.0])}, "one_hot")
    assert np.abs(matrix.toarray()).max() <= 1.001 * max(7, np.nan_to_num(constant))


def test_indices_have_the_type_that_every_linear_model_accepts(fitted):
    assert fitted.one_hot.indices.dtype == fitted.one_hot.indptr.dtype == np.int32
    assert fitted.one_hot.has_sorted_indices
    assert fitted.one_hot.has_canonical_format


def test_three_hundred_by_three_hundred_values_keep_their_pairs_apart():
    rng = np.random.default_rng(0)
    columns = {name: rng.integers(0, 300, 5_000).astype(float) for name in ("a", "b")}
    fitted = fit_encoder(Features(pairs=[["a", "b"]]), columns, np.ones(5_000), seed=7)
    expected = [f"a={a:g},b={b:g}" for a, b in zip(columns["a"], columns["b"], strict=True)]
    assert np.array(fitted.encoder.one_hot_names)[fitted.one_hot.indices].tolist() == expected
