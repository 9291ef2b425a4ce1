"""What a feed has read, kept on disk: a server that starts again goes on where the last one stopped."""

from __future__ import annotations

import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from mlops_assets.dashboards.sources import Column, typed

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Snapshot:
    """A Parquet file in `folder`; its name tells the store it was read from and the columns that it has."""

    folder: Path
    name: str
    store: str  # what identifies the store, such as its URL; only a digest of it is written
    columns: tuple[Column, ...]

    def read(self) -> pd.DataFrame | None:
        """The rows; None where there are none yet, or the file is damaged: all can be read again."""
        import pandas as pd
        import pyarrow as pa

        try:
            return typed(pd.read_parquet(self.path), self.columns)
        except (OSError, pa.ArrowException):
            return None

    def write(self, frame: pd.DataFrame) -> None:
        """Replace the file as a whole; files of other columns or stores are removed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_name(f".{uuid4().hex}")
        frame.to_parquet(temporary, index=False)
        os.replace(temporary, self.path)
        for other in self.folder.glob(f"{self.name}-*.parquet"):
            if other != self.path:
                other.unlink(missing_ok=True)

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)

    @property
    def path(self) -> Path:
        told = "\n".join([self.store, *(f"{column.name} {column.kind}" for column in self.columns)])
        return self.folder / f"{self.name}-{sha256(told.encode()).hexdigest()[:12]}.parquet"
