"""Tuning: one hyperopt search a model type, each trial a run in MLflow, resumed where it was stopped."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from mlops_assets.assets import recipes
from mlops_assets.assets.memo import OWNERS, RETRY, Made, begin, clear_failures
from mlops_assets.assets.records import Record, latest, newest
from mlops_assets.core.fingerprint import Recipe
from mlops_assets.project import Project
from mlops_assets.resources.progress import Progress
from mlops_assets.settings import Settings

if TYPE_CHECKING:
    from mlops_assets.core.model.model import Model
    from mlops_assets.core.search.trials import Trial
    from mlops_assets.core.search.tuning import SearchResult

GROUP = "training"


class TuningConfig(dg.Config):
    """The budget of one search; by default that of the settings."""

    max_trials: int = Field(0, ge=0, description="Trials at most; 0 takes MLOPS_MAX_TRIALS.")
    tuning_seconds: float = Field(
        0, ge=0, description="Seconds after which no further trial starts; 0 takes MLOPS_TUNING_SECONDS."
    )

    def budget(self, settings: Settings) -> recipes.Budget:
        seconds = self.tuning_seconds or settings.tuning_seconds
        return recipes.Budget(self.max_trials or settings.max_trials, seconds)


def tuning_assets(model_types: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """`hyperparameters` by model type."""

    @dg.asset(
        deps=["training_set"],
        partitions_def=model_types,
        group_name=GROUP,
        owners=OWNERS,
        kinds={"python", "hyperopt", "mlflow"},
        code_version=recipes.CODE_VERSIONS["hyperparameters"],
        retry_policy=RETRY,
    )
    def hyperparameters(
        context: dg.AssetExecutionContext,
        config: TuningConfig,
        project: dg.ResourceParam[Project],
        progress: dg.ResourceParam[Progress],
    ) -> dg.MaterializeResult:
        """The best parameters of a model type on the shared training set, judged on its validation split."""
        name = context.partition_key
        with clear_failures(project):
            built = newest(context.instance, "training_set")
            previous = latest(context.instance, "hyperparameters", name)
            recipe = recipes.hyperparameters(project, name, built, previous, config.budget(project.settings))
            making = begin(context, project, recipe)
            if making.unchanged:
                return making.again()
            result, url = _search(context, project, progress, built, recipe, previous)
            best = result.best
            content = Recipe({"params": best.params, "rounds": best.rounds, "upstream": built.content}).digest
            return making.done(Made(content, None, _shown(result) | {"mlflow": dg.MetadataValue.url(url)}))

    return [hyperparameters]


def _search(
    context: dg.AssetExecutionContext,
    project: Project,
    progress: Progress,
    built: Record,
    recipe: Recipe,
    previous: Record | None,
) -> "tuple[SearchResult, str]":
    """Run the search, or what is left of it, and log each trial; gives the result and the MLflow run's address."""
    from mlops_assets.core.search.trials import FitTrial
    from mlops_assets.core.search.tuning import SearchPlan, search
    from mlops_assets.resources.dask.cluster import open_executor, threads_of_a_trial

    name, settings = context.partition_key, project.settings
    model_type = project.model_types[name]
    budget = recipe.parts["settings"]
    plan = SearchPlan(
        max_trials=budget["max_trials"],
        seconds=budget["tuning_seconds"],
        patience=settings.patience,
        seed=settings.seed,
        width=recipes.trial_width(project),
    )
    executor = open_executor(settings.trials)
    objective = FitTrial(
        training_set=project.stored_folder(built.path),
        model_type=model_type,
        seed=settings.seed,
        threads=threads_of_a_trial(settings, executor),
        most_rows=settings.tuning_rows,
    )
    identity = recipes.search_identity(recipe)
    store = project.trial_store(name, identity)
    warm_start = [previous.value("best_parameters")] if previous else []
    about = {"model_type": name, "training_set": built.content, "search": identity}
    with executor, project.tracking.run(context, f"tune {name}", about) as run:
        seen: list[Trial] = []
        with run.start_trials(identity, name) as logger:

            def on_trial(trial: "Trial", *, resumed: bool) -> None:
                logger.log(trial)
                seen.append(trial)
                losses = [t.loss for t in seen if t.loss is not None]
                progress.trial(context.log, name, trial, min(losses, default=None), plan.max_trials)

            result = search(
                objective,
                model_type.space,
                plan,
                executor=executor,
                store=store,
                warm_start=warm_start,
                on_trial=on_trial,
            )
        run.log(params=result.best.params, metrics={"loss": result.best.loss, "trials": len(result.trials)})
        project.registry.attach(run, logger.run_id(result.best.number), _best_model(project, built, name, result))
        return result, run.url


def _best_model(project: Project, built: Record, name: str, result: "SearchResult") -> "Model":
    """The best trial's estimator as a model that answers from raw rows."""
    from mlops_assets.core.learners.persistence import parse_estimator
    from mlops_assets.core.model.model import Model
    from mlops_assets.core.training_set import TrainingSet

    encoder = TrainingSet.load(project.storage.local_folder(built.path)).encoder
    return Model(project.spec, encoder, parse_estimator(result.estimator), name, project.model_types[name].matrix)


def _shown(result: "SearchResult") -> dict:
    from mlops_assets.core.report.plots import markdown_image, search_history

    best = result.best
    rounds = {"rounds": best.rounds} if best.rounds else {}  # only XGBoost counts them
    return rounds | {
        "best_parameters": dg.MetadataValue.json(best.params),
        "validation_rmse": best.loss,
        "trials": len(result.trials),
        "failed_trials": sum(trial.status == "failed" for trial in result.trials),
        "resumed_trials": result.resumed,
        "stopped_by": result.stopped_by,
        "trial_seconds": round(sum(trial.seconds for trial in result.trials), 2),
        "best_trials": dg.MetadataValue.md(_table(result.trials)),
        "history_plot": dg.MetadataValue.md(
            markdown_image(search_history([trial.loss for trial in result.trials]), "loss by trial")
        ),
    }


def _table(trials: "Sequence[Trial]", rows: int = 10) -> str:
    ranked = sorted((t for t in trials if t.loss is not None), key=lambda trial: trial.loss)[:rows]
    lines = [f"| {t.number + 1} | {t.loss:.4g} | {t.seconds:.1f} | `{json.dumps(t.params)}` |" for t in ranked]
    return "\n".join(["| trial | validation RMSE | seconds | parameters |", "|---|---|---|---|", *lines])
