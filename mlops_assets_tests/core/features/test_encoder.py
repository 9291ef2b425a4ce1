"""The encoder: a single row gets what a batch gets, nothing leaks, and saving changes no bit."""

import numpy as np
import pytest
from pydantic import ValidationError

from mlops_assets.core.columns import from_rows, from_table, is_missing, take
from mlops_assets.core.features.derive import derive
from mlops_assets.core.features.encoder import MASKED, Encoder, fit_encoder, masked
from mlops_assets.core.features.target_encoding import fit_group_means
from mlops_assets.core.prepare.cleaning import TARGET, clean
from mlops_assets.dataset import load_dataset

KINDS = ("dense", "one_hot")
TAXI = load_dataset("nyc_green_taxi", {})
FLIGHTS = load_dataset("nyc_flights", {})


def array(matrix):
    return matrix if isinstance(matrix, np.ndarray) else matrix.toarray()


def clean_columns(spec, table, month):
    table = clean(spec, table, month).table
    return from_table(table, spec.inputs()), table.column(TARGET).to_numpy()


def assert_single_rows_equal_the_batch(spec, encoder, columns, rows):
    for kind in KINDS:
        batch = array(encoder.transform(spec.features, take(columns, rows), kind))
        for place, row in enumerate(rows):
            single = array(encoder.transform(spec.features, take(columns, [row]), kind))
            np.testing.assert_array_equal(single[0], batch[place])


def test_single_trips_are_encoded_bit_for_bit_as_in_a_batch(taxi_month):
    columns, y = clean_columns(TAXI, taxi_month(TAXI, "2024-01"), "2024-01")
    encoder = fit_encoder(TAXI.features, columns, y, seed=7).encoder
    later, _ = clean_columns(TAXI, taxi_month(TAXI, "2024-02"), "2024-02")
    assert_single_rows_equal_the_batch(TAXI, encoder, later, np.arange(0, 50_000, 400))


def test_single_flights_are_encoded_bit_for_bit_as_in_a_batch(flights):
    january = flights.slice(0, 3_000)
    columns, y = clean_columns(FLIGHTS, january, "2013-01")
    encoder = fit_encoder(FLIGHTS.features, columns, y, seed=7).encoder
    later = from_table(flights.slice(7_000), FLIGHTS.inputs())
    assert_single_rows_equal_the_batch(FLIGHTS, encoder, later, np.arange(0, 3_000, 30))


def test_no_training_row_sees_its_own_target_in_its_dense_row(make_spec, make_columns):
    spec, columns = make_spec(), make_columns(300)
    dense = fit_encoder(spec.features, columns, columns["price"], seed=7).dense
    for row in range(0, 300, 10):
        y = columns["price"].copy()
        y[row] = 999
        changed = fit_encoder(spec.features, columns, y, seed=7).dense
        np.testing.assert_array_equal(changed[row], dense[row])
        assert not np.array_equal(changed, dense, equal_nan=True)


def test_the_sparse_matrix_knows_nothing_of_the_target(make_spec, make_columns):
    spec, columns = make_spec(), make_columns(300)
    first, second = (fit_encoder(spec.features, columns, y, seed=7) for y in (columns["price"], np.arange(1.0, 301)))
    np.testing.assert_array_equal(first.one_hot.toarray(), second.one_hot.toarray())


def test_without_group_means_training_rows_are_encoded_as_later_rows(make_spec, tiny, make_columns):
    spec, columns = make_spec(features=tiny["features"] | {"group_means": None}), make_columns(300)
    fitted = fit_encoder(spec.features, columns, columns["price"], seed=7)
    for kind, own in (("dense", fitted.dense), ("one_hot", fitted.one_hot)):
        np.testing.assert_array_equal(array(own), array(fitted.encoder.transform(spec.features, columns, kind)))


def test_dense_columns_are_codes_numbers_and_means_in_that_order(make_spec, make_columns):
    spec, columns = make_spec(), make_columns(300)
    encoder = fit_encoder(spec.features, columns, columns["price"], seed=7).encoder
    dense = encoder.transform(spec.features, columns, "dense")
    features = derive(spec.features, columns)
    assert dense.dtype == np.float32
    assert encoder.dense_names[:5] == ("town", "zone", "size", "at_hour", "at_weekday")
    assert encoder.dense_categorical == (True, True, *[False] * (len(encoder.dense_names) - 2))
    codes = {"Ay": 0.0, "Bree": 1.0, "Cork": 2.0, None: np.nan}
    np.testing.assert_array_equal(dense[:, 0], [codes[town] for town in columns["town"]])
    np.testing.assert_array_equal(dense[:, 1], columns["zone"] - 1)
    np.testing.assert_array_equal(dense[:, 3], features["at_hour"])
    means = fit_group_means(
        spec.features.group_means, features, encoder.codes(features), encoder.vocabularies, columns["price"]
    )
    expected = means.encoder.transform(features, encoder.codes(features)).astype(np.float32)
    np.testing.assert_array_equal(dense[:, 5:], expected)


