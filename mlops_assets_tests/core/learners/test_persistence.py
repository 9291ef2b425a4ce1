"""Estimators come back from disk with the same predictions, and nothing foreign comes with them."""

import io
import json
import re
import sys
import zipfile
from dataclasses import replace
from inspect import signature

import numpy as np
import pytest
import scipy.special
from sklearn.linear_model import Ridge
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import all_estimators

from mlops_assets.core.learners.estimators import FitData, fit, predict
from mlops_assets.core.learners.model_types import resolve_model_type, shipped_model_types
from mlops_assets.core.learners.persistence import (
    SKLEARN_FILE,
    dump_estimator,
    load_estimator,
    parse_estimator,
    save_estimator,
)
from mlops_assets.core.learners.strict_skops import import_skops
from mlops_assets.errors import ModelError
from mlops_assets_tests.core.examples import BINARY, CATEGORY, in_classes, model_type_of

QUICK = {"n_estimators": 8, "max_iter": 8, "iterations": 8}
NOT_OURS = {"MultiOutputRegressor", "RegressorChain", "StackingRegressor", "VotingRegressor"}  # need arguments


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(7)
    X = np.column_stack([rng.integers(0, 6, 300), rng.normal(size=300), rng.random(300)]).astype(np.float32)
    X[::9, 1] = np.nan
    return FitData(X, np.abs(np.nan_to_num(X).sum(axis=1, dtype=np.float64)) + 1, (True, False, False))


def fitted(name, rows):
    model_type = model_type_of(name)
    rows = replace(rows, y=in_classes(model_type.target, rows.y))
    known = model_type.load_class()().get_params()
    params = {name: value for name, value in QUICK.items() if name in known}
    return fit(model_type, params, rows, seed=7, threads=1).estimator


@pytest.mark.parametrize("name", shipped_model_types())
def test_every_shipped_model_type_predicts_the_same_bits_after_it_was_loaded(name, rows, tmp_path):
    estimator = fitted(name, rows)
    path = save_estimator(estimator, tmp_path)
    assert [path] == list(tmp_path.iterdir())
    library = model_type_of(name).library
    assert path.name == (library.file if library else SKLEARN_FILE)
    assert np.array_equal(predict(load_estimator(tmp_path), rows.X), predict(estimator, rows.X))
    assert b"pickle" not in path.read_bytes()


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", [name for name, _ in all_estimators(type_filter="regressor") if name not in NOT_OURS])
def test_every_regressor_of_scikit_learn_can_be_kept(name):
    estimator = dict(all_estimators(type_filter="regressor"))[name]()
    rng = np.random.default_rng(7)
    X = rng.random((60, 1 if name == "IsotonicRegression" else 4))
    y = X.sum(axis=1) + 1
    if name in ("CCA", "PLSCanonical"):
        estimator.set_params(n_components=1)
    if not estimator.__sklearn_tags__().target_tags.single_output:
        y = np.column_stack([y, y])
    estimator.fit(X, y)
    again = parse_estimator(dump_estimator(estimator)).predict(X)
    assert np.allclose(again, estimator.predict(X), rtol=1e-12, atol=0)


CLASSIFIERS = [
    f"{cls.__module__.split('._')[0]}.{name}"
    for name, cls in all_estimators(type_filter="classifier")
    if not [item for item in signature(cls).parameters.values() if item.default is item.empty]
    and name != "SelfTrainingClassifier"
]


@pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::sklearn.exceptions.ConvergenceWarning", "ignore::UserWarning"
)
@pytest.mark.parametrize("path", CLASSIFIERS)
def test_every_classifier_of_scikit_learn_gives_classes_and_can_be_kept(path):
    rng = np.random.default_rng(7)
    X = np.abs(rng.normal(size=(120, 4))).astype(np.float32)
    shown = X[:, 0] - X[:, 1] + 0.3 * rng.normal(size=120)
    for target, y in ((BINARY, (shown > 0).astype(float)), (CATEGORY, np.digitize(shown, [-0.4, 0.4]).astype(float))):
        model_type = resolve_model_type(path, target=target)
        estimator = fit(model_type, {}, FitData.of(target, X, y), seed=7, threads=1).estimator
        raw = predict(estimator, X)
        assert np.array_equal(predict(parse_estimator(dump_estimator(estimator)), X), raw)
        assert target.output(raw).shape == (120, len(target.labels)) and np.isfinite(target.output(raw)).all()


