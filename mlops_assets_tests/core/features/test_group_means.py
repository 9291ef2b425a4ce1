"""Target encodings: shrunk means by group, and no row that sees its own target."""

import numpy as np
import pandas as pd
import pytest

from mlops_assets.core.columns import take
from mlops_assets.core.features.categories import Vocabulary
from mlops_assets.core.features.derive import derive
from mlops_assets.core.features.target_encoding import FOLDS, RATES, SHRINKAGE, fit_group_means
from mlops_assets.dataset import GroupMeans
from mlops_assets.errors import DataError


class Fitted:
    """Group means of one spec over given columns, and the matrices of training and later rows."""

    def __init__(self, spec, columns, y, seed=7, labels=()):
        self.spec = spec
        features = derive(spec.features, columns)
        self.vocabularies = {name: Vocabulary.fit(features[name]) for name in spec.features.categories}
        means = spec.features.group_means
        fitted = fit_group_means(means, features, self.codes(features), self.vocabularies, y, labels)
        self.encoder = fitted.encoder
        self.own = np.empty((len(y), len(self.encoder.names)), np.float32)
        fitted.out_of_fold(self.own, seed)

    def codes(self, features):
        return {name: vocabulary.encode(features[name]) for name, vocabulary in self.vocabularies.items()}

    def later(self, columns):
        features = derive(self.spec.features, columns)
        return self.encoder.transform(features, self.codes(features))

    def column(self, matrix, name):
        return matrix[:, self.encoder.names.index(name)]


@pytest.fixture
def spec(make_spec):
    return make_spec()


def with_keys(make_spec, tiny, *keys, relative_to=None):
    return make_spec(features=tiny["features"] | {"group_means": {"keys": keys, "relative_to": relative_to}})


def test_no_training_row_sees_its_own_target(spec, make_columns):
    columns = make_columns(300)
    y = columns["price"]
    own = Fitted(spec, columns, y).own
    for row in range(0, 300, 10):
        changed = y.copy()
        changed[row] *= 50
        moved = Fitted(spec, columns, changed).own
        np.testing.assert_array_equal(moved[row], own[row])
        assert (moved != own).any()


LABELS = ("cheap", "usual", "dear")


def test_of_several_classes_each_has_a_rate_as_if_it_were_the_target(make_spec, tiny, make_columns):
    columns, spec = make_columns(300), with_keys(make_spec, tiny, ["town"], ["zone"])
    y = np.digitize(columns["price"], np.quantile(columns["price"], [0.5, 0.8])).astype(float)
    fitted = Fitted(spec, columns, y, labels=LABELS)
    rates = ["rate_of_cheap", "rate_of_usual", "rate_of_dear", "count"]
    assert fitted.encoder.names == tuple(f"{name}_by_{key}" for key in ("town", "zone") for name in rates)
    for code, label in enumerate(LABELS):
        alone = Fitted(spec, columns, (y == code).astype(float))
        for by in ("town", "zone"):
            for matrix, of_one in ((fitted.own, alone.own), (fitted.later(columns), alone.later(columns))):
                expected = alone.column(of_one, f"mean_by_{by}")
                np.testing.assert_array_equal(fitted.column(matrix, f"rate_of_{label}_by_{by}"), expected)
                np.testing.assert_array_equal(
                    fitted.column(matrix, f"count_by_{by}"), alone.column(of_one, f"count_by_{by}")
                )


def test_of_very_many_classes_the_commonest_have_rates(make_spec, tiny, make_columns):
    columns, spec = make_columns(300), with_keys(make_spec, tiny, ["town"])
    y = np.minimum(np.arange(300) % 40, 30 + np.arange(300) % 3).astype(float)
    encoder = Fitted(spec, columns, y, labels=tuple(f"c{code}" for code in range(33))).encoder
    assert len(encoder.classes) == RATES and {"c30", "c31", "c32"} <= set(encoder.classes)


def test_of_two_classes_the_second_has_a_mean(make_spec, tiny, make_columns):
    columns, spec = make_columns(300), with_keys(make_spec, tiny, ["town"])
    y = (columns["price"] > 20).astype(float)
    plain, classes = (Fitted(spec, columns, y, labels=labels) for labels in ((), ("no", "yes")))
    assert plain.encoder.names == classes.encoder.names
    np.testing.assert_array_equal(plain.own, classes.own)


def test_training_rows_get_what_an_encoder_of_all_other_folds_gives(make_spec, tiny, make_columns):
    columns = make_columns(500)
    y, spec = columns["price"], with_keys(make_spec, tiny, ["town"], ["zone", "size/10"])
    own = Fitted(spec, columns, y, seed=7).own
    folds = np.random.default_rng(7).permutation(500) % FOLDS
    for fold in range(FOLDS):
        others = take(columns, folds != fold)
        expected = Fitted(spec, others, y[folds != fold]).later(take(columns, folds == fold))
        np.testing.assert_allclose(own[folds == fold], expected, rtol=1e-6)


