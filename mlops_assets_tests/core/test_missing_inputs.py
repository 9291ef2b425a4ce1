"""Each input of real flights taken away in turn: refused, or answered sanely, with a flag and without an interval."""

import numpy as np
import pytest

from mlops_assets.core.columns import from_table, nothing_like, take
from mlops_assets.core.features.encoder import fit_encoder, masked
from mlops_assets.core.learners.estimators import FitData, fit
from mlops_assets.core.learners.model_types import resolve_model_type
from mlops_assets.core.model.golden_rows import Specimens
from mlops_assets.core.model.model import Model, finish
from mlops_assets.core.prepare.cleaning import TARGET, clean
from mlops_assets.core.targets.intervals import calibrate
from mlops_assets.dataset import DatasetSpec, load_dataset
from mlops_assets.errors import InputError

REFUSING = load_dataset("nyc_flights", {})
ALLOWING = DatasetSpec.model_validate(
    REFUSING.model_dump(mode="json")
    | {
        "columns": {
            name: column.model_dump(mode="json") | {"missing": "allow" if name in REFUSING.inputs() else "refuse"}
            for name, column in REFUSING.columns.items()
        }
    }
)
PARAMETERS = {"XGBoost": {"n_estimators": 120, "max_depth": 6, "learning_rate": 0.15}, "Ridge": {}}


@pytest.fixture(scope="module")
def rows(flights):
    """Clean rows of January and February, and of March."""
    parts = {}
    period = flights["departure_at"].to_numpy().astype("datetime64[M]").astype(str)
    for name in ("2013-01", "2013-02", "2013-03"):
        table = clean(REFUSING, flights.filter(period == name), name).table
        parts[name] = from_table(table, REFUSING.inputs()), table.column(TARGET).to_numpy()
    earlier = [parts["2013-01"], parts["2013-02"]]
    train = {name: np.concatenate([columns[name] for columns, _ in earlier]) for name in REFUSING.inputs()}
    return train, np.concatenate([y for _, y in earlier]), *parts["2013-03"]


def trained(spec, name, rows):
    train, y, held, held_y = rows
    kind = resolve_model_type(name)
    encoded = fit_encoder(spec.features, masked(spec, train, 7), y, 7)
    X = encoded.one_hot if kind.matrix == "one_hot" else encoded.dense
    data = FitData(X, y, encoded.encoder.dense_categorical)
    estimator = fit(kind, PARAMETERS[name], data, seed=7, threads=1).estimator
    model = Model(spec, encoded.encoder, estimator, name, kind.matrix)
    intervals = calibrate(model.predict_columns(held), held_y, 0.9, category=("origin", held["origin"]))
    return finish(model, X, Specimens.of(spec, train, encoded.encoder.vocabularies), intervals)


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_row_without_any_input_is_refused_by_default(rows, name):
    model = trained(REFUSING, name, rows)
    assert model.required == REFUSING.inputs()
    some = take(rows[2], slice(20))
    for alias in REFUSING.inputs():
        with pytest.raises(InputError, match=f"row 0: {alias} must be given"):
            model.answer_complete(some | {alias: nothing_like(some[alias])})


@pytest.mark.parametrize("name", PARAMETERS)
def test_where_it_is_allowed_the_number_is_sane_flagged_and_without_an_interval(rows, name):
    model, (*_, held, y) = trained(ALLOWING, name, rows), rows
    assert model.required == ()
    model.self_check()
    whole = model.answer_complete(held)
    assert not whole.missing and np.isfinite(whole.low).all()
    for alias in ALLOWING.inputs():
        answers = model.answer_complete(held | {alias: nothing_like(held[alias])})
        assert np.sqrt(((answers.prediction - y) ** 2).mean()) < y.std(), alias
        assert answers.missing[alias].all() and np.isnan(answers.low).all() and np.isnan(answers.high).all()


def test_the_batch_goes_on_and_tells_which_rows_lack_an_input(rows):
    model = trained(REFUSING, "XGBoost", rows)
    held = take(rows[2], slice(10))
    distance = np.where(np.arange(10) == 3, np.nan, held["distance"])
    answers = model.answer(held | {"distance": distance})
    assert np.isfinite(answers.prediction).all()
    assert np.flatnonzero(answers.lacks_inputs).tolist() == np.flatnonzero(np.isnan(answers.low)).tolist() == [3]
