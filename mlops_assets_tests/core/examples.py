"""Small training sets and final models of the dataset `tiny`, made in a moment."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from mlops_assets.core.features.derive import derive
from mlops_assets.core.features.encoder import MatrixKind, fit_encoder
from mlops_assets.core.learners.ensemble import ENSEMBLE
from mlops_assets.core.learners.estimators import FitData, fit, predict
from mlops_assets.core.learners.model_types import ModelType, resolve_model_type, shipped_model_types
from mlops_assets.core.model.ensemble import blended
from mlops_assets.core.model.golden_rows import Specimens
from mlops_assets.core.model.model import Model, finish
from mlops_assets.core.model.quantiles import QuantileTrees
from mlops_assets.core.prepare.cleaning import TARGET
from mlops_assets.core.prepare.splitting import choose_periods
from mlops_assets.core.targets.kind import TargetKind
from mlops_assets.core.targets.kinds import target_of
from mlops_assets.core.targets.numbers import NUMBER
from mlops_assets.core.training_set import split_rows, write_training_set
from mlops_assets.dataset import DatasetSpec
from mlops_assets.dataset.target import Target
from mlops_assets_tests.tiny import random_columns

BINARY = target_of(Target(column="price", kind="binary", above=20))
CATEGORY = target_of(Target(column="price", classes=(0, 1, 2)))

MEMBERS = {"XGBoost": 0.7, "Ridge": 0.35}
OF_CLASSIFIERS = {
    "HistGradientBoostingClassifier": {"max_iter": 8},
    "RandomForestClassifier": {"n_estimators": 20},
    "ExtraTreesClassifier": {"n_estimators": 20},
}
PARAMETERS = {
    "LinearRegression": {},
    "Ridge": {},
    "Lasso": {"alpha": 0.01},
    "XGBoost": {"n_estimators": 60, "max_depth": 5},
    "LightGBM": {"n_estimators": 60},
    "CatBoost": {"iterations": 60, "depth": 5, "learning_rate": 0.2},
    "HistGradientBoostingRegressor": {"max_iter": 20},
    "sklearn.svm.SVR": {},
}


def kind_for(name: str) -> TargetKind:
    """A kind of target that a shipped model type predicts."""
    entry = shipped_model_types().get(name)
    return BINARY if entry and entry.predicts == "classes" else NUMBER


def model_type_of(name: str) -> ModelType:
    return resolve_model_type(name, target=kind_for(name))


def in_classes(kind: TargetKind, y: np.ndarray) -> np.ndarray:
    """A number (n,) as a target of the kind: classes by its quantiles."""
    if not kind.labels:
        return y
    return np.searchsorted(np.quantile(y, np.linspace(0, 1, len(kind.labels) + 1)[1:-1]), y).astype(np.float64)


def write_rows(folder: Path, spec: DatasetSpec, columns: dict[str, np.ndarray]) -> Path:
    """A training set of two periods of these rows, in a new folder."""
    periods = choose_periods(["2024-01", "2024-02"], spec.window)
    period = columns["at"].astype("datetime64[M]").astype(str)
    named = columns | {TARGET: columns["price"]}
    tables = [pa.table({name: values[period == m] for name, values in named.items()}) for m in periods.all]
    folder.mkdir()
    write_training_set(folder, spec, [split_rows(spec, tables, periods, 7)], periods, seed=7)
    return folder


def order_columns(n: int, seed: int = 0) -> dict[str, np.ndarray]:
    """`n` rows of orders: what the town, the hour and holidays do to their price."""
    columns = random_columns(n, seed)
    hour = np.where(np.isnat(columns["at"]), 12, columns["at"].astype("datetime64[h]").astype(np.int64) % 24)
    day = columns["at"].astype("datetime64[D]")
    holiday = np.isin(day, np.array(["2024-01-01", "2024-01-15", "2024-02-19"], "datetime64[D]"))
    town = np.select([columns["town"] == "Ay", columns["town"] == "Bree"], [1.0, 1.5], 2.0)
    price = (columns["price"] + np.nan_to_num(columns["zone"])) * town * (1 + hour / 24) * np.where(holiday, 2, 1)
    return columns | {"price": price}


def fit_final_model(
    spec: DatasetSpec,
    name: str,
    rows: int = 1_500,
    matrix: MatrixKind | None = None,
    make: Callable[..., dict[str, np.ndarray]] = order_columns,
) -> Model:
    """A model of a type with all its parts, made of so many orders and 1,000 held out."""
    if name == ENSEMBLE:
        models = {name: fit_final_model(spec, name, rows, matrix, make) for name in MEMBERS}
        return blended(models, MEMBERS, models["XGBoost"].intervals, None)
    columns, held = make(rows), make(1_000, seed=1)
    train = {alias: columns[alias] for alias in spec.inputs()}
    rest = {alias: held[alias] for alias in spec.inputs()}
    kind = target_of(spec.target)
    y, y_held = in_classes(kind, columns["price"]), in_classes(kind, held["price"])
    model_type = resolve_model_type(name, target=kind)
    model_type = replace(model_type, matrix=matrix or model_type.matrix)
    encoded = fit_encoder(spec.features, train, y, 7, kind.labels)
    X = encoded.one_hot if model_type.matrix == "one_hot" else encoded.dense
    data = FitData.of(kind, X, y, encoded.encoder.dense_categorical)
    estimator = fit(model_type, (PARAMETERS | OF_CLASSIFIERS).get(name, {}), data, seed=7, threads=1).estimator
    model = Model(spec, encoded.encoder, estimator, name, model_type.matrix)
    raw = predict(estimator, encoded.encoder.transform(spec.features, rest, model_type.matrix))
    rule = kind.learn(raw, y_held, coverage=0.9)
    said = None
    if spec.target.intervals:
        dense = FitData.of(kind, encoded.dense, y, encoded.encoder.dense_categorical)
        trees = QuantileTrees.fit(encoded.encoder, dense, 0.9, seed=7, threads=1)
        said = trees, trees.ends(derive(spec.features, rest))
    intervals = kind.intervals(kind.output(raw, rule), y_held, 0.9, (), None, 1.0, said)
    return finish(model, X, Specimens.of(spec, train, encoded.encoder.vocabularies, rest), intervals, rule)
