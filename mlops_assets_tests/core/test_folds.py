"""Folds of a table of few rows: each row is held out once, by fits that have seen nothing of it."""

import numpy as np
import pyarrow as pa
import pytest

from mlops_assets.core.features.encoder import fit_encoder, masked
from mlops_assets.core.folds import COUNT, has_folds, write_folds
from mlops_assets.core.learners.estimators import FitData, fit, predict
from mlops_assets.core.learners.model_types import resolve_model_type
from mlops_assets.core.learners.persistence import parse_estimator
from mlops_assets.core.prepare.cleaning import TARGET
from mlops_assets.core.prepare.splitting import choose_periods
from mlops_assets.core.search.trials import FitTrial
from mlops_assets.core.targets.kinds import target_of
from mlops_assets.core.training_set import TrainingSet, split_rows, write_training_set
from mlops_assets.dataset import DatasetSpec
from mlops_assets_tests.tiny import TINY, random_columns

SNAPSHOT = TINY | {
    "time": None,
    "source": {"kind": "files", "uri": "all.csv"},
    "columns": TINY["columns"] | {"id": {"type": "integer"}},
    "key": ["id"],
    "features": {"categorical": ["town"], "numeric": {"zone": {}}},
}
ABOVE = {"target": {"column": "price", "above": 100}}


@pytest.fixture
def written(tmp_path):
    """What writes a small snapshot and its folds; gives the training set, the spec and the rows by split."""

    def write(price=None, **changes):
        spec = DatasetSpec.model_validate(SNAPSHOT | changes)
        columns = random_columns(300) | {"id": np.arange(300), "zone": np.arange(300.0) % 40}
        columns |= {} if price is None else {"price": price}
        periods = choose_periods(["snapshot"], spec.window)
        parts = split_rows(spec, [pa.table(columns | {TARGET: columns["price"]})], periods, seed=7)
        write_training_set(tmp_path, spec, [parts], periods, seed=7)
        write_folds(tmp_path, spec, parts, periods, seed=7)
        return TrainingSet.load(tmp_path), spec, parts

    return write


def test_a_small_snapshot_has_folds_and_periods_and_larger_ones_have_none(make_spec):
    snapshot = DatasetSpec.model_validate(SNAPSHOT)
    assert has_folds(snapshot, 999)
    assert not has_folds(snapshot, 1_000)
    assert not has_folds(make_spec(), 999)


def test_each_row_of_train_and_validation_is_held_out_once_and_no_test_row(written):
    training_set, _, parts = written()
    folds = training_set.held_out
    known = np.concatenate([parts["train"].y, parts["validation"].y])
    assert len(folds) == COUNT
    assert sorted(training_set.held_target) == sorted(known)
    for fold in folds:
        assert sorted([*fold.target("train"), *fold.target("validation")]) == sorted(known)
        assert abs(fold.rows["validation"] - len(known) / COUNT) <= 1
        assert not fold.rows["test"]


def test_rows_of_a_group_are_held_out_together(written):
    training_set, *_ = written(split={"groups": ["zone"]})
    column = training_set.dense_names.index("zone")
    for fold in training_set.held_out:
        sides = [set(fold.matrix("dense", split)[:, column]) for split in ("train", "validation")]
        assert min(map(len, sides)) > 1 and not set.intersection(*sides)


def test_classes_are_held_out_in_equal_shares(written):
    training_set, *_ = written((np.arange(300) % 10 == 0).astype(float), **ABOVE)
    counts = [fold.target("validation").sum() for fold in training_set.held_out]
    assert max(counts) - min(counts) <= 1


def test_a_class_too_rare_for_folds_leaves_the_split_as_it_is(written):
    training_set, *_ = written((np.arange(300) < 14).astype(float), **ABOVE)
    assert training_set.held_out == (training_set,)
    assert np.array_equal(training_set.held_target, training_set.target("validation"))


@pytest.mark.parametrize(("name", "params"), [("Ridge", {"alpha": 2.0}), ("XGBoost", {"n_estimators": 9})])
def test_a_trial_is_judged_by_every_fold_and_keeps_the_fit_on_the_train_split(written, name, params):
    training_set, spec, parts = written()
    kind, target = resolve_model_type(name), target_of(spec.target)
    trial = FitTrial(training_set.folder, kind, 7, 1)
    outcome, raw = trial(params, float("inf")), trial.held_output(params)
    assert outcome.loss == target.metric(training_set.held_target, raw)
    fold, train = training_set.held_out[0], parts["train"]
    data = FitData.of(
        target,
        fold.matrix(kind.matrix, "train"),
        fold.target("train"),
        fold.categorical,
        (fold.matrix(kind.matrix, "validation"), fold.target("validation")),
    )
    alone = predict(fit(kind, params, data, seed=7, threads=1).estimator, fold.matrix(kind.matrix, "validation"))
    assert np.array_equal(raw[: fold.rows["validation"]], alone)
    encoded = fit_encoder(spec.features, masked(spec, train.columns, 7), train.y, 7)
    whole = fit(kind, params, FitData.of(target, encoded.matrix(kind.matrix), train.y), seed=7, threads=1).estimator
    X = training_set.matrix(kind.matrix, "validation")
    if name == "Ridge":
        assert predict(parse_estimator(outcome.estimator), X) == pytest.approx(predict(whole, X))
    assert outcome.rounds == (9 if name == "XGBoost" else None)
