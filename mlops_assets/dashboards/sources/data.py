"""Sources of the data itself, by period: rows, what the rules dropped, and what each column looks like."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from mlops_assets.core.prepare.cleaning import ROW_ID
from mlops_assets.dashboards.sources.feeds import Derived, Feed
from mlops_assets.dashboards.sources.source import Reading, Source, as_frame, columns, records

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from mlops_assets.project import Project


QUANTILES = {"low": 0.1, "median": 0.5, "high": 0.9}


MOST_PERIODS = 36  # whose rows are looked at
PERIODS = columns(
    period="text: The period.",
    raw_rows="number: Rows as the source gave them.",
    rows="number: Clean rows.",
    dropped="number: Rows that the rules dropped.",
    dropped_share="number: Their share.",
    target_mean="number: Mean of the target.",
    made="time: When the clean rows were made.",
)
DROPPED = columns(period="text: The period.", rule="text: The rule.", rows="number: Rows that it dropped.")
PROFILES = columns(
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
EMPTY = "No period was ingested yet: `mlops-assets run` starts with `raw_data` and `clean_data`."


def data_sources(project: Project, materialisations: Callable[[], Reading]) -> list[Source]:
    """`periods`, `dropped` and `profiles`."""
    profiles = Feed(
        "profiles", _Profiles(project, materialisations).read, PROFILES + _PATH, most=100_000, order="period"
    )
    return [
        Source(
            "periods",
            "Periods of data, one row each.",
            PERIODS,
            Derived(_periods, materialisations).reading,
            EMPTY,
            time=None,
        ),
        Source(
            "dropped",
            "Rows that cleaning dropped, by period and rule.",
            DROPPED,
            Derived(_dropped, materialisations).reading,
            EMPTY,
            time=None,
        ),
        Source(
            "profiles",
            f"What each column looks like, one row a period, table and column; the newest {MOST_PERIODS} periods.",
            PROFILES,
            profiles.reading,
            EMPTY,
            time=None,
            forget=profiles.forget,
        ),
    ]


def _periods(frame: pd.DataFrame) -> pd.DataFrame:
    raw = {row.partition: row for row in _latest(frame, "raw_data")}
    rows = []
    for clean in _latest(frame, "clean_data"):
        details = clean.details
        before = raw[clean.partition].details.get("dagster/row_count") if clean.partition in raw else None
        dropped = details.get("rows_dropped")
        rows.append(
            {
                "period": clean.partition,
                "raw_rows": before,
                "rows": details.get("dagster/row_count"),
                "dropped": dropped,
                "dropped_share": dropped / before if before and dropped is not None else None,
                "target_mean": details.get("target_mean"),
                "made": clean.time,
            }
        )
    return as_frame(sorted(rows, key=lambda row: row["period"]), PERIODS)


def _dropped(frame: pd.DataFrame) -> pd.DataFrame:
    rows = [
        {"period": clean.partition, "rule": rule, "rows": rows}
        for clean in _latest(frame, "clean_data")
        for rule, rows in clean.details.get("dropped_by_rule", {}).items()
    ]
    return as_frame(sorted(rows, key=lambda row: row["period"]), DROPPED)


def _latest(frame: pd.DataFrame, asset: str) -> Iterator[Any]:
    """The newest materialisation of each partition."""
    return records(frame[(frame["asset"] == asset) & frame["latest"]])


class _Profiles:
    """Reads each stored table of the newest periods once; a period that is made again replaces its rows."""

    def __init__(self, project: Project, materialisations: Callable[[], Reading]) -> None:
        self._project, self._materialisations = project, materialisations

    def read(self, known_rows: pd.DataFrame) -> Iterator[list[dict]]:
        paths = set(known_rows["path"])
        frame = self._materialisations().frame
        for asset in ("clean_data", "raw_data"):
            periods = sorted(_latest(frame, asset), key=lambda row: row.partition)[-MOST_PERIODS:]
            for row in reversed(periods):
                path = row.details.get("path")
                if path not in paths and self._project.storage.exists(path):
                    yield list(self._rows(asset, row.partition, path))

    def _rows(self, asset: str, period: str, path: str) -> Iterator[dict]:
        identity = {"period": period, "table": asset, "path": path}
        for row in profile(self._project.storage.read_table(path)):
            yield {"id": f"{asset}/{period}/{row['column']}"} | identity | row


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
