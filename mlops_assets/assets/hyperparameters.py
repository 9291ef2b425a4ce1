"""`hyperparameters`: one hyperopt search a model type, each trial a run in MLflow, resumed where it was stopped."""

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any, cast

import dagster as dg
from pydantic import Field

from mlops_assets.addresses import MLFLOW_RUN
from mlops_assets.assets.entry import OWNERS, RETRY, AssetEntry, State
from mlops_assets.assets.explanations import write_artefacts
from mlops_assets.assets.memo import Made, begin, clear_failures
from mlops_assets.assets.recipes import learners, learnt_as, libraries
from mlops_assets.assets.records import Record, Records
from mlops_assets.assets.training_set import training_data
from mlops_assets.core.fingerprint import Recipe
from mlops_assets.errors import DataError, ModelError, SettingsError
from mlops_assets.facts import Quantity
from mlops_assets.project import Project
from mlops_assets.resources.progress import Progress

if TYPE_CHECKING:
    from mlops_assets.core.model.model import Model
    from mlops_assets.core.search.executors import Executor
    from mlops_assets.core.search.trials import Trial
    from mlops_assets.core.search.tuning import OnTrial, Search, SearchResult
    from mlops_assets.core.targets.kind import TargetKind
    from mlops_assets.core.targets.metrics import Metric
    from mlops_assets.core.training_set import TrainingSet
    from mlops_assets.core.types import Estimator

NAME, CODE_VERSION = "hyperparameters", "3"
CLUSTER_WIDTH = 4
ALLOTMENT, TRIALS_BY_TYPE = "search_budget", "trials_by_type"  # the asset that allots trials, and what it records
_BUDGET = ("max_trials", "tuning_seconds")


@dataclass(frozen=True)
class Budget:
    """What a search may spend; of seconds as many as its trials take, where they were allotted."""

    max_trials: int
    seconds: float = math.inf

    def in_recipe(self) -> dict[str, float]:
        return {"max_trials": self.max_trials} | (
            {"tuning_seconds": self.seconds} if math.isfinite(self.seconds) else {}
        )


class TuningConfig(dg.Config):
    """The budget of one search; by default the usual one."""

    max_trials: int = Field(
        0, ge=0, description="Trials at most. 0: as MLOPS_MAX_TRIALS says, or what MLOPS_CPU_MINUTES has given."
    )
    tuning_seconds: float = Field(
        0,
        ge=0,
        description="Seconds after which no further trial starts. 0: as MLOPS_TUNING_SECONDS says, or without an end "
        "where MLOPS_CPU_MINUTES is set.",
    )

    def budget(self, usual: Budget) -> Budget:
        return Budget(self.max_trials or usual.max_trials, self.tuning_seconds or usual.seconds)


def usual_budget(project: Project, records: Records, model_type: str) -> Budget:
    """That of the settings, or what was allotted of the CPU minutes; raises DataError where nothing was yet."""
    settings = project.settings
    if settings.cpu_minutes is None:
        return Budget(settings.max_trials, settings.tuning_seconds)
    allotted = records.newest(ALLOTMENT).value(TRIALS_BY_TYPE)
    if model_type not in allotted:
        raise DataError(f"{ALLOTMENT} has allotted no trials to {model_type} yet: make it again")
    return Budget(allotted[model_type])


def recipe(project: Project, model_type: str, built: Record, previous: Record | None, budget: Budget) -> Recipe:
    """The recipe of a search; a budget already spent on the same search is not asked for again."""
    settings = project.settings
    if model_type not in project.model_types:
        raise SettingsError(f"'{model_type}' is none of MLOPS_MODEL_TYPES ({', '.join(project.model_types)})")
    kind = project.model_types[model_type]
    search = {
        "estimator": kind.import_path,
        "matrix": kind.matrix,
        "search space": kind.space.model_dump(mode="json", exclude_unset=True),
        "patience": settings.patience,
        "tuning_rows": settings.tuning_rows,
        "trial_width": trial_width(project),
        "seed": settings.seed,
    } | learnt_as(project.spec)
    if settings.suggester != "hyperopt":
        search["suggester"] = settings.suggester
    suggester = libraries("optuna") if settings.suggester == "optuna" else {}

    def with_budget(budget: Budget) -> Recipe:
        return Recipe(
            {
                "code": CODE_VERSION,
                "settings": search | budget.in_recipe(),
                "upstream": {"training_set": built.content},
                "libraries": learners(kind) | suggester,
            }
        )

    if previous and search_identity(previous.recipe) == search_identity(with_budget(budget)):
        before = _budget_in(previous.recipe)
        budget = Budget(max(budget.max_trials, before.max_trials), max(budget.seconds, before.seconds))
    return with_budget(budget)


