"""Batch predictions: every row of a month scored by the champion."""

import dagster as dg

from mlops_assets.assets import recipes
from mlops_assets.assets.making import OWNERS, RETRY, Made, begin, clear_failures
from mlops_assets.assets.records import newest
from mlops_assets.project import Project


def prediction_assets(months: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """`predictions` by month."""

    @dg.asset(
        deps=["raw_data", "champion_model"],
        partitions_def=months,
        group_name="prediction",
        owners=OWNERS,
        kinds={"python", "parquet"},
        code_version=recipes.CODE_VERSIONS["predictions"],
        retry_policy=RETRY,
    )
    def predictions(context: dg.AssetExecutionContext, project: dg.ResourceParam[Project]) -> dg.MaterializeResult:
        """What the champion says of each raw row of a month, with the model's version."""
        with clear_failures(project):
            return _score(context, project)

    return [predictions]


def _score(context: dg.AssetExecutionContext, project: Project) -> dg.MaterializeResult:
    import numpy as np
    import pyarrow as pa

    from mlops_assets.core.cleaning import ROW_ID
    from mlops_assets.core.columns import from_table
    from mlops_assets.core.plots import histogram, markdown_image

    month = context.partition_key
    raw = newest(context.instance, "raw_data", month)
    champion = newest(context.instance, "champion_model")
    making = begin(context, project, recipes.predictions(project, raw, champion))
    if making.unchanged:
        return making.again()
    version = champion.value("champion_version")
    table = project.storage.read_table(raw.path, list(project.spec.inputs()))
    prediction = project.registry.load(version).predict_columns(from_table(table, project.spec.inputs()))
    scored = pa.table(
        {
            ROW_ID: pa.array(np.arange(table.num_rows)),
            "prediction": pa.array(prediction),
            "model_version": pa.array(np.full(table.num_rows, version)),
        }
    )
    stored = project.storage.write_table("predictions", month, scored)
    plot = histogram(prediction, f"Predictions for {month}", project.spec.target.unit)
    shown = {
        "dagster/row_count": scored.num_rows,
        "model_version": version,
        "model_type": champion.value("champion_type"),
        "prediction_mean": float(prediction.mean()),
        "prediction_plot": dg.MetadataValue.md(markdown_image(plot, "predictions")),
        "dagster/column_schema": dg.TableSchema(
            [dg.TableColumn(field.name, str(field.type)) for field in scored.schema]
        ),
    }
    return making.done(Made(stored.digest, stored.path, shown))
