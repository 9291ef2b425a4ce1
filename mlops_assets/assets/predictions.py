"""`predictions`: every row of a month scored by the champion."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import dagster as dg
import numpy as np

from mlops_assets.assets.entry import OWNERS, RETRY, AssetEntry, State
from mlops_assets.assets.memo import Made, begin, clear_failures, column_lineage
from mlops_assets.assets.records import Record, newest
from mlops_assets.core.fingerprint import Recipe
from mlops_assets.core.model.answers import NUMBERS
from mlops_assets.core.prepare.cleaning import ROW_ID
from mlops_assets.errors import DataError
from mlops_assets.project import Project

if TYPE_CHECKING:
    import pyarrow as pa

    from mlops_assets.core.model.answers import Answers
    from mlops_assets.core.model.model import Model

NAME, CODE_VERSION = "predictions", "2"
BATCH_ROWS = 50_000  # in memory at a time
PLOTTED = 100_000  # predictions in the plot, at most about so many
DISTINCT = ("prediction", "low", "high")
COLUMNS = {ROW_ID: "int64", "prediction": "float64", "low": "float64", "high": "float64", "model_version": "int64"}


def recipe(project: Project, raw: Record, champion: Record) -> Recipe:
    """The raw rows, and the version that answers; DataError where there is none."""
    if not champion.value("champion_version"):
        raise DataError("there is no champion to predict with: no candidate has beaten the baselines")
    upstream = {"raw_data": raw.content, "champion": champion.value("champion_version")}
    return Recipe({"code": CODE_VERSION, "upstream": upstream})


def _recipe_now(state: State, month: str | None) -> Recipe:
    champion = newest(state.instance, "champion_model")
    return recipe(state.project, newest(state.instance, "raw_data", month), champion)


def build(project: Project) -> dg.AssetsDefinition:
    @dg.asset(
        deps=["raw_data", "champion_model"],
        partitions_def=ENTRY.partitions(project),
        group_name="prediction",
        owners=OWNERS,
        kinds={"python", "parquet"},
        code_version=CODE_VERSION,
        retry_policy=RETRY,
    )
    def predictions(context: dg.AssetExecutionContext, project: dg.ResourceParam[Project]) -> dg.MaterializeResult:
        """What the champion says of each raw row of a month: prediction, interval and the model's version."""
        with clear_failures(project):
            return _score(context, project)

    return predictions


ENTRY = AssetEntry(
    name=NAME,
    code_version=CODE_VERSION,
    job="predict_batch",
    about="Score one month with the champion.",
    build=build,
    recipe=_recipe_now,
    partitioned_by="period",
    dashboard="predictions",
    goes_on_without_parents=True,
)


def _score(context: dg.AssetExecutionContext, project: Project) -> dg.MaterializeResult:
    import pyarrow as pa

    from mlops_assets.core.report.plots import histogram, markdown_image

    month = context.partition_key
    raw = newest(context.instance, "raw_data", month)
    champion = newest(context.instance, "champion_model")
    making = begin(context, project, recipe(project, raw, champion), ENTRY.dashboard)
    if making.unchanged:
        return making.again()
    version = champion.value("champion_version")
    tally = Tally(raw.value("dagster/row_count"))
    registered = project.registry.version(version)
    schema = pa.schema([(name, getattr(pa, kind)()) for name, kind in COLUMNS.items()])
    scored = score_rows(project, project.registry.load(version), version, month, raw.stored_path, tally)
    stored = project.storage.write_batches(NAME, month, schema, scored, DISTINCT)
    plot = histogram(tally.sample, f"Predictions for {month}", project.spec.target.unit)
    metadata = {
        "dagster/row_count": tally.rows,
        "model_version": version,
        "model_type": champion.value("champion_type"),
        "registered_model": dg.MetadataValue.url(registered.url),
        **tally.metadata(),
        "learnt_from_it": month in registered.tags.get("months", "").split(","),
        "prediction_plot": dg.MetadataValue.md(markdown_image(plot, "predictions")),
        "dagster/column_schema": dg.TableSchema([dg.TableColumn(name, kind) for name, kind in COLUMNS.items()]),
        **column_lineage("raw_data", dict.fromkeys(NUMBERS, project.spec.inputs())),
    }
    return making.done(Made(stored.digest, stored.path, metadata))


def score_rows(
    project: Project, model: "Model", version: int, month: str, path: str, tally: "Tally"
) -> "Iterator[pa.Table]":
    """The answers to the raw rows of a month, which are stored at a path, in batches."""
    import pyarrow as pa

    from mlops_assets.core.columns import from_table
    from mlops_assets.core.prepare.cleaning import passes_all, target

    spec = project.spec
    for batch in project.storage.read_batches(path, spec.used_columns(), BATCH_ROWS):
        columns = from_table(batch, spec.used_columns())
        answers = model.answer(columns)
        y = target(spec, columns)
        rows = pa.array(np.arange(tally.rows, tally.rows + len(answers)))
        tally.add(answers, np.where(passes_all(spec, columns, y, month), y, np.nan))
        yield pa.table({ROW_ID: rows} | answers.arrow(version))


class Tally:
    """What is told of the answers to `expected` rows; it keeps some of them for a plot."""

    def __init__(self, expected: int) -> None:
        self.rows = 0
        self._step = max(1, expected // PLOTTED)
        self._with_truth = self._inside = 0
        self._sum = self._width = 0.0
        self._sampled: list[np.ndarray] = []

    def add(self, answers: "Answers", y: np.ndarray) -> None:
        """`y` (n,): the truth, NaN where it is not known."""
        self.rows += len(answers)
        self._sum += float(answers.prediction.sum())
        self._width += float((answers.high - answers.low).sum())
        self._with_truth += int(np.isfinite(y).sum())
        self._inside += int(((answers.low <= y) & (y <= answers.high)).sum())
        self._sampled.append(answers.prediction[:: self._step])

    @property
    def sample(self) -> np.ndarray:
        return np.concatenate(self._sampled)

    def metadata(self) -> dict[str, float]:
        """Coverage where some truth is known; of a month that was learnt from it says nothing of later ones."""
        metadata = {"prediction_mean": self._sum / self.rows, "rows_with_truth": self._with_truth}
        if not math.isnan(self._width):
            metadata["interval_width_mean"] = self._width / self.rows
            if self._with_truth:
                metadata["coverage"] = self._inside / self._with_truth
        return metadata
