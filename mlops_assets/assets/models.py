"""`sklearn_model` and `xgboost_model`: each type fitted with its best parameters on the train split, and registered."""

import io
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from mlops_assets.addresses import MLFLOW_RUN
from mlops_assets.assets.by_period import Result
from mlops_assets.assets.entry import OWNERS, RETRY, AssetEntry, State
from mlops_assets.assets.expectations import examined, expectation_checks
from mlops_assets.assets.explanations import explained, read_artefact, read_bytes, write_artefacts
from mlops_assets.assets.final_fit import fit_final, fit_quantiles, periods_of, refit
from mlops_assets.assets.hyperparameters import best_trial
from mlops_assets.assets.memo import Made, Making, begin, clear_failures, with_units
from mlops_assets.assets.recipes import learners, learnt_as, thinning, tracking_place
from mlops_assets.assets.records import Record, Records
from mlops_assets.assets.training_set import training_data, window_of
from mlops_assets.core.fingerprint import Recipe
from mlops_assets.errors import DataError
from mlops_assets.facts import Hidden
from mlops_assets.project import Project
from mlops_assets.resources.mlflow.registry import LEARNT_TAG, RECIPE_TAG

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mlops_assets.core.model.model import Model
    from mlops_assets.core.prepare.splitting import SplitName
    from mlops_assets.core.targets.intervals import Intervals
    from mlops_assets.core.targets.kind import Finish
    from mlops_assets.core.training_set import TrainingSet
    from mlops_assets.resources.mlflow.version import Version

SKLEARN_NAME, XGBOOST_NAME, CODE_VERSION = "sklearn_model", "xgboost_model", "8"
JUDGED_ON_TEST: tuple["SplitName", ...] = ("train", "validation")  # what a model learns from that test rows judge
PLOTS, PLOT = "plots", "validation.md"
HELD_OUT, RAW = "held_out", "raw.npy"  # what the fit on the train split said of validation rows
DASHBOARD = "model"


def recipe(asset: str, project: Project, built: Record, tuned: Record) -> Recipe:
    """The training set, the best parameters, the coverage of intervals, and the libraries that fit."""
    settings: dict[str, Any] = {"seed": project.settings.seed, "tracking": tracking_place(project)}
    settings |= {"coverage": project.settings.coverage} | thinning(project, built.value("dagster/row_count"))
    settings |= learnt_as(project.spec)
    if project.spec.target.intervals:
        settings["intervals"] = project.spec.target.intervals  # an ensemble's are told by its members
    if asset == XGBOOST_NAME and project.settings.final_fit != "local":
        settings["final_fit"] = "divided"  # wherever the cluster is
    return Recipe(
        {
            "code": CODE_VERSION,
            "settings": settings,
            "upstream": {"training_set": built.content, "hyperparameters": tuned.content},
            "libraries": learners(project.model_types[tuned.partition_key]),
        }
    )


def _recipe_now(asset: str) -> Callable[[State, str | None], Recipe]:
    def recipe_now(state: State, partition: str | None) -> Recipe:
        built = state.records.newest("training_set")
        model_type = partition or state.project.xgboost_types[0]
        return recipe(asset, state.project, built, state.records.newest("hyperparameters", model_type))

    return recipe_now


def _build_sklearn(project: Project) -> dg.AssetsDefinition:
    types = project.sklearn_types
    mapping = dg.StaticPartitionMapping({name: name for name in types})  # each takes the search of its own type
    return _build(SKLEARN, project, "sklearn", mapping)


def _build_xgboost(project: Project) -> dg.AssetsDefinition:
    mapping = dg.SpecificPartitionsPartitionMapping(list(project.xgboost_types))
    return _build(XGBOOST, project, "xgboost", mapping, project.xgboost_types[0])


def _build(
    entry: AssetEntry,
    project: Project,
    kind: str,
    mapping: dg.PartitionMapping,
    only_type: str | None = None,
) -> dg.AssetsDefinition:
    @dg.asset(
        name=entry.name,
        deps=["training_set", dg.AssetDep("hyperparameters", partition_mapping=mapping)],
        partitions_def=entry.partitions(project),
        group_name="training",
        owners=OWNERS,
        kinds={"python", kind, "mlflow"},
        code_version=CODE_VERSION,
        retry_policy=RETRY,
        check_specs=expectation_checks(entry, project),
        description=f"The final {kind} model with its best parameters, fitted on the train split and registered.",
    )
    def model(context: dg.AssetExecutionContext, project: dg.ResourceParam[Project]) -> Iterator[Result]:
        with clear_failures(project):
            made = _fit(context, project, entry.name, only_type or context.partition_key)
            yield from examined(entry, project, Records(context.instance), made)

    return model