def tampered(data, change):
    """The skops file with its schema changed as text."""
    source, target = zipfile.ZipFile(io.BytesIO(data)), io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for item in source.infolist():
            content = source.read(item)
            archive.writestr(item.filename, change(content) if item.filename == "schema.json" else content)
    return target.getvalue()


@pytest.mark.parametrize(
    "path",
    [
        "subprocess.Popen",
        "sklearn.datasets._base.load_files",  # of scikit-learn, and no estimator
        "sklearn.externals._arff.ArffDecoder",
        "sklearn.no_such_room.Ridge",
        "sklearn.linear_model.NoSuchEstimator",
        "numpy.f2py.__main__.main",  # which works, and ends Python, where it is imported
        "numpy.load",
        "scipy.io.loadmat",
    ],
)
def test_a_file_with_a_foreign_type_is_refused_and_the_type_is_named(path, rows, tmp_path):
    data = dump_estimator(fitted("Ridge", rows))

    def plant(content):
        schema = json.loads(content)
        schema["__module__"], _, schema["__class__"] = path.rpartition(".")
        return json.dumps(schema)

    (tmp_path / SKLEARN_FILE).write_bytes(tampered(data, plant))
    with pytest.raises(ModelError, match=rf"not on the list of trusted types: {re.escape(path)};"):
        load_estimator(tmp_path)


def test_functions_on_arrays_are_kept_with_the_estimator_that_calls_them():
    X = np.arange(1.0, 7.0).reshape(3, 2)
    for function in (np.log1p, scipy.special.expit):
        again = parse_estimator(dump_estimator(FunctionTransformer(function).fit(X)))
        assert np.array_equal(again.transform(X), function(X))


def test_the_skops_of_others_in_the_process_trusts_what_it_always_does(rows):
    dump_estimator(fitted("Ridge", rows))
    assert import_skops() not in sys.modules.values()
    import skops.io

    assert skops.io.get_untrusted_types(data=skops.io.dumps(Ridge().fit(rows.X[:, 2:], rows.y))) == []


def test_the_trusted_types_are_ours_and_a_file_cannot_add_to_them(rows):
    class Local:
        pass

    estimator = fitted("Ridge", rows)
    estimator.helper_ = Local()
    with pytest.raises(ModelError, match=r"trusted types: .*Local; use another model type"):
        dump_estimator(estimator)


@pytest.mark.parametrize("name", ["Ridge", "XGBoost", "LightGBM", "CatBoost"])
def test_a_damaged_file_is_told_as_such(name, rows, tmp_path):
    path = save_estimator(fitted(name, rows), tmp_path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ModelError, match="the saved estimator is (damaged|neither)"):
        load_estimator(tmp_path)


def test_a_folder_without_an_estimator_is_told_as_such(tmp_path):
    with pytest.raises(ModelError, match="none of estimator.skops, estimator.ubj,"):
        load_estimator(tmp_path)


def test_a_zip_that_claims_to_unpack_to_far_more_is_refused_unread(monkeypatch):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", b"0" * 60_000_000)
    monkeypatch.setattr(zipfile.ZipFile, "open", None)
    with pytest.raises(ModelError, match="claims to unpack to 60 MB: it is not ours"):
        parse_estimator(target.getvalue())


HUGE = b"tree\nversion=v4\ntree_sizes=10 999999\n\nTree=0\n"
FOREIGN = [b"", b"{", b"{" * 99, b"[" * 5_000, b"tree\n", b"tree\n" * 9_999, HUGE, b"CBM1", b"CBM1\xff\xff\xff\xff{}"]


@pytest.mark.parametrize("data", FOREIGN)
def test_what_is_no_file_of_a_library_never_reaches_one(data, monkeypatch):
    for name in ("xgboost.Booster", "lightgbm.Booster", "catboost.CatBoost"):
        monkeypatch.setattr(name, None)
    with pytest.raises(ModelError, match="neither of skops nor of xgboost, lightgbm, catboost"):
        parse_estimator(data)
