"""A month's rows on their way through preparation, in batches: memory does not grow with the month."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from mlops_assets.core.columns import SLICE_ROWS, slices
from mlops_assets.core.prepare.cleaning import TARGET, kept_columns
from mlops_assets.project import Project

if TYPE_CHECKING:
    import pyarrow as pa

    from mlops_assets.assets.records import Record
    from mlops_assets.core.prepare.cleaning import Cleaner
    from mlops_assets.core.prepare.row_statistics import CleanRows, RawRows
    from mlops_assets.core.prepare.splitting import Months
    from mlops_assets.core.training_set import Parts
    from mlops_assets.resources.artefacts.local import Stored


@dataclass(frozen=True)
class WindowRows:
    """The clean rows of a window, divided into splits, a batch at a time: read anew by each pass.

    `paths`: where the rows of its months are, oldest first; `rows`: how many these are.
    """

    project: Project
    months: Months
    paths: tuple[str, ...]
    rows: int

    @classmethod
    def of(cls, project: Project, months: Months, cleaned: Mapping[str, Record]) -> WindowRows:
        paths = tuple(record.path for record in cleaned.values())
        return cls(project, months, paths, sum(record.value("dagster/row_count") for record in cleaned.values()))

    def __iter__(self) -> Iterator[Parts]:
        from mlops_assets.core.training_set import divide

        spec, seed = self.project.spec, self.project.settings.seed
        columns = [*kept_columns(spec), TARGET]
        for path in self.paths:
            for table in self.project.storage.read_batches(path, columns, SLICE_ROWS):
                yield divide(spec, table, self.months, seed)

    @property
    def share(self) -> float:
        """The part of the rows that may be in memory: MLOPS_MEMORY_ROWS of them."""
        return min(1.0, self.project.settings.memory_rows / self.rows)


def store_raw(project: Project, month: str, seen: RawRows) -> Stored:
    """Store what the source has of a month; `seen` sees every row."""
    from mlops_assets.sources.normalise import schema

    stored = project.storage.write_batches("raw_data", month, schema(project.spec), _from_source(project, month, seen))
    _release()
    return stored


def see_raw(project: Project, path: str, seen: RawRows) -> None:
    """Let `seen` see every row that was stored."""
    for rows in project.storage.read_batches(path, project.spec.used_columns(), SLICE_ROWS):
        seen.add(rows)


def store_clean(project: Project, month: str, raw: str, cleaner: Cleaner, seen: CleanRows) -> Stored:
    """Store what cleaning leaves of the raw rows at a path; raises DataError where that is none."""
    tables = cleaned(project, raw, cleaner, seen)
    first = next(tables)  # which tells the schema
    stored = project.storage.write_batches("clean_data", month, first.schema, chain([first], tables), [TARGET])
    _release()
    return stored


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


def _release() -> None:
    """Give back what Arrow keeps of the batches that have passed: what they left behind is judged next."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()