SKLEARN = AssetEntry(
    name=SKLEARN_NAME,
    code_version=CODE_VERSION,
    job="fit_sklearn",
    about="Fit the final model of one scikit-learn type.",
    build=_build_sklearn,
    recipe=_recipe_now(SKLEARN_NAME),
    partitioned_by="scikit-learn type",
    dashboard=DASHBOARD,
    is_wanted=lambda project: bool(project.sklearn_types),
)
XGBOOST = AssetEntry(
    name=XGBOOST_NAME,
    code_version=CODE_VERSION,
    job="fit_xgboost",
    about="Fit the final XGBoost model.",
    build=_build_xgboost,
    recipe=_recipe_now(XGBOOST_NAME),
    dashboard=DASHBOARD,
    is_wanted=lambda project: bool(project.xgboost_types),
)
ENTRIES = (SKLEARN, XGBOOST)


def _fit(context: dg.AssetExecutionContext, project: Project, asset: str, name: str) -> dg.MaterializeResult:
    from mlops_assets.core.training_set import TrainingSet

    records = Records(context.instance)
    built, tuned = records.newest("training_set"), records.newest("hyperparameters", name)
    partition = name if asset == SKLEARN_NAME else None
    making = begin(context, project, records, recipe(asset, project, built, tuned), partition)
    if making.unchanged:
        return making.again()
    stored = TrainingSet.load(project.storage.local_folder(built.stored_path))
    version = project.registry.made_from(making.recipe.digest)  # by a run that was killed before it could say so
    version = version or _register(context, project, making, stored, built, tuned)
    rounds = {"rounds": tuned.value("rounds")} if tuned.value("rounds") else {}  # only boosting counts them
    metadata = metadata_of(project, version, name, tuned.value("trials")) | rounds
    metadata["best_parameters"] = dg.MetadataValue.json(tuned.value("best_parameters"))
    metadata |= explained(records, project, version, stored.periods.validation[-1])
    return making.done(Made(making.recipe.digest, None, metadata))


def metadata_of(project: Project, version: "Version", name: str, trials: int) -> dict[str, Any]:
    """What the record of a candidate says of its version; `trials`: that it was found by."""
    metrics = project.tracking.metrics(version.run_id)
    loss = {name: Hidden(metrics.pop(name)) for name in ("validation_loss",) if name in metrics}  # the metric once more
    return (
        with_units(metrics, project.target.unit)
        | loss
        | {
            "metric": project.target.metric.name,
            "model_type": name,
            "version": version.number,
            "trials": trials,
            "validation_plot": dg.MetadataValue.md(read_artefact(project, version.run_id, f"{PLOTS}/{PLOT}") or ""),
            MLFLOW_RUN: project.tracking.run_path(version.run_id),
            "registered_model": version.page,
        }
    )


@dataclass(frozen=True, eq=False)
class Judged:
    """What raw output for validation rows is worth, and what answers are finished by."""

    metrics: dict[str, float]
    pictures: str  # Markdown
    finish: "Finish | None"
    intervals: "Intervals | None"


def judged(project: Project, stored: "TrainingSet", raw: "np.ndarray") -> Judged:
    """Of raw output (n,) or (n, k) for the rows held out, by estimators that have not learnt from them."""
    import numpy as np

    from mlops_assets.core.report.plots import markdown_image
    from mlops_assets.core.targets.walk_forward import needed_levels

    target, coverage, held_out = project.target, project.settings.coverage, stored.held_target
    held = target.honest_output(raw, held_out)
    metrics = {f"validation_{name}": value for name, value in target.scores(held_out, held).items()}
    metrics["validation_loss"] = metrics[target.metric.key("validation")]  # under one name for boards
    of_one_period = project.spec.time is not None and len(stored.periods.validation) == 1
    looked, main = stored.looked, project.spec.features.main_category
    finished = target.learn(raw, held_out, coverage, of_one_period=of_one_period, persistence=looked.persistence)
    drawn = target.plots(held_out, held, finished).items()
    levels = needed_levels(looked.levels, coverage)
    parts = stored.held_out
    category = (main, np.concatenate([part.category(main, "validation") for part in parts])) if main else None
    output = target.output(raw, finished)
    said = None
    if target.target.intervals:
        fits = [(fit_quantiles(project, part), part.matrix("dense", "validation")) for part in parts]
        ends = np.concatenate([quantiles.ends_of(X) for quantiles, X in fits])
        said = fits[0][0], ends + target.added(finished)
    return Judged(
        metrics,
        "\n".join(markdown_image(draw().svg(), name) for name, draw in drawn),
        finished,
        target.intervals(output, held_out, coverage, levels, category, looked.stretch, said),
    )


def learnt_by_candidates(stored: "TrainingSet") -> tuple["SplitName", ...]:
    """The gate has validation alone to judge by where there are no test periods."""
    return JUDGED_ON_TEST if stored.periods.test else ("train",)


