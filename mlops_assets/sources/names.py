"""What people may be told of the place that rows come from: the name of a file or table, hidden ones as `${NAME}`."""

from __future__ import annotations

from mlops_assets.dataset import DatasetSpec, DeltaSource, FilesSource, PackageSource
from mlops_assets.dataset.periods import fields_in


def source_name(spec: DatasetSpec, period: str | None = None) -> str:
    """The file, of a period where each has its own, or the table, or the query; without folder, host and password."""
    source = spec.source
    if isinstance(source, PackageSource):
        return f"file {_file(spec.redact(source.path))} of the package {spec.redact(source.package)}"
    if isinstance(source, DeltaSource):
        return f"Delta table {_file(spec.redact(source.uri))}"
    if isinstance(source, FilesSource):
        name = _file(spec.redact(source.uri))
        if period and spec.time and fields_in(source.uri) and "$" not in name:
            name = spec.time.cadence.filled(name, period)
        return f"file {name}"
    return f"table {spec.redact(source.table)}" if source.table else "the query of source.query"


def _file(place: str) -> str:
    """The last part of a path or URL, without what a URL asks for."""
    return place.partition("?")[0].rstrip("/").rpartition("/")[2]
