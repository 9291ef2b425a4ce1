"""`predictions`: every row of a period scored by the champion."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import dagster as dg
import numpy as np

from mlops_assets.assets.by_period import Result, make_periods, period_asset
from mlops_assets.assets.champion_model import why_no_champion
from mlops_assets.assets.entry import LOOKED_AT, RETRY, AssetEntry, State
from mlops_assets.assets.memo import Made, begin, column_lineage
from mlops_assets.assets.records import Record, Records
from mlops_assets.core.fingerprint import Recipe
from mlops_assets.core.model.answers import NUMBERS
from mlops_assets.core.prepare.cleaning import ROW_ID
from mlops_assets.errors import DataError
from mlops_assets.facts import Quantity
from mlops_assets.project import Project
from mlops_assets.resources.progress import Progress

if TYPE_CHECKING:
    import pyarrow as pa

    from mlops_assets.core.model.answers import Answers
    from mlops_assets.core.model.model import Model
    from mlops_assets.core.targets.kind import TargetKind

NAME, CODE_VERSION = "predictions", "3"
LACKS = "lacks_inputs"
BATCH_ROWS = 50_000  # in memory at a time
PLOTTED = 100_000  # predictions in the plot, at most about so many
DISTINCT = ("prediction", "low", "high")


def columns(target: "TargetKind") -> dict[str, str]:
    """Of the table: Arrow's type by name."""
    numbers = dict.fromkeys(NUMBERS, "double")
    return {ROW_ID: "int64"} | numbers | dict(target.columns) | {"model_version": "int64", LACKS: "bool"}


def recipe(project: Project, raw: Record, champion: Record) -> Recipe:
    """The raw rows, and the version that answers; DataError where there is none."""
    if not champion.value("champion_version"):
        raise DataError(f"there is no champion to predict with: {why_no_champion(champion)}")
    upstream = {"raw_data": raw.content, "champion": champion.value("champion_version")}
    return Recipe({"code": CODE_VERSION, "upstream": upstream})


def _recipe_now(state: State, period: str | None) -> Recipe:
    champion = state.records.newest("champion_model")
    return recipe(state.project, state.records.newest("raw_data", period), champion)


def build(project: Project) -> dg.AssetsDefinition:
    @period_asset(
        ENTRY,
        project,
        deps=["raw_data", "champion_model"],
        group_name="prediction",
        kinds={"python", "parquet"},
        retry_policy=RETRY,
    )
    def predictions(
        context: dg.AssetExecutionContext, project: dg.ResourceParam[Project], progress: dg.ResourceParam[Progress]
    ):
        """What the champion says of each raw row of a period: prediction, interval and the model's version.

        A row that lacks what training rows had always is told as such, and has no interval.
        """
        with project.registry.keeping_loaded():
            yield from make_periods(context, project, progress, partial(_score, context, project))

    return predictions


ENTRY = AssetEntry(
    name=NAME,
    code_version=CODE_VERSION,
    job="predict_batch",
    about="Score one period with the champion.",
    build=build,
    recipe=_recipe_now,
    partitioned_by="period",
    newest=LOOKED_AT,
    dashboard="predictions",
    goes_on_without_parents=True,
)


def _score(context: dg.AssetExecutionContext, project: Project, records: Records, period: str) -> Iterator[Result]:
    import pyarrow as pa

    from mlops_assets.core.report.plots import histogram, markdown_image

    raw, champion = records.newest("raw_data", period), records.newest("champion_model")
    making = begin(context, project, records, recipe(project, raw, champion), period)
    if making.unchanged:
        yield making.again()
        return
    version = champion.value("champion_version")
    tally = Tally(raw.value("dagster/row_count"))
    registered = project.registry.version(version)
    types = columns(project.target)
    schema = pa.schema([(name, pa.type_for_alias(kind)) for name, kind in types.items()])
    scored = score_rows(project, project.registry.load(version), version, period, raw.stored_path, tally)
    stored = project.storage.write_batches(NAME, period, schema, scored, DISTINCT)
    plot = histogram(tally.sample, f"Predictions for {period}", project.spec.target.unit)
    metadata = {
        "dagster/row_count": tally.rows,
        "model_version": version,
        "model_type": champion.value("champion_type"),
        "registered_model": registered.page,
        **tally.facts(project.target.unit),
        "learnt_from_it": period in registered.tags.get("periods", "").split(","),
        "prediction_plot": dg.MetadataValue.md(markdown_image(plot, "predictions")),
        "dagster/column_schema": dg.TableSchema([dg.TableColumn(name, kind) for name, kind in types.items()]),
        **column_lineage("raw_data", dict.fromkeys(NUMBERS, project.spec.inputs())),
    }
    yield making.done(Made(stored.digest, stored.path, metadata))


def score_rows(
    project: Project, model: "Model", version: int, period: str, path: str, tally: "Tally"
) -> "Iterator[pa.Table]":
    """The answers to the raw rows of a period, which are stored at a path, in batches."""
    import pyarrow as pa

    from mlops_assets.core.columns import from_table
    from mlops_assets.core.prepare.cleaning import passes_all, target

    spec = project.spec
    for batch in project.storage.read_batches(path, spec.used_columns(), BATCH_ROWS):
        columns = from_table(batch, spec.used_columns())
        answers = model.answer(columns)
        y = target(spec, columns)
        rows = pa.array(np.arange(tally.rows, tally.rows + len(answers)))
        tally.add(answers, np.where(passes_all(spec, columns, y, period), y, np.nan))
        yield pa.table({ROW_ID: rows} | answers.arrow(version) | {LACKS: answers.lacks_inputs})


class Tally:
    """What is told of the answers to `expected` rows; it keeps some of them for a plot."""

    def __init__(self, expected: int) -> None:
        self.rows = self.lacking = 0
        self._step = max(1, expected // PLOTTED)
        self._with_interval = self._with_truth = self._judged = self._inside = 0
        self._sum = self._width = 0.0
        self._sampled: list[np.ndarray] = []

    def add(self, answers: "Answers", y: np.ndarray) -> None:
        """`y` (n,): the truth, NaN where it is not known."""
        self.rows += len(answers)
        self._sum += float(answers.prediction.sum())
        self.lacking += int(np.count_nonzero(answers.lacks_inputs))
        has_interval = np.isfinite(answers.low)
        self._with_interval += int(np.count_nonzero(has_interval))
        self._width += float((answers.high - answers.low)[has_interval].sum())
        self._with_truth += int(np.isfinite(y).sum())
        self._judged += int((np.isfinite(y) & has_interval).sum())
        self._inside += int(((answers.low <= y) & (y <= answers.high)).sum())
        self._sampled.append(answers.prediction[:: self._step])

    @property
    def sample(self) -> np.ndarray:
        return np.concatenate(self._sampled)

    def facts(self, unit: str) -> dict[str, float | Quantity]:
        """Coverage where some truth is known; of a period that was learnt from it says nothing of later ones."""
        facts: dict[str, float | Quantity] = {
            "prediction_mean": Quantity(self._sum / self.rows, unit),
            "rows_with_truth": self._with_truth,
            "rows_lacking_inputs": self.lacking,
        }
        if self._with_interval:
            facts["interval_width_mean"] = Quantity(self._width / self._with_interval, unit)
        if self._judged:
            facts["coverage"] = self._inside / self._judged
        return facts