def _register(
    context: dg.AssetExecutionContext,
    project: Project,
    making: Making,
    stored: "TrainingSet",
    built: Record,
    tuned: Record,
) -> "Version":
    """Fit with the best parameters, log with the scores on validation, and register what would go live.

    The fit on the train split alone, the best trial's own where it saw all rows, gives the scores, and the residuals of
    rows that it has not seen, which intervals need; where the training set is in folds, a fit on each does. What is
    registered, and judged, has learnt from validation too: that is the nearest to what is asked next.
    """
    from mlops_assets.core.learners.estimators import predict
    from mlops_assets.core.model.model import Model, finish
    from mlops_assets.core.search.trials import FitTrial
    from mlops_assets.core.training_set import gather

    name, began = tuned.partition_key, time.time()
    kind = project.model_types[name].matrix
    window = window_of(Records(context.instance), project, built)
    if stored.periods.test and (tried := best_trial(project, stored, tuned)) is not None:
        estimator = tried
    else:
        final = fit_final(project, stored, tuned, name, tuned.value("rounds"))
        estimator = final.fitted.estimator
    if len(stored.held_out) > 1:
        trial = FitTrial(stored.folder, project.model_types[name], project.settings.seed, project.settings.thread_count)
        raw = trial.held_output(tuned.value("best_parameters"))
    else:
        raw = predict(estimator, stored.matrix(kind, "validation"))
    found = judged(project, stored, raw)
    model = Model(project.spec, stored.encoder, estimator, name, kind, intervals=found.intervals, finish=found.finish)
    if stored.periods.test:
        parts = gather(window, window.periods, window.share)
        model, final = refit(project, window, parts, name, tuned, model, learnt_by_candidates(stored))
    else:
        model = finish(model, final.X, stored.specimens, found.intervals, found.finish)
    fitted = final.fitted
    fit_metrics = {"fit_seconds": round(fitted.seconds, 3), "fit_rows": final.X.shape[0], "fit_shares": fitted.shares}
    if added := project.target.added(model.finish):
        fit_metrics["level_added"] = added
    about = f"{name} with the best parameters of its search, a candidate for champion."
    new = NewCandidate(model, raw, found, final.fitted.params, fit_metrics, about, began)
    return log_candidate(context, project, making, stored, built, new)


@dataclass(frozen=True, eq=False)
class NewCandidate:
    """A model to register; `raw`: what its fit on the train split said of the validation rows, `began`: when."""

    model: "Model"
    raw: "np.ndarray"
    found: Judged
    params: Mapping[str, Any]
    metrics: Mapping[str, float]  # beside those of `found`
    about: str
    began: float


def log_candidate(
    context: dg.AssetExecutionContext,
    project: Project,
    making: Making,
    stored: "TrainingSet",
    built: Record,
    new: NewCandidate,
) -> "Version":
    """Log a candidate with what it is worth, and register it."""
    import numpy as np

    name, array = new.model.model_type, io.BytesIO()
    np.save(array, new.raw, allow_pickle=False)
    tags = {"model_type": name, "role": "candidate", "training_set": making.recipe.parts["upstream"]["training_set"]}
    tags |= {"periods": ",".join(stored.periods.all), RECIPE_TAG: making.recipe.digest}
    tags |= {LEARNT_TAG: ",".join(periods_of(stored.periods, learnt_by_candidates(stored)))}
    tags |= {"code_version": making.recipe.parts["code"]}
    with (
        project.tracking.run(context, f"fit {name}", tags, since=new.began, about=new.about) as run,
        tempfile.TemporaryDirectory() as folder,
    ):
        new.model.save(Path(folder))
        run.learn_from(training_data(project, built))
        write_artefacts(project, run.run_id, PLOTS, {PLOT: new.found.pictures.encode()})
        write_artefacts(project, run.run_id, HELD_OUT, {RAW: array.getvalue()})
        return project.registry.log(
            run,
            Path(folder),
            example=example_rows(context, project, stored.periods.train[0]),
            prediction_name=project.target.unit or "prediction",
            params=new.params,
            metrics={**new.found.metrics, **new.metrics},
            tags=tags,
            about=new.about,
        )


def held_out_output(project: Project, number: int) -> "np.ndarray":
    """What the fit of a candidate on the train split said of the validation rows, (n,) or (n, k)."""
    import numpy as np

    run_id = project.registry.version(number).run_id
    if (content := read_bytes(project, run_id, f"{HELD_OUT}/{RAW}")) is None:
        raise DataError(f"what version {number} said of validation rows is not kept in MLflow: fit its type again")
    return np.load(io.BytesIO(content), allow_pickle=False)


def fitted_on(records: Records, project: Project, built: Record) -> dict[str, Record]:
    """The final model of each type that was fitted on this very training set."""
    newest = {name: records.latest(SKLEARN_NAME, name) for name in project.sklearn_types}
    newest |= {name: records.latest(XGBOOST_NAME) for name in project.xgboost_types}
    return of_training_set(newest, built)


def of_training_set(newest: "Mapping[str, Record | None]", built: Record) -> dict[str, Record]:
    return {
        name: record
        for name, record in newest.items()
        if record and record.recipe.parts["upstream"]["training_set"] == built.content
    }


def example_rows(context: dg.AssetExecutionContext, project: Project, period: str, count: int = 5) -> "pd.DataFrame":
    """The first clean rows of a period as a DataFrame of a model's inputs."""
    cleaned = Records(context.instance).newest("clean_data", period)
    table = project.storage.read_table(cleaned.stored_path, list(project.spec.inputs()))
    return table.slice(0, count).to_pandas()