def test_later_rows_get_the_shrunk_mean_of_all_training_rows(make_spec, tiny, make_columns):
    columns = make_columns(300)
    y = columns["price"]
    fitted = Fitted(with_keys(make_spec, tiny, ["town"]), columns, y)
    groups = pd.Series(y).groupby(pd.Series(columns["town"]), dropna=False)
    expected = (groups.transform("sum") + SHRINKAGE * y.mean()) / (groups.transform("size") + SHRINKAGE)
    np.testing.assert_allclose(fitted.column(fitted.later(columns), "mean_by_town"), expected)
    np.testing.assert_allclose(
        fitted.column(fitted.later(columns), "count_by_town"), np.log1p(groups.transform("size"))
    )


def test_training_rows_get_means_near_to_those_of_later_rows(spec, make_columns):
    columns = make_columns(20_000)
    fitted = Fitted(spec, columns, columns["price"])
    later = fitted.later(columns)
    name = "mean_by_zone__size/10"
    difference = fitted.column(fitted.own, name) - fitted.column(later, name)
    assert 0 < np.abs(difference).mean() < 0.1 * fitted.column(later, name).std()


def test_a_group_that_training_did_not_have_gets_the_overall_mean_and_no_count(make_spec, tiny, make_columns):
    columns = make_columns(200)
    columns["town"][columns["town"] == None] = "Ay"  # noqa: E711 - element by element
    fitted = Fitted(with_keys(make_spec, tiny, ["town"]), columns, columns["price"])
    new = make_columns(3) | {"town": np.array(["Elsewhere", None, ""], object)}
    np.testing.assert_allclose(fitted.column(fitted.later(new), "mean_by_town"), columns["price"].mean())
    np.testing.assert_array_equal(fitted.column(fitted.later(new), "count_by_town"), 0)


def test_numbers_are_grouped_in_steps_and_those_outside_are_unknown(make_spec, tiny, make_columns):
    columns = make_columns(400)
    columns["size"] = np.tile([5.0, 14.9, 15.0, 24.0], 100)
    y = np.tile([10.0, 20, 30, 30], 100)
    fitted = Fitted(with_keys(make_spec, tiny, ["size/5"]), columns, y)
    new = make_columns(7) | {"size": np.array([5.5, 14, 16, 24.9, 19, 1e9, np.nan])}
    means = fitted.column(fitted.later(new), "mean_by_size/5")
    expected = [(100 * mean + SHRINKAGE * y.mean()) / (100 + SHRINKAGE) for mean in (10, 20, 30, 30)]
    # 15 and 24 lie in two steps of their own, 19 in the step of 15
    np.testing.assert_allclose(means, [*expected, expected[2], y.mean(), y.mean()])


def test_pace_is_what_the_number_does_not_explain(make_spec, tiny, make_columns):
    columns = make_columns(50_000)
    columns["size"] = np.random.default_rng(0).uniform(1, 90, 50_000)
    slow = columns["town"] == "Cork"
    y = columns["size"] * np.where(slow, 2.0, 1.0)
    fitted = Fitted(with_keys(make_spec, tiny, ["town"], relative_to="size"), columns, y)
    pace = fitted.column(fitted.own, "pace_by_town")
    assert pace[slow].mean() - pace[~slow].mean() == pytest.approx(np.log(2), abs=0.02)


def test_the_number_beyond_its_groups_mean_is_given_too(make_spec, tiny, make_columns):
    columns = make_columns(2_000)
    fitted = Fitted(with_keys(make_spec, tiny, ["town"], relative_to="size"), columns, columns["price"])
    later = fitted.later(columns)
    size = np.clip(columns["size"], 0, 100)
    total = fitted.column(later, "size_by_town") + fitted.column(later, "size_beyond_town")
    np.testing.assert_allclose(total, np.log(size))
    np.testing.assert_array_equal(fitted.own[:, -2:], later[:, -2:].astype(np.float32))


def test_names_tell_keys_apart_that_differ_in_a_width_alone(make_spec, tiny, make_columns):
    keys = ["town", "at_hour"], ["town", "at_hour/6"]
    columns = make_columns(100)
    fitted = Fitted(with_keys(make_spec, tiny, *keys), columns, columns["price"])
    assert fitted.encoder.names == (
        "mean_by_town__at_hour",
        "count_by_town__at_hour",
        "mean_by_town__at_hour/6",
        "count_by_town__at_hour/6",
    )
    assert fitted.own.shape == fitted.later(columns).shape == (100, 4)


def test_the_seed_alone_decides_the_folds(spec, make_columns):
    columns = make_columns(200)
    first, again, other = (Fitted(spec, columns, columns["price"], seed) for seed in (7, 7, 8))
    np.testing.assert_array_equal(first.own, again.own)
    assert (first.own != other.own).any()
    np.testing.assert_array_equal(first.later(columns), other.later(columns))


def test_two_rows_are_enough_and_one_is_refused(spec, make_columns):
    columns = make_columns(2)
    assert np.isfinite(Fitted(spec, columns, columns["price"]).own[:, 0]).all()
    columns = make_columns(1)
    with pytest.raises(DataError, match="one training row is not enough"):
        Fitted(spec, columns, columns["price"])


def test_a_key_with_more_groups_than_numbers_is_named(make_spec, tiny, make_columns):
    features = tiny["features"] | {"numeric": {"size": {}}, "group_means": GroupMeans(keys=[["town", "size/0.01"]])}
    columns = make_columns(10)
    columns["size"][0] = 1e30
    with pytest.raises(DataError, match=r"\[town, size/0.01\] makes too many groups"):
        Fitted(make_spec(features=features), columns, columns["price"])
