"""Final fits: in memory where the window fits, else from disk, or on some of the rows where a type cannot do that.

XGBoost's are made over a cluster where the settings say so.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops_assets.assets.records import Record
from mlops_assets.core.prepare.splitting import SPLITS, Periods, SplitName
from mlops_assets.core.training_set import Rows, join
from mlops_assets.project import Project
from mlops_assets.resources.artefacts.local import TEMPORARY

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from mlops_assets.assets.training_set import WindowRows
    from mlops_assets.core.features.encoder import Encoder, FittedEncoder
    from mlops_assets.core.learners.estimators import Fitted
    from mlops_assets.core.model.golden_rows import Specimens
    from mlops_assets.core.model.model import Model
    from mlops_assets.core.model.quantiles import QuantileTrees
    from mlops_assets.core.training_set import Parts, TrainingSet
    from mlops_assets.core.types import FloatArray, SingleArray


FOLDER, NAME = "training_set", "whole_window"


def is_divided(project: Project, model_type: str) -> bool:
    return project.model_types[model_type].is_xgboost and project.settings.final_fit != "local"


def fit_divided(
    project: Project, training_set: TrainingSet, model_type: str, params: Mapping[str, Any], rounds: int
) -> Fitted:
    """Fit on the train split of a stored training set, which each worker opens where it runs."""
    from mlops_assets.resources.dask import divided_fit as resource

    settings, folder = project.settings, training_set.folder
    stored = project.opened_folder(folder, f"{folder.parent.name}/{folder.name}")
    fit = resource.DividedFit(
        stored, project.model_types[model_type], params, rounds, seed=settings.seed, threads=settings.threads
    )
    return resource.fit_divided(settings.final_fit.partition(":")[2], fit)


@contextmanager
def stored_window(project: Project, write: Callable[[Path], None]) -> Iterator[TrainingSet]:
    """A training set that `write` puts into a folder, where workers can open it as long as it is needed."""
    from mlops_assets.core.training_set import TrainingSet

    project.storage.prune(FOLDER, NAME, ())  # what a killed run left
    stored = project.storage.write_folder(FOLDER, NAME, write)
    try:
        yield TrainingSet.load(project.storage.local_folder(stored.path))
    finally:
        project.storage.remove(stored.path)


REFIT_ROUNDS = 1.05  # more rows carry a few more boosting rounds than early stopping found on fewer


@dataclass(frozen=True)
class FinalFit:
    """A fitted estimator, and the matrix (n, width) that it learnt from."""

    fitted: Fitted
    X: csr_matrix | np.ndarray


def fit_final(project: Project, training_set: TrainingSet, tuned: Record, name: str, rounds: int | None) -> FinalFit:
    """A model type with its best parameters on the train split, of which MLOPS_MEMORY_ROWS say what is in memory."""
    from mlops_assets.core.learners.estimators import FitData, fit, learns_from_disk

    settings, model_type, params = project.settings, project.model_types[name], tuned.value("best_parameters")
    if is_divided(project, name) and rounds:
        fitted = fit_divided(project, training_set, name, params, rounds)
        return FinalFit(fitted, training_set.matrix(model_type.matrix, "train"))
    beyond_memory = sum(training_set.rows.values()) > settings.memory_rows
    from_disk = beyond_memory and learns_from_disk(model_type, params)
    most = settings.memory_rows if beyond_memory and not from_disk else None
    X, y = training_set.matrix(model_type.matrix, "train", most), training_set.target("train", most)
    with _room(project) if from_disk else nullcontext() as spill:
        fitted = fit(
            model_type,
            params,
            FitData.of(
                model_type.target,
                X,
                y,
                training_set.categorical,
                spill=Path(spill) if spill else None,
                weights=training_set.weights("train", most),
                names=training_set.dense_names,
            ),
            rounds=rounds,
            seed=settings.seed,
            threads=settings.thread_count,
        )
    return FinalFit(fitted, X)


def fit_quantiles(project: Project, training_set: TrainingSet) -> QuantileTrees:
    """What intervals are made of, on the train split, of which MLOPS_MEMORY_ROWS are in memory."""
    most = project.settings.memory_rows if sum(training_set.rows.values()) > project.settings.memory_rows else None
    X, y = training_set.matrix("dense", "train", most), training_set.target("train", most)
    return _fit_quantiles(project, training_set.encoder, X, y, training_set.weights("train", most))


def _fit_quantiles(
    project: Project, encoder: Encoder, X: SingleArray, y: FloatArray, weights: FloatArray | None
) -> QuantileTrees:
    from mlops_assets.core.learners.estimators import FitData
    from mlops_assets.core.model.quantiles import QuantileTrees

    settings = project.settings
    data = FitData.of(project.target, X, y, encoder.dense_categorical, weights=weights)
    return QuantileTrees.fit(encoder, data, settings.coverage, seed=settings.seed, threads=settings.thread_count)


def refit(
    project: Project,
    window: WindowRows,
    parts: Parts,
    name: str,
    tuned: Record,
    judged: Model,
    splits: Collection[SplitName] = SPLITS,
) -> tuple[Model, FinalFit]:
    """A model type once more, with the best parameters known of it, on all rows of some splits, encoders included.

    `parts` are the window's rows where these fit into memory. It has no rows left that it has not learnt from, so what
    calibrates its intervals, and finishes its answers, is of a fit that had: of `judged`. Quantiles are learnt anew.
    """
    from mlops_assets.core.model.model import Model, finish

    rounds = tuned.value("rounds")
    rounds = round(rounds * REFIT_ROUNDS) if rounds else None
    divided, intervals, quantiles = is_divided(project, name), judged.intervals, None
    has_quantiles = intervals is not None and intervals.quantiles is not None
    with ExitStack() as opened:
        if window.share == 1 and not divided:
            rows = join([parts[split] for split in SPLITS if split in splits])
            encoded, specimens, final = _refit_in_memory(project, rows, tuned, name, rounds)
            encoder = encoded.encoder
            if has_quantiles:
                quantiles = _fit_quantiles(project, encoder, encoded.dense, rows.y, rows.weights)
        else:
            written = opened.enter_context(_written(project, window, splits, divided))
            encoder, specimens = written.encoder, written.specimens
            final = fit_final(project, written, tuned, name, rounds)
            if has_quantiles:
                quantiles = fit_quantiles(project, written)
        if intervals and quantiles:
            intervals = replace(intervals, quantiles=quantiles)
        model = Model(project.spec, encoder, final.fitted.estimator, name, project.model_types[name].matrix)
        return finish(model, final.X, specimens, intervals, judged.finish), final


def refit_ensemble(
    project: Project, window: WindowRows, parts: Parts, fitted: Mapping[str, Record], judged: Model
) -> Model:
    """The members of an ensemble once more, each on all rows, with the weights and what else is of `judged`."""
    from mlops_assets.core.learners.ensemble import weights_of
    from mlops_assets.core.model.ensemble import blended

    weights = weights_of(judged.estimator)
    members = {name: refit(project, window, parts, name, fitted[name], judged)[0] for name in weights}
    return blended(members, weights, judged.intervals, judged.finish)


def _refit_in_memory(
    project: Project, rows: Rows, tuned: Record, name: str, rounds: int | None
) -> tuple[FittedEncoder, Specimens, FinalFit]:
    from mlops_assets.core.features.encoder import fit_encoder, masked
    from mlops_assets.core.learners.estimators import FitData, fit
    from mlops_assets.core.model.golden_rows import Specimens

    spec, settings, model_type = project.spec, project.settings, project.model_types[name]
    seen = masked(spec, rows.columns, settings.seed)
    encoded = fit_encoder(spec.features, seen, rows.y, settings.seed, model_type.target.labels)
    X = encoded.matrix(model_type.matrix)
    fitted = fit(
        model_type,
        tuned.value("best_parameters"),
        FitData.of(
            model_type.target,
            X,
            rows.y,
            encoded.encoder.dense_categorical,
            weights=rows.weights,
            names=encoded.encoder.dense_names,
        ),
        rounds=rounds,
        seed=settings.seed,
        threads=settings.thread_count,
    )
    specimens = Specimens.of(spec, rows.columns, encoded.encoder.vocabularies)
    return encoded, specimens, FinalFit(fitted, X)


def periods_of(periods: Periods, splits: Collection[SplitName]) -> tuple[str, ...]:
    """The periods of some splits, oldest first."""
    chosen = [period for split in SPLITS if split in splits for period in getattr(periods, split)]
    return tuple(dict.fromkeys(chosen))


@contextmanager
def _written(
    project: Project, window: WindowRows, splits: Collection[SplitName], for_workers: bool
) -> Iterator[TrainingSet]:
    """Some splits of the window as a training set that has rows to train on alone, as long as it is needed."""
    from mlops_assets.core.training_set import TrainingSet, write_training_set

    def write(folder: Path) -> None:
        periods = Periods(periods_of(window.periods, splits), (), ())
        write_training_set(
            folder, project.spec, _Undivided(window, frozenset(splits)), periods, project.settings.seed, window.share
        )

    if for_workers:
        with stored_window(project, write) as training_set:
            yield training_set
    else:
        with _room(project) as folder:
            write(Path(folder))
            yield TrainingSet.load(Path(folder))


@dataclass(frozen=True)
class _Undivided:
    """The rows of a window's splits as if all were for training."""

    window: WindowRows
    splits: frozenset[SplitName]

    def __iter__(self) -> Iterator[Parts]:
        for parts in self.window:
            rows = join([parts[split] for split in SPLITS if split in self.splits])
            nothing = rows.take(np.empty(0, np.int64))
            yield {"train": rows, "validation": nothing, "test": nothing}


def _room(project: Project) -> tempfile.TemporaryDirectory:
    """A folder on the disk that holds training sets: what a killed run leaves there goes with their leftovers."""
    place = project.home / "training_set"
    place.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(dir=place, prefix=TEMPORARY)
