"""Final models: each type fitted with its best parameters on the train split, logged and registered."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from mlops_assets.assets import recipes
from mlops_assets.assets.explanations import explained
from mlops_assets.assets.final_fit import fit_final
from mlops_assets.assets.memo import OWNERS, RETRY, Made, Making, begin, clear_failures
from mlops_assets.assets.partitions import model_type_mapping
from mlops_assets.assets.records import Record, newest
from mlops_assets.project import Project
from mlops_assets.resources.mlflow.registry import RECIPE_TAG

if TYPE_CHECKING:
    from mlops_assets.core.training_set import TrainingSet
    from mlops_assets.resources.mlflow.registry import Version

GROUP = "training"


def training_assets(sklearn_types: tuple[str, ...], xgboost_types: tuple[str, ...]) -> list[dg.AssetsDefinition]:
    """`sklearn_model` by type and `xgboost_model`, each only where the settings list such a type."""
    assets = []
    if sklearn_types:
        partitions = dg.StaticPartitionsDefinition(list(sklearn_types))
        assets.append(_model_asset("sklearn_model", "sklearn", model_type_mapping(sklearn_types), partitions))
    if xgboost_types:
        mapping = dg.SpecificPartitionsPartitionMapping(list(xgboost_types))
        assets.append(_model_asset("xgboost_model", "xgboost", mapping, None, xgboost_types[0]))
    return assets


def _model_asset(
    asset: str,
    kind: str,
    mapping: dg.PartitionMapping,
    partitions: dg.PartitionsDefinition | None,
    only_type: str | None = None,
) -> dg.AssetsDefinition:
    @dg.asset(
        name=asset,
        deps=["training_set", dg.AssetDep("hyperparameters", partition_mapping=mapping)],
        partitions_def=partitions,
        group_name=GROUP,
        owners=OWNERS,
        kinds={"python", kind, "mlflow"},
        code_version=recipes.CODE_VERSIONS[asset],
        retry_policy=RETRY,
        description=f"The final {kind} model with its best parameters, fitted on the train split and registered.",
    )
    def model(context: dg.AssetExecutionContext, project: dg.ResourceParam[Project]) -> dg.MaterializeResult:
        name = only_type or context.partition_key
        with clear_failures(project):
            return _fit(context, project, asset, name)

    return model


def _fit(context: dg.AssetExecutionContext, project: Project, asset: str, name: str) -> dg.MaterializeResult:
    from mlops_assets.core.learners.estimators import predict
    from mlops_assets.core.report.plots import markdown_image, predicted_against_true
    from mlops_assets.core.training_set import TrainingSet

    built = newest(context.instance, "training_set")
    tuned = newest(context.instance, "hyperparameters", name)
    making = begin(context, project, recipes.model(asset, project, built, tuned))
    if making.unchanged:
        return making.again()
    training_set = TrainingSet.load(project.storage.local_folder(built.path))
    version = project.registry.made_from(making.recipe.digest)  # by a run that was killed before it could say so
    version = version or _register(context, project, making, training_set, tuned)
    matrix = training_set.matrix(project.model_types[name].matrix, "validation")
    prediction = predict(project.registry.load(version.number).estimator, matrix)
    plot = predicted_against_true(training_set.target("validation"), prediction, project.spec.target.unit)
    rounds = {"rounds": tuned.value("rounds")} if tuned.value("rounds") else {}  # only XGBoost counts them
    shown = project.tracking.metrics(version.run_id) | rounds
    shown |= {
        "model_type": name,
        "version": version.number,
        "trials": tuned.value("trials"),
        "best_parameters": dg.MetadataValue.json(tuned.value("best_parameters")),
        "validation_plot": dg.MetadataValue.md(markdown_image(plot, "predicted against true")),
        "mlflow": dg.MetadataValue.url(project.tracking.run_url(version.run_id)),
        "registered_model": dg.MetadataValue.url(version.url),
    }
    shown |= explained(context.instance, project, version, training_set.months.validation[-1])
    return making.done(Made(making.recipe.digest, None, shown))


def _register(
    context: dg.AssetExecutionContext, project: Project, making: Making, training_set: "TrainingSet", tuned: Record
) -> "Version":
    """Fit with the best parameters on the train split, log with the scores on validation, and register."""
    from mlops_assets.core.learners.estimators import predict
    from mlops_assets.core.metrics import score
    from mlops_assets.core.model.intervals import calibrate, needed_levels
    from mlops_assets.core.model.model import Model, finish

    name, settings = tuned.partition, project.settings
    kind = project.model_types[name].matrix
    final = fit_final(project, training_set, tuned, name, tuned.value("rounds"))
    fitted = final.fitted
    held_out = training_set.target("validation")
    prediction = predict(fitted.estimator, training_set.matrix(kind, "validation"))
    scores = score(held_out, prediction)
    metrics = {"validation_rmse": scores.rmse, "validation_mae": scores.mae, "validation_r2": scores.r2}
    model = Model(project.spec, training_set.encoder, fitted.estimator, name, kind)
    levels = needed_levels(training_set.levels, settings.coverage)
    intervals = calibrate(model.within(prediction), held_out, settings.coverage, levels)
    model = finish(model, final.X, training_set.specimens, intervals)
    about = {"model_type": name, "role": "candidate", "training_set": making.recipe.parts["upstream"]["training_set"]}
    about |= {"months": ",".join(training_set.months.all), RECIPE_TAG: making.recipe.digest}
    about |= {"code_version": making.recipe.parts["code"]}
    with project.tracking.run(context, f"fit {name}", about) as run, tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder))
        return project.registry.log(
            run,
            Path(folder),
            example=example_rows(context, project, training_set.months.train[0]),
            prediction_name=project.spec.target.unit or "prediction",
            params=fitted.params,
            metrics=metrics
            | {"fit_seconds": round(fitted.seconds, 3), "fit_rows": final.X.shape[0], "fit_shares": fitted.shares},
            tags=about,
        )


def example_rows(context: dg.AssetExecutionContext, project: Project, month: str, count: int = 5):
    """The first clean rows of a month as a DataFrame of a model's inputs."""
    cleaned = newest(context.instance, "clean_data", month)
    table = project.storage.read_table(cleaned.path, list(project.spec.inputs()))
    return table.slice(0, count).to_pandas()
