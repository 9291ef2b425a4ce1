"""Delta tables: a folder, on a disk or in an object store, whose newest version is read as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mlops_assets.dataset import DatasetSpec
from mlops_assets.errors import BadTable, SourceError
from mlops_assets.sources.normalise import by_alias, locate, normalise
from mlops_assets.sources.places import Absent

if TYPE_CHECKING:
    import pyarrow as pa


class DeltaTable:
    """The table at a URI; credentials of a store are those of the environment. Its version is Delta's own."""

    label = "the Delta table of source.uri"

    def __init__(self, spec: DatasetSpec, uri: str) -> None:
        self._spec = spec
        self._uri = uri

    def version(self) -> str | Absent:
        return str(opened(self._uri, self.label).version())

    def rows(self, version: str) -> pa.Table:
        """The columns that the spec reads, of this version."""
        table = opened(self._uri, self.label, int(version))
        names = locate([field.name for field in table.schema().fields], self._spec, self.label)
        with _told(self.label):
            raw = table.to_pyarrow_table(columns=list(names.values()))
        return normalise(by_alias(raw, names, self._spec), self._spec, self.label)


def opened(uri: str, label: str, version: int | None = None) -> Any:
    """The `deltalake.DeltaTable` at a URI. Raises SourceError without the extra, or where there is none."""
    try:
        from deltalake import DeltaTable as Table
    except ImportError:
        raise SourceError(f"{label}: Delta tables need an extra: pip install 'mlops-assets[delta]'") from None
    with _told(label):
        return Table(uri, version=version)


@contextmanager
def _told(label: str) -> Iterator[None]:
    from deltalake.exceptions import DeltaError, TableNotFoundError

    try:
        yield
    except TableNotFoundError:
        raise SourceError(f"{label} is not there: correct source.uri") from None
    except (DeltaError, OSError) as error:
        raise BadTable(f"{label} cannot be read ({type(error).__name__}): it may be of a newer protocol") from None
