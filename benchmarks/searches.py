"""A search on the embedded flights in the process that measures it, as tuning makes one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.taxi import SEED

if TYPE_CHECKING:
    from mlops_assets.core.search.tuning import OnTrial, SearchResult
    from mlops_assets.resources.mlflow.trial_logger import TrialLogger


@contextmanager
def flights() -> Iterator[Path]:
    """Folder of the embedded dataset's training set, gone afterwards."""
    from mlops_assets.core.prepare.cleaning import clean
    from mlops_assets.core.prepare.splitting import choose_periods
    from mlops_assets.core.training_set import split_rows, write_training_set
    from mlops_assets.dataset import load_dataset
    from mlops_assets.sources import open_source

    spec = load_dataset("nyc_flights", {})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "training_set"
        folder.mkdir()
        source = open_source(spec, Path(name), timeout=30, retries=0)
        months = choose_periods(tuple(source.partitions()), spec.window)
        tables = [clean(spec, source.read(month), month).table for month in months.all]
        write_training_set(folder, spec, [split_rows(spec, tables, months, SEED)], months, SEED)
        yield folder


def search_flights(folder: Path, model_type: str, trials: int, where: str, on_trial: OnTrial) -> SearchResult:
    """A new search of so many trials on what the setting MLOPS_TRIALS calls `where`, with the default settings."""
    from mlops_assets.core.learners.model_types import resolve_model_type
    from mlops_assets.core.search.executors import make_executor, threads_each
    from mlops_assets.core.search.trials import FitTrial, TrialStore
    from mlops_assets.core.search.tuning import SearchPlan, search
    from mlops_assets.settings import Settings

    kind, rows = resolve_model_type(model_type), Settings().tuning_rows
    with make_executor(where) as executor, tempfile.TemporaryDirectory() as store:
        plan = SearchPlan(trials, seconds=3600, patience=trials, seed=SEED, width=executor.workers)
        threads = threads_each(os.cpu_count() or 1, executor)
        objective = FitTrial(folder, kind, SEED, threads, rows)
        memory = TrialStore(Path(store), "benchmark")
        return search(objective, kind.space, plan, executor=executor, store=memory, on_trial=on_trial)


@contextmanager
def trial_logger(folder: Path, model_type: str) -> Iterator[TrialLogger]:
    """A logger of trials into a new SQLite database of MLflow."""
    from mlops_assets.resources.mlflow.tracking import Tracking
    from mlops_assets.resources.mlflow.trial_logger import PARENT_TAG, TrialLogger

    tracking = Tracking(f"sqlite:///{folder / 'mlflow.db'}", "benchmark", folder / "artifacts", "", "")
    client, experiment = tracking.client, tracking.experiment_id
    parent = client.create_run(experiment).info.run_id
    tags = {PARENT_TAG: parent}
    with TrialLogger(
        client, tracking.uri, experiment_id=experiment, search=model_type, model_type=model_type, tags=tags
    ) as logger:
        yield logger