def _recipe_now(state: State, model_type: str | None) -> Recipe:
    name, built = model_type or "", state.records.newest("training_set")
    budget = usual_budget(state.project, state.records, name)
    return recipe(state.project, name, built, state.records.latest(NAME, name), budget)


def _budget_in(recipe: Recipe) -> Budget:
    settings = recipe.parts["settings"]
    return Budget(settings["max_trials"], settings.get("tuning_seconds", math.inf))


def search_identity(recipe: Recipe) -> str:
    """Digest of a search apart from its budget: a larger one goes on where the smaller ended."""
    parts = dict(recipe.parts)
    settings = {name: value for name, value in parts["settings"].items() if name not in _BUDGET}
    return Recipe(parts | {"settings": settings}).digest


def trial_width(project: Project) -> int:
    """Trials in flight: as set, or one for each process. It fixes a search, so no cluster's size may decide on it."""
    kind, _, processes = project.settings.trials.partition(":")
    return project.settings.trial_width or (CLUSTER_WIDTH if kind == "dask" else int(processes or 1))


def build(project: Project) -> dg.AssetsDefinition:
    above = ["training_set"] if project.settings.cpu_minutes is None else ["training_set", ALLOTMENT]

    @dg.asset(
        # Of a backfill that begins with periods Dagster finds partitions along edges between assets that have some.
        deps=[*above, dg.AssetDep("clean_data", partition_mapping=dg.AllPartitionMapping())],
        partitions_def=ENTRY.partitions(project),
        group_name="training",
        owners=OWNERS,
        kinds={"python", "hyperopt", "mlflow"},
        code_version=CODE_VERSION,
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
            records = Records(context.instance)
            built, previous = records.newest("training_set"), records.latest(NAME, name)
            budget = config.budget(usual_budget(project, records, name))
            search = recipe(project, name, built, previous, budget)
            making = begin(context, project, records, search, name)
            if making.unchanged:
                return making.again()
            result, path = _search(context, project, progress, built, search, previous)
            best = result.best
            content = Recipe({"params": best.params, "rounds": best.rounds, "upstream": built.content}).digest
            return making.done(Made(content, None, _metadata(result, project.target) | {MLFLOW_RUN: path}))

    return hyperparameters


ENTRY = AssetEntry(
    name=NAME,
    code_version=CODE_VERSION,
    job="tune",
    about="Search the hyperparameters of one model type.",
    build=build,
    recipe=_recipe_now,
    partitioned_by="model type",
    dashboard="model",
)


def _search(
    context: dg.AssetExecutionContext,
    project: Project,
    progress: Progress,
    built: Record,
    recipe: Recipe,
    previous: Record | None,
) -> "tuple[SearchResult, str]":
    """Run the search, or what is left of it, and log each trial; gives the result and the MLflow run's page."""
    from mlops_assets.resources.dask.cluster import open_executor

    name, identity = context.partition_key, search_identity(recipe)
    executor = open_executor(project.settings.trials)
    about = {"model_type": name, "training_set": built.content, "search": identity}
    note = f"The search for the hyperparameters of {name}; its trials stand below it."
    with executor, project.tracking.run(context, f"tune {name}", about, about=note) as run:
        run.learn_from(training_data(project, built))
        trials: list[Trial] = []
        with run.start_trials(identity, name) as logger:

            def on_trial(trial: "Trial", *, resumed: bool) -> None:
                logger.log(trial)
                trials.append(trial)
                losses = [t.loss for t in trials if t.loss is not None]
                progress.trial(context, name, trial, min(losses, default=None), _budget_in(recipe).max_trials)

            search = open_search(project, name, built, recipe, previous, executor, on_trial)
            search.go_on()
            result = search.result()
        run.log(
            params=result.best.params,
            metrics={project.target.metric.key("validation"): result.best.loss, "trials": len(result.trials)},
        )
        write_artefacts(project, run.run_id, "search", _history(result, project.target.metric))
        project.registry.attach(run, logger.run_id(result.best.number), _best_model(project, built, name, result))
        return result, project.tracking.run_path(run.run_id)


def open_search(
    project: Project,
    name: str,
    built: Record,
    recipe: Recipe,
    previous: Record | None,
    executor: "Executor",
    on_trial: "OnTrial",
) -> "Search":
    """The search of a model type that a recipe describes, with the trials that it has had."""
    from mlops_assets.core.search.trials import FitTrial
    from mlops_assets.core.search.tuning import Search, SearchPlan
    from mlops_assets.resources.dask.cluster import threads_of_a_trial

    settings, model_type, budget = project.settings, project.model_types[name], _budget_in(recipe)
    plan = SearchPlan(
        max_trials=budget.max_trials,
        seconds=budget.seconds,
        patience=settings.patience,
        seed=settings.seed,
        width=trial_width(project),
        suggester=settings.suggester,
    )
    objective = FitTrial(
        training_set=project.stored_folder(built.stored_path),
        model_type=model_type,
        seed=settings.seed,
        threads=threads_of_a_trial(settings, executor),
        most_rows=settings.tuning_rows,
    )
    store = project.trial_store(name, search_identity(recipe))
    warm_start = [previous.value("best_parameters")] if previous else []
    return Search(
        objective, model_type.space, plan, executor=executor, store=store, warm_start=warm_start, on_trial=on_trial
    )


def best_trial(project: Project, stored: "TrainingSet", tuned: Record) -> "Estimator | None":
    """What the best trial of a search fitted on the train split; None where it is not kept, or saw fewer rows."""
    from mlops_assets.core.learners.persistence import parse_estimator

    if stored.rows["train"] > project.settings.tuning_rows:
        return None
    store = project.trial_store(tuned.partition_key, search_identity(tuned.recipe))
    kept = store.estimator(tuned.value("best_parameters"))
    try:
        return parse_estimator(kept) if kept else None
    except ModelError:
        return None  # damaged: it can be fitted again


def _best_model(project: Project, built: Record, name: str, result: "SearchResult") -> "Model":
    """The best trial's estimator as a model that answers from raw rows."""
    from mlops_assets.core.learners.persistence import parse_estimator
    from mlops_assets.core.model.model import Model
    from mlops_assets.core.training_set import TrainingSet

    if result.estimator is None:
        raise ModelError(f"the search for {name} has kept no estimator")
    encoder = TrainingSet.load(project.storage.local_folder(built.stored_path)).encoder
    return Model(project.spec, encoder, parse_estimator(result.estimator), name, project.model_types[name].matrix)


def _metadata(result: "SearchResult", target: "TargetKind") -> dict[str, Any]:
    from mlops_assets.core.report.plots import markdown_image, search_history

    best, metric = result.best, target.metric
    rounds = {"rounds": best.rounds} if best.rounds else {}  # only boosting counts them
    return rounds | {
        "best_parameters": dg.MetadataValue.json(best.params),
        "metric": metric.name,
        metric.key("validation"): Quantity(cast(float, best.loss), metric.unit_of(target.unit)),
        "trials": len(result.trials),
        "failed_trials": sum(trial.status == "failed" for trial in result.trials),
        "resumed_trials": result.resumed,
        "stopped_by": result.stopped_by,
        "trial_seconds": round(sum(trial.seconds for trial in result.trials), 2),
        "best_trials": dg.MetadataValue.md(_table(result.trials, metric)),
        "history_plot": dg.MetadataValue.md(
            markdown_image(search_history([trial.loss for trial in result.trials]), "loss by trial")
        ),
    }


def _history(result: "SearchResult", metric: "Metric") -> dict[str, bytes]:
    """All trials of a search as CSV, and the course of their losses."""
    from mlops_assets.core.report.plots import search_history

    names = sorted({name for trial in result.trials for name in trial.params})
    text = StringIO()
    lines = csv.writer(text)
    lines.writerow(["trial", "status", metric.key("validation"), "seconds", *names])
    for it in result.trials:
        lines.writerow([it.number + 1, it.status, it.loss, it.seconds, *(it.params.get(name) for name in names)])
    plot = search_history([trial.loss for trial in result.trials])
    return {"trials.csv": text.getvalue().encode(), "history.svg": plot}


def _table(trials: "Sequence[Trial]", metric: "Metric", rows: int = 10) -> str:
    scored = [(trial.loss, trial) for trial in trials if trial.loss is not None]
    ranked = sorted(scored, key=lambda pair: pair[0])[:rows]
    lines = [f"| {t.number + 1} | {loss:.4g} | {t.seconds:.1f} | `{json.dumps(t.params)}` |" for loss, t in ranked]
    return "\n".join([f"| trial | validation {metric.label} | seconds | parameters |", "|---|---|---|---|", *lines])
