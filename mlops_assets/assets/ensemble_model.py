"""`ensemble_model`: the fitted candidates as one model, weighted by what they said of validation rows; registered."""

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import dagster as dg

from mlops_assets.assets import models
from mlops_assets.assets.by_period import Result
from mlops_assets.assets.entry import OWNERS, RETRY, AssetEntry, State
from mlops_assets.assets.expectations import examined, expectation_checks
from mlops_assets.assets.explanations import explained
from mlops_assets.assets.memo import Made, Making, begin, clear_failures
from mlops_assets.assets.recipes import LIBRARIES, learnt_as, libraries, tracking_place
from mlops_assets.assets.records import Record, Records
from mlops_assets.core.fingerprint import Recipe
from mlops_assets.core.learners.ensemble import ENSEMBLE, FEWEST
from mlops_assets.errors import DataError
from mlops_assets.project import Project

if TYPE_CHECKING:
    from mlops_assets.core.training_set import TrainingSet
    from mlops_assets.resources.mlflow.version import Version

NAME, CODE_VERSION = "ensemble_model", "5"


def recipe(project: Project, built: Record, fitted: Mapping[str, Record]) -> Recipe:
    """The candidates, and all that their weights and intervals depend on."""
    settings = project.settings
    return Recipe(
        {
            "code": CODE_VERSION,
            "settings": {"coverage": settings.coverage, "tracking": tracking_place(project)} | learnt_as(project.spec),
            "data": {name: record.content for name, record in fitted.items()},
            "upstream": {"training_set": built.content},
            "libraries": libraries(*LIBRARIES),
        }
    )


def _recipe_now(state: State, partition: str | None) -> Recipe:
    built = state.records.newest("training_set")
    return recipe(state.project, built, _members(state.records, state.project, built))


def _members(records: Records, project: Project, built: Record) -> dict[str, Record]:
    """Raises DataError where too few types are fitted on this training set."""
    fitted = models.fitted_on(records, project, built)
    if len(fitted) < FEWEST:
        raise DataError(
            f"an ensemble takes {FEWEST} fitted models or more, and there are {len(fitted)}: see the others"
        )
    return fitted


def build(project: Project) -> dg.AssetsDefinition:
    @dg.asset(
        deps=["training_set", *(entry.name for entry in models.ENTRIES if entry.is_wanted(project))],
        group_name="training",
        owners=OWNERS,
        kinds={"python", "mlflow"},
        code_version=CODE_VERSION,
        retry_policy=RETRY,
        check_specs=expectation_checks(ENTRY, project),
    )
    def ensemble_model(context: dg.AssetExecutionContext, project: dg.ResourceParam[Project]) -> Iterator[Result]:
        """The fitted candidates as one model, weighted by what they said of validation rows."""
        with clear_failures(project):
            yield from examined(ENTRY, project, Records(context.instance), _blend(context, project))

    return ensemble_model


ENTRY = AssetEntry(
    name=NAME,
    code_version=CODE_VERSION,
    job="blend",
    about="Blend the fitted candidates into an ensemble.",
    build=build,
    recipe=_recipe_now,
    dashboard=models.DASHBOARD,
    is_wanted=lambda project: project.has_ensemble,
    goes_on_without_parents=True,
)


def _blend(context: dg.AssetExecutionContext, project: Project) -> dg.MaterializeResult:
    from mlops_assets.core.learners.ensemble import weights_of
    from mlops_assets.core.training_set import TrainingSet

    records = Records(context.instance)
    built = records.newest("training_set")
    fitted = _members(records, project, built)
    making = begin(context, project, records, recipe(project, built, fitted), ENTRY.dashboard)
    if making.unchanged:
        return making.again()
    stored = TrainingSet.load(project.storage.local_folder(built.stored_path))
    version = project.registry.made_from(making.recipe.digest)  # by a run that was killed before it could say so
    version = version or _register(context, project, making, stored, built, fitted)
    metadata = models.metadata_of(project, version, ENSEMBLE, sum(record.value("trials") for record in fitted.values()))
    weights = weights_of(project.registry.load(version.number).estimator)
    metadata["weights"] = dg.MetadataValue.json({name: round(weight, 4) for name, weight in weights.items()})
    metadata |= explained(records, project, version, stored.periods.validation[-1])
    return making.done(Made(making.recipe.digest, None, metadata))


def _register(
    context: dg.AssetExecutionContext,
    project: Project,
    making: Making,
    stored: "TrainingSet",
    built: Record,
    fitted: Mapping[str, Record],
) -> "Version":
    """Weigh the candidates by their fits on the train split; blend those that would go live."""
    from mlops_assets.core.learners.ensemble import blend_held_out, learn_weights
    from mlops_assets.core.model.ensemble import blended

    began = time.time()
    held_out, target = stored.held_target, project.target
    versions = {name: record.value("version") for name, record in fitted.items()}
    raws = [models.held_out_output(project, version) for version in versions.values()]
    weights = dict(zip(fitted, learn_weights(raws, held_out, target).tolist(), strict=True))
    raw = blend_held_out(raws, held_out, target)
    found = models.judged(project, stored, raw)
    members = {name: project.registry.load(versions[name]) for name in fitted if weights[name]}
    model = blended(members, weights, found.intervals, found.finish)
    spent = {"fit_seconds": round(time.time() - began, 3)}
    about = "The weighted sum of the fitted candidates, itself a candidate for champion."
    new = models.NewCandidate(model, raw, found, weights, spent, about, began)
    return models.log_candidate(context, project, making, stored, built, new)
