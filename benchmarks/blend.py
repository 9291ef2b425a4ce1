"""RMSE on 2024-02 of an ensemble trained on January alone, and of the best that any weights of its members reach."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from benchmarks.accuracy import LATE_SHARE, NEWEST, RECIPE, TEST
from benchmarks.measuring import call
from benchmarks.places import Places
from benchmarks.results import Figure, Report, Table
from benchmarks.taxi import FULL, SEED, Taxi

if TYPE_CHECKING:
    from mlops_assets.core.features.encoder import FittedEncoder

MEMBERS: dict[str, dict[str, Any]] = {
    "XGBoost": RECIPE,
    "LightGBM": RECIPE,
    "CatBoost": {"iterations": 1000},
    "HistGradientBoostingRegressor": {"max_iter": 300},
    "ExtraTreesRegressor": {},
}
BLEND = Figure(
    "RMSE on 2024-02, trained on 2024-01, ensemble",
    "4.12 or less (XGBoost alone 4.174)",
    "spec `nyc_green_taxi`; each member from the start of its search space, boosting stopped early on the last 15 % of "
    "January in time; weights of non-negative least squares on these rows, as `Ensemble` has them; all fitted again on "
    "the whole of January with 1.05 times the rounds",
)


def measure(places: Places) -> Report:
    if not places.has(TEST, NEWEST):
        return Report([BLEND.absent()])
    found = call(blend_and_test, source_uri=places.source_uri).value
    rmse, floor = found["rmse"], found["floor"]
    row = BLEND.measured(f"{rmse:.3f}; with weights fitted to 2024-02 itself {floor:.3f}", rmse <= 4.12)
    lines = tuple((name, *(f"{value:.3f}" for value in values)) for name, values in found["members"].items())
    header = ("member", "RMSE of late January", "RMSE of 2024-02", "weight")
    return Report([row], [Table("Members of an ensemble on 2024-02", header, lines)])


def blend_and_test(source_uri: str) -> dict[str, Any]:
    import numpy as np

    from mlops_assets.assets.final_fit import REFIT_ROUNDS
    from mlops_assets.core.columns import take
    from mlops_assets.core.features.encoder import fit_encoder
    from mlops_assets.core.learners.ensemble import blend, learn_weights
    from mlops_assets.core.learners.estimators import FitData, fit, predict
    from mlops_assets.core.learners.model_types import resolve_model_type
    from mlops_assets.core.targets.metrics import RMSE
    from mlops_assets.core.targets.numbers import NUMBER

    taxi = Taxi(FULL, source_uri)
    features = taxi.spec.features
    parts = taxi.split([NEWEST], TEST)
    rows, test = parts["train"], parts["validation"]
    order = np.argsort(rows.columns[taxi.spec.time.column], kind="stable")
    columns, y = take(rows.columns, order), rows.y[order]
    cut = round(len(y) * (1 - LATE_SHARE))
    early, late = slice(0, cut), slice(cut, None)
    first, whole = fit_encoder(features, take(columns, early), y[early], SEED), fit_encoder(features, columns, y, SEED)
    X_late = first.encoder.transform(features, take(columns, late), "dense")
    X_test = whole.encoder.transform(features, test.columns, "dense")

    def data(fitted: FittedEncoder, truth: np.ndarray, held: Any = None) -> FitData:
        return FitData(fitted.dense, truth, fitted.encoder.dense_categorical, held)

    said: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    how = {"seed": SEED, "threads": os.cpu_count() or 1}
    for name, recipe in MEMBERS.items():
        kind = resolve_model_type(name)
        params = kind.space.adopt(kind.space.start) | recipe
        tried = fit(kind, params, data(first, y[early], (X_late, y[late])), **how)
        rounds = round(tried.rounds * REFIT_ROUNDS) if tried.rounds else None
        final = fit(kind, params, data(whole, y), rounds=rounds, **how)
        said[name] = predict(tried.estimator, X_late), predict(final.estimator, X_test)
    on_late, on_test = ([pair[place] for pair in said.values()] for place in (0, 1))
    weights = learn_weights(on_late, y[late], NUMBER)
    members = {
        name: (RMSE(y[late], pair[0]), RMSE(test.y, pair[1]), float(weight))
        for (name, pair), weight in zip(said.items(), weights, strict=True)
    }
    floor = RMSE(test.y, blend(on_test, learn_weights(on_test, test.y, NUMBER)))
    return {"rmse": RMSE(test.y, blend(on_test, weights)), "floor": floor, "members": members}
