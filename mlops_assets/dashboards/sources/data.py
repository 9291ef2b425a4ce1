"""Sources of the data itself, by period: rows, what the rules dropped, and what each column looks like."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from mlops_assets.core.prepare.cleaning import ROW_ID
from mlops_assets.dashboards.sources.feeds import Feed, derived
from mlops_assets.dashboards.sources.source import Reading, Source, columns, records, table

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from mlops_assets.project import Project


QUANTILES = {"low": 0.1, "median": 0.5, "high": 0.9}
MOST_PERIODS = 36  # whose rows are looked at
_NOTHING = "No period was ingested yet: `mlops-assets run` starts with `raw_data` and `clean_data`."
PERIODS = table(
    "periods",
    "Periods of data, one row each.",
    _NOTHING,
    ranged=False,
    period="text: The period.",
    raw_rows="number: Rows as the source gave them.",
    rows="number: Clean rows.",
    dropped="number: Rows that the rules dropped.",
    dropped_share="number: Their share.",
    target_mean="number: Mean of the target.",
    made="time: When the clean rows were made.",
)
DROPPED = table(
    "dropped",
    "Rows that cleaning dropped, by period and rule.",
    _NOTHING,
    ranged=False,
    period="text: The period.",
    rule="text: The rule.",
    rows="number: Rows that it dropped.",
)
PROFILES = table(
    "profiles",
    f"What each column looks like, one row a period, table and column; the newest {MOST_PERIODS} periods.",
    _NOTHING,
    ranged=False,
    id="text: Table and column.",
    period="text: The period.",
    table="text: raw_data or clean_data.",
    column="text: Alias of the column.",
    rows="number: Rows of the period.",
    missing="number: Share of rows without a value.",
    distinct="number: Different values.",
    mean="number: Mean, of numbers.",
    low="number: The value that a tenth of the rows lies below.",
    median="number: The value in the middle.",
    high="number: The value that a tenth of the rows lies above.",
)
_PATH = columns(path="text: Where the table is stored.")


def data_sources(project: Project, materialisations: Callable[[], Reading]) -> list[Source]:
    """`periods`, `dropped` and `profiles`."""
    read = partial(_read_profiles, project, materialisations)
    profiles = Feed("profiles", read, PROFILES.columns + _PATH, most=100_000, order="period")
    return [
        derived(PERIODS, _periods, materialisations),
        derived(DROPPED, _dropped, materialisations),
        PROFILES.source(profiles.reading, profiles.forget),
    ]


def _periods(made: pd.DataFrame) -> Iterator[dict]:
    raw = {row.partition: row.details.get("dagster/row_count") for row in _latest(made, "raw_data")}
    for clean in _latest(made, "clean_data"):
        before, dropped = raw.get(clean.partition), clean.details.get("rows_dropped")
        yield {
            "period": clean.partition,
            "raw_rows": before,
            "rows": clean.details.get("dagster/row_count"),
            "dropped": dropped,
            "dropped_share": dropped / before if before and dropped is not None else None,
            "target_mean": clean.details.get("target_mean"),
            "made": clean.time,
        }


def _dropped(made: pd.DataFrame) -> Iterator[dict]:
    for clean in _latest(made, "clean_data"):
        for rule, rows in clean.details.get("dropped_by_rule", {}).items():
            yield {"period": clean.partition, "rule": rule, "rows": rows}


def _latest(made: pd.DataFrame, asset: str) -> list[Any]:
    """The newest materialisation of each partition, in their order."""
    rows = made[(made["asset"] == asset) & made["latest"]]
    return list(records(rows.sort_values("partition", kind="stable")))


def _read_profiles(
    project: Project, materialisations: Callable[[], Reading], known_rows: pd.DataFrame
) -> Iterator[list[dict]]:
    """Of each stored table of the newest periods, read once; a period that is made again replaces its rows."""
    paths, made = set(known_rows["path"]), materialisations().frame
    for asset in ("clean_data", "raw_data"):
        for row in reversed(_latest(made, asset)[-MOST_PERIODS:]):
            path = row.details.get("path")
            if path not in paths and project.storage.exists(path):
                identity = {"period": row.partition, "table": asset, "path": path}
                columns = profile(project.storage.read_table(path))
                yield [{"id": f"{asset}/{row.partition}/{of['column']}"} | identity | of for of in columns]


def profile(table: pa.Table) -> Iterator[dict[str, Any]]:
    """A row for each column: rows, share of missing values, distinct values, and of numbers mean and quantiles."""
    for name in table.column_names:
        if name != ROW_ID:
            yield {"column": name, "rows": table.num_rows} | _of_column(table.column(name))


def _of_column(values: pa.ChunkedArray) -> dict[str, Any]:
    import pyarrow as pa
    import pyarrow.compute as pc

    count = len(values) or 1
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_finite(values), values, None)  # a NaN is missing too
    numbers = {"missing": values.null_count / count, "distinct": pc.count_distinct(values).as_py()}
    if pa.types.is_integer(values.type) or pa.types.is_floating(values.type):
        quantiles = pc.quantile(values, list(QUANTILES.values())).to_pylist()
        numbers |= dict(zip(QUANTILES, quantiles, strict=True)) | {"mean": pc.mean(values).as_py()}
    return numbers
