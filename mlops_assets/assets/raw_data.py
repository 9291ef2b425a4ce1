"""`raw_data`: a period's rows as the source gave them, typed, under the aliases of the dataset's YAML."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import dagster as dg

from mlops_assets.assets.by_period import PeriodSkipped, Result, make_periods, period_asset
from mlops_assets.assets.checks import check_results, check_specs, column_schema, stop_if_harmful
from mlops_assets.assets.entry import RETRY, AssetEntry, State
from mlops_assets.assets.memo import Made, begin, clear_failures
from mlops_assets.assets.recipes import digest
from mlops_assets.assets.records import Records
from mlops_assets.core.columns import SLICE_ROWS, slices
from mlops_assets.core.fingerprint import Recipe
from mlops_assets.core.prepare.quality import RAW_CHECKS
from mlops_assets.dataset import Column, Dialect
from mlops_assets.dataset.old_keys import uri_then
from mlops_assets.project import Project
from mlops_assets.resources.progress import Progress

if TYPE_CHECKING:
    import pyarrow as pa

    from mlops_assets.core.prepare.row_statistics import RawRows
    from mlops_assets.resources.artefacts.local import Stored

NAME, CODE_VERSION = "raw_data", "1"


def recipe(project: Project, source_version: str) -> Recipe:
    """Real column names and places enter as a digest only."""
    spec = project.spec
    columns = {alias: _read_by(column) for alias, column in spec.columns.items()}
    place = spec.source.model_dump(mode="json")
    if "uri" in place:
        place["uri"] = uri_then(place["uri"])
    plain = Dialect().model_dump(mode="json", exclude={"delimiter"})
    source = {"source": _unlike(place, plain), "columns": columns}
    return Recipe(
        {"code": CODE_VERSION, "settings": {"source": digest(source)}, "data": {"source version": source_version}}
    )


def _read_by(column: Column) -> dict[str, Any]:
    """What of a column says how it is read, and not what it means to people."""
    meaning = {"missing", "description"} | (set() if column.type == "time" else {"unit"})
    plain = Column().model_dump(mode="json", exclude={"source_name", "type", "timezone"})
    return _unlike(column.model_dump(mode="json", exclude=meaning), plain)


def _unlike(document: dict[str, Any], plain: dict[str, Any]) -> dict[str, Any]:
    """Without the keys that say what goes without saying: a release that knows more of them reads no row anew."""
    return {key: value for key, value in document.items() if key not in plain or value != plain[key]}


def _recipe_now(state: State, period: str | None) -> Recipe:
    return recipe(state.project, state.source_versions()[period or ""])


def build(project: Project) -> dg.AssetsDefinition:
    @period_asset(
        ENTRY,
        project,
        group_name="data_preparation",
        kinds={"python", "parquet"},
        retry_policy=RETRY,
        check_specs=check_specs(ENTRY, project, RAW_CHECKS),
    )
    def raw_data(
        context: dg.AssetExecutionContext, project: dg.ResourceParam[Project], progress: dg.ResourceParam[Progress]
    ):
        """Rows as the source gave them, typed, under the aliases of the dataset's YAML."""
        with clear_failures(project):
            versions = project.source.partitions()
        yield from make_periods(context, project, progress, partial(_ingest, context, project, versions))

    return raw_data


ENTRY = AssetEntry(
    name=NAME,
    code_version=CODE_VERSION,
    job="ingest",
    about="Ingest one period.",
    build=build,
    recipe=_recipe_now,
    partitioned_by="period",
    dashboard="data",
    uses_mlflow=False,
    once_in_a_retraining=True,  # a period may change while it is read; the next look at the source says so
)


def _ingest(
    context: dg.AssetExecutionContext, project: Project, versions: Mapping[str, str], records: Records, period: str
) -> Iterator[Result]:
    from mlops_assets.core.prepare.quality import judge_raw
    from mlops_assets.core.prepare.row_statistics import RawRows
    from mlops_assets.core.prepare.schemas import raw_schema
    from mlops_assets.core.report.plots import bars, markdown_image

    spec = project.spec
    if period not in versions:
        raise PeriodSkipped(f"the source does not have {period}")
    making = begin(context, project, records, recipe(project, versions[period]), period)
    rows = RawRows(spec, period)
    stored = None
    if making.unchanged:
        for batch in project.storage.read_batches(making.newest.stored_path, spec.used_columns(), SLICE_ROWS):
            rows.add(batch)
    else:
        stored = store_raw(project, period, rows)
    outcomes = judge_raw(spec, rows, period, _rows_before(records, period))
    yield from check_results(NAME, outcomes)
    with making.discarding(stored):
        stop_if_harmful(period, outcomes)
    if stored is None:
        yield making.again()
        return
    missing_plot = bars(list(rows.empty), list(rows.empty.values()), f"Rows without a value in {period}")
    metadata = {
        "dagster/row_count": rows.rows,
        **({"ragged_rows_of_file": rows.ragged} if rows.ragged else {}),
        "megabytes": round(stored.size / 1e6, 3),
        "missing_values": sum(rows.empty.values()),
        "missing_plot": dg.MetadataValue.md(markdown_image(missing_plot, "rows without a value")),
    }
    yield making.done(Made(stored.digest, stored.path, metadata | column_schema(raw_schema(spec))))


def store_raw(project: Project, period: str, rows: "RawRows") -> "Stored":
    """Store what the source has of a period, in batches: memory does not grow with it. `rows` sees every row."""
    from mlops_assets.sources.normalise import schema

    batches = _from_source(project, period, rows)
    return project.storage.write_batches(NAME, period, schema(project.spec), batches)


def _from_source(project: Project, period: str, rows: "RawRows") -> "Iterator[pa.Table]":
    from mlops_assets.sources import ragged_rows, stream_rows

    for part in stream_rows(project.source, period):
        rows.ragged += ragged_rows(part)
        for batch in slices(part) if part.num_rows else (part,):
            rows.add(batch)
            yield batch


def _rows_before(records: Records, period: str) -> dict[str, int]:
    known = records.all_latest(NAME)
    return {name: record.value("dagster/row_count") for name, record in known.items() if name < period}
