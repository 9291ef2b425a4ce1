"""`search_budget`: the CPU minutes of all searches, spread over model types by what they promise.

The trials are made here, and lie where the search of each type takes them up: `hyperparameters` repeats as many as were
allotted to it, from the record, and fits none of them again.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg

from mlops_assets.assets import hyperparameters
from mlops_assets.assets.entry import OWNERS, RETRY, AssetEntry, State
from mlops_assets.assets.hyperparameters import ALLOTMENT, TRIALS_BY_TYPE, Budget
from mlops_assets.assets.memo import Made, begin, clear_failures
from mlops_assets.assets.recipes import learners
from mlops_assets.assets.records import Record, Records
from mlops_assets.core.fingerprint import Recipe
from mlops_assets.errors import TuningError
from mlops_assets.facts import Quantity
from mlops_assets.project import Project
from mlops_assets.resources.progress import Progress

if TYPE_CHECKING:
    from mlops_assets.core.search.trials import Trial
    from mlops_assets.core.search.tuning import OnTrial, Search

CODE_VERSION = "1"
_MINUTES = "cpu_minutes"
_ENDLESS = Budget(100_000)  # beyond what minutes can buy


def recipe(project: Project, records: Records, built: Record) -> Recipe:
    """What each search depends on, and the minutes; such as were spent on the same are not asked for again."""
    searches = {}
    for name, search in _searches(project, records, built).items():
        own = {key: value for key, value in search.parts["settings"].items() if key not in _ENDLESS.in_recipe()}
        searches[name] = Recipe({"settings": own}).digest
    previous = records.latest(ALLOTMENT)

    def with_minutes(minutes: float | None) -> Recipe:
        return Recipe(
            {
                "code": f"{CODE_VERSION}, {hyperparameters.CODE_VERSION}",
                "settings": {_MINUTES: minutes, "searches": searches},
                "upstream": {"training_set": built.content},
                "libraries": learners(*project.model_types.values()),
            }
        )

    minutes = project.settings.cpu_minutes or 0.0
    before: float = previous.recipe.parts["settings"][_MINUTES] if previous else 0.0
    if previous and previous.recipe == with_minutes(before):
        minutes = max(minutes, before)
    return with_minutes(minutes)


def _recipe_now(state: State, partition: str | None) -> Recipe:
    return recipe(state.project, state.records, state.records.newest("training_set"))


def _searches(project: Project, records: Records, built: Record) -> dict[str, Recipe]:
    """The recipe of each model type's search, without an end."""
    return {
        name: hyperparameters.recipe(project, name, built, records.latest(hyperparameters.NAME, name), _ENDLESS)
        for name in project.model_types
    }


def build(project: Project) -> dg.AssetsDefinition:
    @dg.asset(
        deps=["training_set"],
        group_name="training",
        owners=OWNERS,
        kinds={"python", "hyperopt"},
        code_version=CODE_VERSION,
        retry_policy=RETRY,
    )
    def search_budget(
        context: dg.AssetExecutionContext,
        project: dg.ResourceParam[Project],
        progress: dg.ResourceParam[Progress],
    ) -> dg.MaterializeResult:
        """How many trials each model type gets of MLOPS_CPU_MINUTES: successive halving by CPU seconds and losses."""
        with clear_failures(project):
            records = Records(context.instance)
            built = records.newest("training_set")
            making = begin(context, project, records, recipe(project, records, built))
            if making.unchanged:
                return making.again()
            minutes = making.recipe.parts["settings"][_MINUTES]
            facts = _spread(context, project, progress, records, built, minutes * 60)
            content = Recipe({"trials": facts[TRIALS_BY_TYPE], "upstream": built.content}).digest
            facts[TRIALS_BY_TYPE] = dg.MetadataValue.json(facts[TRIALS_BY_TYPE])
            return making.done(Made(content, None, facts))

    return search_budget


ENTRY = AssetEntry(
    name=ALLOTMENT,
    code_version=CODE_VERSION,
    job="spread_budget",
    about="Spread the CPU minutes of all searches over the model types.",
    build=build,
    recipe=_recipe_now,
    dashboard="model",
    uses_mlflow=False,
    is_wanted=lambda project: project.settings.cpu_minutes is not None,
)


def _spread(
    context: dg.AssetExecutionContext,
    project: Project,
    progress: Progress,
    records: Records,
    built: Record,
    cpu_seconds: float,
) -> dict[str, Any]:
    """Make the trials; gives how many each type has had, and what it came to."""
    from mlops_assets.core.search.allotment import spread
    from mlops_assets.resources.dask.cluster import open_executor

    searches: dict[str, Search] = {}

    def listener(name: str) -> "OnTrial":
        def on_trial(trial: "Trial", *, resumed: bool) -> None:
            used = sum(search.cpu_seconds for search in searches.values())
            told = f"{name}, trial {trial.number + 1}: " + (trial.error or f"loss {trial.loss:.4g}")
            progress.step(context, min(round(used), round(cpu_seconds)), max(1, round(cpu_seconds)), told)

        return on_trial

    with open_executor(project.settings.trials) as executor:
        for name, search in _searches(project, records, built).items():
            previous = records.latest(hyperparameters.NAME, name)
            searches[name] = hyperparameters.open_search(
                project, name, built, search, previous, executor, listener(name)
            )
        failed = spread(searches, cpu_seconds)
    if len(failed) == len(searches):
        raise TuningError(f"no model type can be searched; {next(iter(failed))}: {next(iter(failed.values()))}")
    for name, reason in failed.items():
        context.log.warning(f"{name} gets no more trials: {reason}")
    return {
        TRIALS_BY_TYPE: {name: max(1, len(search.trials)) for name, search in searches.items()},
        "trials": sum(len(search.trials) for search in searches.values()),
        "cpu_time": Quantity(sum(search.cpu_seconds for search in searches.values()), "s"),
        "searches": dg.MetadataValue.md(_table(searches, failed, project.target.metric.label)),
    }


def _table(searches: "Mapping[str, Search]", failed: Mapping[str, str], metric: str) -> str:
    lines = [f"| model type | trials | CPU seconds | best validation {metric} | |", "|---|---|---|---|---|"]
    for name, search in sorted(searches.items(), key=lambda item: item[1].lowest_loss):
        best = f"{search.lowest_loss:.4g}" if search.best else ""
        ended = "failed" if name in failed else "nothing left to try" if search.ended else ""
        lines.append(f"| {name} | {len(search.trials)} | {search.cpu_seconds:.1f} | {best} | {ended} |")
    return "\n".join(lines)
