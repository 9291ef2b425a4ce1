"""A small written training set, final models, and objectives that child processes can import."""

import importlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from mlops_assets.core.features.encoder import MatrixKind, fit_encoder
from mlops_assets.core.learners.estimators import FitData, fit
from mlops_assets.core.learners.model_types import resolve_model_type
from mlops_assets.core.model.golden_rows import Specimens
from mlops_assets.core.model.intervals import calibrate
from mlops_assets.core.model.model import Model, finish
from mlops_assets.core.prepare.cleaning import TARGET
from mlops_assets.core.prepare.splitting import choose_months
from mlops_assets.core.training_set import split_rows, write_training_set
from mlops_assets.dataset import DatasetSpec


@pytest.fixture
def objectives(monkeypatch):
    """The module `search_objectives`; spawned processes get this process's search path, so they find it too."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "spawned")
    return importlib.import_module("search_objectives")


@pytest.fixture
def training_set_folder(tmp_path, make_spec, make_columns) -> Path:
    """A training set of some 300 train and 300 validation rows, with missing values, on disk."""
    return write_rows(tmp_path / "training_set", make_spec(window={"test_months": 0}), make_columns(600))


def write_rows(folder: Path, spec: DatasetSpec, columns: dict[str, np.ndarray]) -> Path:
    """A training set of two months of these rows, in a new folder."""
    months = choose_months(["2024-01", "2024-02"], spec.window)
    month = columns["at"].astype("datetime64[M]").astype(str)
    named = columns | {TARGET: columns["price"]}
    tables = [pa.table({name: values[month == m] for name, values in named.items()}) for m in months.all]
    folder.mkdir()
    write_training_set(folder, spec, [split_rows(spec, tables, months, 7)], months, seed=7)
    return folder


PARAMETERS = {
    "LinearRegression": {},
    "Ridge": {},
    "Lasso": {"alpha": 0.01},
    "XGBoost": {"n_estimators": 60, "max_depth": 5},
    "HistGradientBoostingRegressor": {"max_iter": 20},
    "sklearn.svm.SVR": {},
}


@pytest.fixture
def orders(tiny, make_columns) -> Callable:
    """A function that gives rows of orders: what the town, the hour and holidays do to their price."""

    def make(n: int, seed: int = 0) -> dict[str, np.ndarray]:
        columns = make_columns(n, seed)
        hour = np.where(np.isnat(columns["at"]), 12, columns["at"].astype("datetime64[h]").astype(np.int64) % 24)
        day = columns["at"].astype("datetime64[D]")
        holiday = np.isin(day, np.array(["2024-01-01", "2024-01-15", "2024-02-19"], "datetime64[D]"))
        town = np.select([columns["town"] == "Ay", columns["town"] == "Bree"], [1.0, 1.5], 2.0)
        price = (columns["price"] + np.nan_to_num(columns["zone"])) * town * (1 + hour / 24) * np.where(holiday, 2, 1)
        return columns | {"price": price}

    return make


@pytest.fixture
def order_spec(make_spec, tiny):
    """The tiny spec in New York, with holidays, and a narrower range of sizes and prices."""
    features = tiny["features"] | {
        "numeric": {"size": {"clip": [1, 60]}},
        "calendar": {"at": {"parts": ["hour", "weekday", "holiday", "minute_of_day"], "country": "US"}},
    }
    columns = tiny["columns"] | {"at": {"type": "time", "timezone": "America/New_York"}}
    return make_spec(columns=columns, target={"column": "price", "keep": [8, 150]}, features=features)


@pytest.fixture
def final_model(order_spec, orders) -> Callable[[str], Model]:
    """A function that gives a model of a type with all its parts, made of so many orders and 1,000 held out."""

    def make(name: str, rows: int = 1_500, matrix: MatrixKind | None = None) -> Model:
        columns, held = orders(rows), orders(1_000, seed=1)
        train = {alias: columns[alias] for alias in order_spec.inputs()}
        rest = {alias: held[alias] for alias in order_spec.inputs()}
        kind = resolve_model_type(name)
        kind = replace(kind, matrix=matrix or kind.matrix)
        encoded = fit_encoder(order_spec.features, train, columns["price"], seed=7)
        X = encoded.one_hot if kind.matrix == "one_hot" else encoded.dense
        data = FitData(X, columns["price"], encoded.encoder.dense_categorical)
        estimator = fit(kind, PARAMETERS[name], data, seed=7, threads=1).estimator
        model = Model(order_spec, encoded.encoder, estimator, name, kind.matrix)
        intervals = calibrate(model.predict_columns(rest), held["price"], coverage=0.9)
        return finish(model, X, Specimens.of(order_spec, train, encoded.encoder.vocabularies, rest), intervals)

    return make
