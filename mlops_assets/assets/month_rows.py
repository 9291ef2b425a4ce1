"""A month's rows on their way through preparation, in batches: memory does not grow with the month."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

from mlops_assets.core.cleaning import ROW_ID, TARGET
from mlops_assets.core.columns import SLICE_ROWS, slices
from mlops_assets.project import Project

if TYPE_CHECKING:
    import pyarrow as pa

    from mlops_assets.core.cleaning import Cleaner
    from mlops_assets.core.tallies import CleanRows, RawRows
    from mlops_assets.resources.storage import Stored


def store_raw(project: Project, month: str, seen: RawRows) -> Stored:
    """Store what the source has of a month; `seen` sees every row."""
    from mlops_assets.sources.tables import schema

    spec = project.spec
    times = [alias for alias, column in spec.columns.items() if column.type == "time"]
    return project.storage.write_batches("raw_data", month, schema(spec), _from_source(project, month, seen), times)


def see_raw(project: Project, path: str, seen: RawRows) -> None:
    """Let `seen` see every row that was stored."""
    for rows in project.storage.read_batches(path, project.spec.used_columns(), SLICE_ROWS):
        seen.add(rows)


def store_clean(project: Project, month: str, raw: str, cleaner: Cleaner, seen: CleanRows) -> Stored:
    """Store what cleaning leaves of the raw rows at a path; raises DataError where that is none."""
    tables = cleaned(project, raw, cleaner, seen)
    first = next(tables)  # which tells the schema
    time = project.spec.time
    distinct = [ROW_ID, TARGET, *([time.column] if time else [])]
    return project.storage.write_batches("clean_data", month, first.schema, chain([first], tables), distinct)


def cleaned(project: Project, raw: str, cleaner: Cleaner, seen: CleanRows) -> Iterator[pa.Table]:
    """What cleaning leaves of the raw rows at a path; raises DataError in the end where that is none."""
    for rows in project.storage.read_batches(raw, project.spec.used_columns(), SLICE_ROWS):
        table = cleaner.clean(rows)
        seen.add(table)
        yield table.combine_chunks()
    cleaner.finish()


def _from_source(project: Project, month: str, seen: RawRows) -> Iterator[pa.Table]:
    from mlops_assets.sources import stream_rows

    for part in stream_rows(project.source, month):
        for rows in slices(part) if part.num_rows else (part,):
            seen.add(rows)
            yield rows
