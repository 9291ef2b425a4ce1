"""A class of the user's own is a model type where it is trusted; where not, it is refused before it is fitted."""

import sys

import numpy as np
import pytest

from mlops_assets.core.learners.estimators import FitData, fit, is_linear, predict
from mlops_assets.core.learners.model_types import resolve_model_type
from mlops_assets.core.learners.persistence import dump_estimator, parse_estimator
from mlops_assets.errors import ModelError
from mlops_assets_tests.core.examples import BINARY

CODE = """
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.linear_model import Ridge

class Mean:
    def __init__(self, value):
        self.value = value

class Mine(RegressorMixin, BaseEstimator):
    def __init__(self, share=1.0):
        self.share = share
    def fit(self, X, y):
        self.mean_ = Mean(float(np.mean(y)))
        return self
    def predict(self, X):
        return np.full(len(X), self.share * self.mean_.value)

class Doubled(Ridge):
    def predict(self, X):
        return 2 * super().predict(X)

class Shares(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        self.classes_, counts = np.unique(y, return_counts=True)
        self.shares_ = counts / len(y)
        return self
    def predict(self, X):
        return np.full(len(X), self.classes_[self.shares_.argmax()])
    def predict_proba(self, X):
        return np.tile(self.shares_, (len(X), 1))

class Hard(ClassifierMixin, BaseEstimator):
    fit = predict = Shares.fit

class Plain:
    fit = predict = Shares.fit

class Silent(Mine):
    def __init__(self, how=len):
        self.how = lambda: 1
"""
ROWS = np.random.default_rng(7).random((40, 2)).astype(np.float32)
DATA = FitData(ROWS, ROWS.sum(axis=1))


@pytest.fixture
def trust(my_models):
    """A function that trusts classes of the module, and no others."""
    my_models(code=CODE)
    return lambda *names: my_models(*names, code=CODE)


def test_one_that_is_trusted_is_fitted_and_comes_back_with_the_same_predictions(trust):
    trust("Mine", "Mean")
    mine = resolve_model_type("my_models.Mine")
    assert (mine.matrix, mine.space.size, mine.library) == ("dense", 1, None)
    estimator = fit(mine, {"share": 0.5}, DATA, seed=7, threads=1).estimator
    again = predict(parse_estimator(dump_estimator(estimator)), ROWS)
    assert np.array_equal(again, predict(estimator, ROWS)) and again[0] == pytest.approx(DATA.y.mean() / 2)


def test_one_of_classes_gives_probabilities(trust):
    trust("Shares")
    shares = resolve_model_type("my_models.Shares", target=BINARY)
    y = (DATA.y > 1.2).astype(float)
    estimator = fit(shares, {}, FitData.of(BINARY, ROWS, y), seed=7, threads=1).estimator
    output = BINARY.output(predict(parse_estimator(dump_estimator(estimator)), ROWS))
    assert output[:, -1] == pytest.approx(np.full(40, y.mean()))


@pytest.mark.parametrize("trusted", [(), ("Doubled",)])
def test_one_that_is_not_trusted_is_refused_before_it_is_fitted(trust, trusted):
    trust(*trusted)
    message = r"trusted types: my_models\.Mine; use another model type, or, .* name them in MLOPS_TRUSTED_TYPES"
    with pytest.raises(ModelError, match=message):
        resolve_model_type("my_models.Mine")


def test_what_only_a_fit_brings_in_is_named_too(trust):
    trust("Mine")
    estimator = fit(resolve_model_type("my_models.Mine"), {}, DATA, seed=7, threads=1).estimator
    with pytest.raises(ModelError, match=r"trusted types: my_models\.Mean;"):
        dump_estimator(estimator)


def test_a_saved_one_is_not_loaded_where_it_is_not_trusted_or_its_module_is_not_there(trust, monkeypatch):
    trust("Mine", "Mean")
    data = dump_estimator(fit(resolve_model_type("my_models.Mine"), {}, DATA, seed=7, threads=1).estimator)
    trust()
    with pytest.raises(ModelError, match=r"trusted types: my_models\.Mean, my_models\.Mine;"):
        parse_estimator(data)
    trust("Mine", "Mean")
    monkeypatch.setitem(sys.modules, "my_models", None)
    with pytest.raises(ModelError, match="needs the module my_models, which is not here: .* PYTHONPATH"):
        parse_estimator(data)


def test_a_line_that_predicts_in_its_own_way_is_asked_for_its_predictions(trust):
    trust("Doubled")
    estimator = fit(resolve_model_type("my_models.Doubled"), {}, DATA, seed=7, threads=1).estimator
    *_, line = estimator
    assert not is_linear(line)
    assert predict(estimator, ROWS).mean() == pytest.approx(2 * DATA.y.mean(), rel=0.01)


def test_its_code_is_known_by_a_digest_that_changes_with_it(my_models):
    my_models("Mine", code=CODE)
    first, again = (resolve_model_type("my_models.Mine").code for _ in range(2))
    my_models("Mine", code=CODE.replace("np.mean", "np.median"))
    assert first == again != resolve_model_type("my_models.Mine").code
    assert resolve_model_type("linear_model.Lasso").code is resolve_model_type("XGBoost").code is None


@pytest.mark.parametrize(
    "name, message",
    [
        ("my_models.Plain", "does not say what it learns: let its class inherit from scikit-learn's RegressorMixin"),
        ("my_models.Shares", "predicts classes, and the target's kind asks for numbers"),
        ("my_models.Mne", r"did you mean my_models\.Mine"),
        ("my_modles.Zq", r"No module named 'my_modles': is its folder on PYTHONPATH\?"),
    ],
)
def test_one_that_cannot_be_used_is_refused_with_advice(trust, name, message):
    with pytest.raises(ModelError, match=f"^'{name}'.*{message}"):
        resolve_model_type(name)


def test_one_without_probabilities_is_refused_for_classes(trust):
    trust("Hard")
    with pytest.raises(ModelError, match=r"'my_models\.Hard' gives no probabilities \(predict_proba\)"):
        resolve_model_type("my_models.Hard", target=BINARY)


def test_one_that_skops_cannot_keep_is_refused(trust):
    trust("Silent")
    with pytest.raises(ModelError, match="Silent cannot be kept without pickle|trusted types: .*lambda"):
        resolve_model_type("my_models.Silent")


def test_a_module_that_cannot_be_read_is_told_with_its_error(my_models):
    my_models("Mine", code="class Mine(:\n")
    with pytest.raises(ModelError, match=r"'my_models\.Mine' cannot be imported: SyntaxError: "):
        resolve_model_type("my_models.Mine")