def test_trees_see_the_categories_that_are_named_in_a_pair_alone(make_spec, make_columns):
    spec = make_spec(features={"pairs": [["town", "zone"]]})
    encoder = fit_encoder(spec.features, make_columns(50), np.ones(50), seed=7).encoder
    assert encoder.dense_names == ("town", "zone")
    assert encoder.dense_categorical == (True, True)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_that_no_one_should_send_are_encoded_as_unknown(make_spec, make_columns, kind):
    spec, columns = make_spec(), make_columns(300)
    encoder = fit_encoder(spec.features, columns, columns["price"], seed=7).encoder
    odd = [
        {},
        {"town": "Elsewhere", "zone": 10**9, "size": 1e300, "at": "0001-01-01"},
        {"town": "", "zone": -5, "size": "inf", "at": ""},
        {"town": None, "zone": float("nan"), "size": float("-inf"), "at": "9999-12-31T23:59:59"},
        {"town": "Ay" * 10_000, "zone": 2**70, "size": -1e300, "at": None},
    ]
    matrix = array(encoder.transform(spec.features, from_rows(odd, spec), kind))
    assert matrix.shape == (5, len(encoder.dense_names if kind == "dense" else encoder.one_hot_names))
    assert not np.isinf(matrix).any()
    if kind == "dense":
        assert np.isnan(matrix[:, :2]).all()
        assert matrix[:, 2].tolist()[1::3] == [100, 0]  # clipped
    else:
        assert np.isfinite(matrix).all()
        names = np.array(encoder.one_hot_names)
        assert not any(name.startswith(("town", "zone")) for name in names[matrix.any(axis=0)])


@pytest.mark.parametrize("kind", KINDS)
def test_no_rows_are_a_matrix_without_rows(make_spec, make_columns, kind):
    spec, columns = make_spec(), make_columns(100)
    encoder = fit_encoder(spec.features, columns, columns["price"], seed=7).encoder
    width = len(encoder.dense_names if kind == "dense" else encoder.one_hot_names)
    assert encoder.transform(spec.features, from_rows([], spec), kind).shape == (0, width)


def test_a_loaded_encoder_gives_the_same_names_and_every_bit_of_the_matrices(tmp_path, flights):
    columns, y = clean_columns(FLIGHTS, flights.slice(0, 3_000), "2013-01")
    encoder = fit_encoder(FLIGHTS.features, columns, y, seed=7).encoder
    encoder.save(tmp_path)
    loaded = Encoder.load(tmp_path)
    assert (loaded.dense_names, loaded.dense_categorical) == (encoder.dense_names, encoder.dense_categorical)
    assert loaded.one_hot_names == encoder.one_hot_names
    later = from_table(flights, FLIGHTS.inputs())
    for kind in KINDS:
        first, second = (array(one.transform(FLIGHTS.features, later, kind)) for one in (encoder, loaded))
        np.testing.assert_array_equal(first, second)
    again = tmp_path / "again"
    again.mkdir()
    loaded.save(again)
    for name in ("encoder.json", "encoder.npz"):
        assert (again / name).read_bytes() == (tmp_path / name).read_bytes()


# Inputs that may be missing though no training row lacks them


def allowing(make_spec, tiny, *names):
    columns = {
        name: column | ({"missing": "allow"} if name in names else {}) for name, column in tiny["columns"].items()
    }
    return make_spec(columns=columns)


def test_a_small_share_of_training_rows_lacks_each_input_that_may_be_missing_and_none_lacks_two(
    make_spec, tiny, make_columns
):
    spec = allowing(make_spec, tiny, "town", "size")
    made = make_columns(20_000)
    columns = {name: made[name] for name in spec.inputs()} | {"size": np.arange(20_000.0)}
    learnt = masked(spec, columns, seed=7)
    lost = {name: is_missing(learnt[name]) & ~is_missing(columns[name]) for name in columns}
    assert {name for name, rows in lost.items() if rows.any()} == {"town", "size"}
    assert lost["size"].mean() == pytest.approx(MASKED, abs=0.004)
    assert not (lost["town"] & lost["size"]).any()
    again = masked(spec, take(columns, slice(5_000, 6_000)), seed=7)
    np.testing.assert_array_equal(again["size"], learnt["size"][5_000:6_000])


def test_training_rows_are_left_alone_where_no_input_may_be_missing(make_spec, make_columns):
    spec, columns = make_spec(), make_columns(100)
    assert masked(spec, columns, seed=7) is columns


def test_a_spec_may_not_allow_what_is_no_input_to_be_missing(make_spec, tiny):
    with pytest.raises(ValidationError, match="columns.price: missing is for inputs"):
        allowing(make_spec, tiny, "price")
