"""What `mlops-assets run` does for a dataset as one plain script: the same core, with no Dagster, storage or gate.

    python -m benchmarks.plain_script DATASET.yaml SPACES.yaml TRIALS FOLDER

It reads and cleans the periods, encodes the training set, searches and fits each model type, logs every trial and
model to MLflow, fits the best type once more on all rows, and answers the rows of each period. There is no test period.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_assets.core.columns import from_table
from mlops_assets.core.features.encoder import fit_encoder
from mlops_assets.core.learners.estimators import FitData, fit, predict
from mlops_assets.core.learners.model_types import ModelType, resolve_model_type
from mlops_assets.core.learners.search_spaces import load_search_spaces
from mlops_assets.core.model.golden_rows import Specimens
from mlops_assets.core.model.model import Model, finish
from mlops_assets.core.prepare.cleaning import clean
from mlops_assets.core.prepare.splitting import choose_periods
from mlops_assets.core.search.executors import make_executor
from mlops_assets.core.search.trials import FitTrial, Trial, TrialStore
from mlops_assets.core.search.tuning import SearchPlan, search
from mlops_assets.core.targets.kinds import target_of
from mlops_assets.core.training_set import TrainingSet, join, split_rows, write_training_set
from mlops_assets.dataset import load_dataset
from mlops_assets.sources import open_source

if TYPE_CHECKING:
    import pyarrow as pa
    from mlflow import MlflowClient

    from mlops_assets.core.training_set import Parts
    from mlops_assets.dataset import DatasetSpec

MODEL_TYPES = ("LinearRegression", "Lasso", "XGBoost")
SEED, COVERAGE, PATIENCE, ROUNDS = 42, 0.9, 25, 1.05


def main(dataset: str, spaces: str, trials: str, folder: str) -> None:
    place = Path(folder)
    spec, own = load_dataset(dataset, os.environ, os.environ.get("MLOPS_SOURCE_URI")), load_search_spaces(Path(spaces))
    target = target_of(spec.target)
    tables = read_periods(spec, place)
    periods = choose_periods(list(tables), spec.window)
    rows = split_rows(spec, tables.values(), periods, SEED)
    stored = place / "training_set"
    stored.mkdir()
    write_training_set(stored, spec, [rows], periods, SEED)
    client, experiment = open_tracking(place, spec.name)
    found: dict[str, tuple[float, Model, Trial]] = {}
    for name in MODEL_TYPES:
        model_type = resolve_model_type(name, own, target)
        best = tune(client, experiment, stored, model_type, int(trials), place / name)
        model, loss = fit_final(spec, TrainingSet.load(stored), model_type, best)
        log_model(client, experiment, model, {"validation_rmse": loss})
        found[name] = loss, model, best
    name = min(found, key=lambda name: found[name][0])
    _, judged, best = found[name]
    champion = refit(spec, rows, resolve_model_type(name, own, target), best, judged)
    log_model(client, experiment, champion, {})
    for period, table in tables.items():
        answers = champion.predict_columns(dict(from_table(table, spec.inputs())))
        write(place / f"predictions_{period}.parquet", {"prediction": answers})
    print(json.dumps({name: loss for name, (loss, *_) in found.items()}))


def read_periods(spec: DatasetSpec, place: Path) -> dict[str, pa.Table]:
    """The clean rows of each period, which are written as well."""
    import pyarrow.parquet as pq

    source, tables = open_source(spec, place / "copies", timeout=30, retries=0), {}
    for period in source.partitions():
        tables[period] = clean(spec, source.read(period), period).table
        pq.write_table(tables[period], place / f"clean_{period}.parquet")
    return tables


def open_tracking(place: Path, name: str) -> tuple[MlflowClient, str]:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{place}/mlflow.db")
    return client, client.create_experiment(name, artifact_location=f"file://{place}/artefacts")


def tune(client: MlflowClient, experiment: str, stored: Path, model_type: ModelType, trials: int, place: Path) -> Trial:
    """The best trial of a search, each with a run of its own."""
    plan = SearchPlan(trials, float("inf"), PATIENCE, SEED, width=1)
    objective = FitTrial(stored, model_type, SEED, threads=os.cpu_count() or 1)
    with make_executor("local") as executor:
        result = search(
            objective,
            model_type.space,
            plan,
            executor=executor,
            store=TrialStore(place, "plain"),
            on_trial=partial(log_trial, client, experiment),
        )
    return result.best


def log_trial(client: MlflowClient, experiment: str, trial: Trial, *, resumed: bool) -> None:
    log(client, experiment, trial.params, {"validation_rmse": trial.loss or 0.0})


def log(client: MlflowClient, experiment: str, params: Mapping[str, Any], metrics: Mapping[str, float]) -> str:
    """A finished run; gives its id."""
    from mlflow.entities import Metric, Param

    run = client.create_run(experiment).info.run_id
    points = [Metric(key, value, 0, 0) for key, value in metrics.items()]
    client.log_batch(run, metrics=points, params=[Param(key, str(value)) for key, value in params.items()])
    client.set_terminated(run)
    return str(run)


def log_model(client: MlflowClient, experiment: str, model: Model, metrics: Mapping[str, float]) -> None:
    run = log(client, experiment, {"model_type": model.model_type}, metrics)
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder))
        client.log_artifacts(run, folder, "model")


def fit_final(spec: DatasetSpec, stored: TrainingSet, model_type: ModelType, best: Trial) -> tuple[Model, float]:
    """A model on the train split, with what its answers need from validation rows, and its loss on these."""
    kind, y, target = model_type.matrix, stored.target("validation"), model_type.target
    X = stored.matrix(kind, "train")
    data = FitData.of(target, X, stored.target("train"), stored.categorical, names=stored.dense_names)
    estimator = fit_once(model_type, best, data, best.rounds)
    raw = predict(estimator, stored.matrix(kind, "validation"))
    rule = target.learn(raw, y, COVERAGE)
    intervals = target.intervals(target.output(raw, rule), y, COVERAGE, (), None, 1.0)
    model = Model(spec, stored.encoder, estimator, model_type.name, kind)
    loss = target.scores(y, target.honest_output(raw, y))[target.metric.name]
    return finish(model, X, stored.specimens, intervals, rule), loss


def refit(spec: DatasetSpec, parts: Parts, model_type: ModelType, best: Trial, judged: Model) -> Model:
    """The same on all rows, encoder included."""
    rows = join(list(parts.values()))
    encoded = fit_encoder(spec.features, rows.columns, rows.y, SEED)
    X, encoder = encoded.matrix(model_type.matrix), encoded.encoder
    data = FitData.of(model_type.target, X, rows.y, encoder.dense_categorical, names=encoder.dense_names)
    estimator = fit_once(model_type, best, data, round(best.rounds * ROUNDS) if best.rounds else None)
    specimens = Specimens.of(spec, rows.columns, encoder.vocabularies)
    model = Model(spec, encoder, estimator, model_type.name, model_type.matrix)
    return finish(model, X, specimens, judged.intervals, judged.finish)


def fit_once(model_type: ModelType, best: Trial, data: FitData, rounds: int | None) -> Any:
    return fit(model_type, best.params, data, rounds=rounds, seed=SEED, threads=os.cpu_count() or 1).estimator


def write(path: Path, columns: Mapping[str, Any]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table(columns), path)


if __name__ == "__main__":
    main(*sys.argv[1:])
