"""`clean_data`: a period's rows that keep the rules of the dataset's YAML, with their target."""

from collections import deque
from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

import dagster as dg

from mlops_assets.assets.by_period import Result, make_periods, period_asset
from mlops_assets.assets.checks import check_results, check_specs, column_schema, stop_if_harmful
from mlops_assets.assets.entry import AssetEntry, State
from mlops_assets.assets.memo import Made, begin, column_lineage
from mlops_assets.assets.recipes import public
from mlops_assets.assets.records import Record, Records
from mlops_assets.core.columns import SLICE_ROWS
from mlops_assets.core.fingerprint import Recipe
from mlops_assets.core.prepare.cleaning import TARGET, kept_columns
from mlops_assets.core.prepare.quality import CLEAN_CHECKS
from mlops_assets.facts import Quantity
from mlops_assets.project import Project
from mlops_assets.resources.progress import Progress

if TYPE_CHECKING:
    import pyarrow as pa

    from mlops_assets.core.prepare.cleaning import Cleaner
    from mlops_assets.core.prepare.row_statistics import CleanRows
    from mlops_assets.resources.artefacts.local import Stored

NAME, CODE_VERSION = "clean_data", "1"
MADE_OF = {"column", "minutes_between", "keep", "unit"}  # of the target in the YAML
CLASSES_BY = {"kind", "above", "positive", "classes"}


def recipe(project: Project, raw: Record) -> Recipe:
    """The rules, the columns that they keep, and the raw rows."""
    spec = project.spec
    rules = spec.model_dump(mode="json", include={"target", "rows", "time", "key"})
    rules["target"] = {name: value for name, value in rules["target"].items() if name in MADE_OF}
    rules["target"] |= spec.target.model_dump(mode="json", include=CLASSES_BY, exclude_defaults=True)
    rules = public(spec, rules)
    columns = {alias: column.type for alias, column in spec.columns.items()}
    settings = rules | {"columns": columns, "inputs": spec.inputs()}
    if groups := [alias for alias in spec.split.groups if alias not in spec.inputs()]:
        settings["kept for the split"] = groups
    if spec.weights:
        settings["weights"] = spec.weights
    if further := [alias for alias in kept_columns(spec) if alias in spec.gate.columns and alias not in spec.inputs()]:
        settings["kept for the gate"] = further
    return Recipe({"code": CODE_VERSION, "settings": settings, "upstream": {"raw_data": raw.content}})


def _recipe_now(state: State, period: str | None) -> Recipe:
    return recipe(state.project, state.records.newest("raw_data", period))


def build(project: Project) -> dg.AssetsDefinition:
    @period_asset(
        ENTRY,
        project,
        deps=["raw_data"],
        group_name="data_preparation",
        kinds={"python", "parquet"},
        check_specs=check_specs(ENTRY, project, CLEAN_CHECKS),
    )
    def clean_data(
        context: dg.AssetExecutionContext, project: dg.ResourceParam[Project], progress: dg.ResourceParam[Progress]
    ):
        """Rows that keep the rules of the dataset's YAML, with their target; nothing known only afterwards."""
        yield from make_periods(context, project, progress, partial(_clean, context, project))

    return clean_data


ENTRY = AssetEntry(
    name=NAME,
    code_version=CODE_VERSION,
    job="clean",
    about="Clean one period.",
    build=build,
    recipe=_recipe_now,
    partitioned_by="period",
    dashboard="data",
    uses_mlflow=False,
)


def _clean(context: dg.AssetExecutionContext, project: Project, records: Records, period: str) -> Iterator[Result]:
    from mlops_assets.core.prepare.cleaning import Cleaner
    from mlops_assets.core.prepare.lineage import clean_lineage
    from mlops_assets.core.prepare.quality import judge_clean
    from mlops_assets.core.prepare.row_statistics import CleanRows
    from mlops_assets.core.prepare.schemas import clean_schema
    from mlops_assets.core.report.plots import bars, histogram, markdown_image

    spec = project.spec
    raw = records.newest("raw_data", period)
    making = begin(context, project, records, recipe(project, raw), period)
    raw_rows = raw.value("dagster/row_count")
    cleaner, rows = Cleaner(spec, period), CleanRows(spec)
    stored = None
    if making.unchanged:
        deque(cleaned_batches(project, raw.stored_path, cleaner, rows), maxlen=0)
    else:
        stored = store_clean(project, period, raw.stored_path, cleaner, rows)
    outcomes = judge_clean(spec, rows, period, cleaner.dropped, raw_rows)
    yield from check_results(NAME, outcomes)
    with making.discarding(stored):
        stop_if_harmful(period, outcomes)
    if stored is None:
        yield making.again()
        return
    y = rows.y
    dropped = {spec.redact(rule): count for rule, count in cleaner.dropped.items()}
    dropped_plot = bars(list(dropped), list(dropped.values()), f"Rows dropped in {period}")
    target_plot = histogram(y, f"Target in {period}", spec.target.unit)
    metadata = {
        "dagster/row_count": cleaner.kept,
        "rows_dropped": raw_rows - cleaner.kept,
        "dropped_by_rule": dropped,
        "target_mean": Quantity(float(y.mean()), project.target.unit),
        "dropped_plot": dg.MetadataValue.md(markdown_image(dropped_plot, "rows dropped by rule")),
        "target_plot": dg.MetadataValue.md(markdown_image(target_plot, "target")),
    }
    metadata |= column_schema(clean_schema(spec)) | column_lineage("raw_data", clean_lineage(spec))
    yield making.done(Made(stored.digest, stored.path, metadata))


def store_clean(project: Project, period: str, raw_path: str, cleaner: "Cleaner", rows: "CleanRows") -> "Stored":
    """Store what cleaning leaves of the raw rows at a path, in batches; raises DataError where that is none."""
    tables = cleaned_batches(project, raw_path, cleaner, rows)
    first = next(tables)  # which tells the schema
    return project.storage.write_batches(NAME, period, first.schema, chain([first], tables), [TARGET])


def cleaned_batches(project: Project, raw_path: str, cleaner: "Cleaner", rows: "CleanRows") -> "Iterator[pa.Table]":
    """What cleaning leaves of the raw rows at a path; raises DataError in the end where that is none."""
    for batch in project.storage.read_batches(raw_path, project.spec.used_columns(), SLICE_ROWS):
        table = cleaner.clean(batch)
        rows.add(table)
        yield table.combine_chunks()
    cleaner.finish()
