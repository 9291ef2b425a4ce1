"""Taxi rows in the process that measures them, through the project's own source, cleaning and splitting."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measuring import ROOT

if TYPE_CHECKING:
    from mlops_assets.core.prepare.splitting import SplitName
    from mlops_assets.core.training_set import Rows
    from mlops_assets.dataset import DatasetSpec

TUTORIAL = str(ROOT / "benchmarks/specs/tutorial.yaml")
FULL = "nyc_green_taxi"
SEED = 7


class Taxi:
    """A dataset on the files at `source_uri`."""

    def __init__(self, dataset: str, source_uri: str) -> None:
        from mlops_assets.dataset import load_dataset
        from mlops_assets.sources import open_source

        self.spec: DatasetSpec = load_dataset(dataset, {}, source_uri)
        self.source = open_source(self.spec, Path(tempfile.gettempdir()), timeout=30, retries=0)

    def split(self, train: Sequence[str], validation: str) -> dict[SplitName, Rows]:
        """Clean rows of these months, divided at the first day of `validation`."""
        from mlops_assets.core.prepare.cleaning import clean
        from mlops_assets.core.prepare.splitting import Periods
        from mlops_assets.core.training_set import split_rows

        tables = [clean(self.spec, self.source.read(month), month).table for month in (*train, validation)]
        return split_rows(self.spec, tables, Periods(tuple(train), (validation,), ()), SEED)
