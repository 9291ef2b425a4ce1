"""Where rows come from: files (local, HTTP, any fsspec URL), SQL, Python packages, and what callers hand in.

In: a dataset's spec. Out: typed tables under the spec's aliases, a period at a time; no hidden name in an error.
"""

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mlops_assets.dataset import DatasetSpec, DeltaSource, FilesSource, PackageSource, SqlSource
from mlops_assets.dataset.periods import fields_in
from mlops_assets.sources.delta import DeltaTable
from mlops_assets.sources.files import FileTable, OneTable, PeriodFiles, package_file
from mlops_assets.sources.formats import format_of, ragged_rows
from mlops_assets.sources.places import File, LocalPlace
from mlops_assets.sources.remote import open_place
from mlops_assets.sources.retries import Retry, stepwise_without_chain, without_chain
from mlops_assets.sources.sql import SqlRows

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Source", "open_source", "ragged_rows", "stream_rows"]


class Source(Protocol):
    """Rows by partition: a period, or `dataset.SNAPSHOT` where the spec has no time."""

    def partitions(self) -> dict[str, str]:
        """What exists now, in order, each with a version that changes when its rows do."""

    def read(self, partition: str) -> "pa.Table":
        """The rows under `spec.used_columns()`: int64, float64, string, timestamp[us] of a wall clock.

        Raises NotPublished, SourceUnreachable or BadTable.
        """


def stream_rows(source: Source, partition: str) -> Iterator["pa.Table"]:
    """The rows of a partition in parts; of a source that has all periods in one place, as one part."""
    if isinstance(source, PeriodFiles):
        return stepwise_without_chain(source.stream(partition))
    return iter([source.read(partition)])


@without_chain
def open_source(
    spec: DatasetSpec,
    cache: Path,
    *,
    timeout: float,
    retries: int,
    now: Callable[[], datetime] = datetime.now,
    wait: Callable[[float], None] = time.sleep,
) -> Source:
    """The source that `spec` names; nothing is read before it is asked for something.

    `cache`: folder for copies of remote files, and for what was learnt of tables. `timeout`: seconds to wait for a
    server. `retries`: tries after the first. `now`: what the clock shows by whose times rows belong to periods. Keep
    the source while it is used: it parses a file with all periods once. Raises SpecError or SourceError.
    """
    retry = Retry(retries, wait)
    match spec.source:
        case SqlSource():
            return SqlRows(spec, spec.source, timeout, retry)
        case PackageSource() as source:
            file = File(str(package_file(spec, source)), "the file of source.path")
            return OneTable(spec, FileTable(spec, file, LocalPlace(), format_of(source, source.path)), cache, now)
        case DeltaSource(uri=uri):
            return OneTable(spec, DeltaTable(spec, uri), cache, now)
        case FilesSource(uri=uri) as source:
            place = open_place(uri, spec.redact(uri), cache, timeout, retry)
            if fields_in(uri) and spec.time:
                return PeriodFiles(spec, spec.time, uri, place, format_of(source, uri), now)
            file = File(uri, "the file of source.uri")
            return OneTable(spec, FileTable(spec, file, place, format_of(source, uri)), cache, now)
