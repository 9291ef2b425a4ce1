"""Clean months of a shipped dataset in the process that measures them, and models of the months before each."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from mlops_assets.core.columns import Columns
    from mlops_assets.core.features.encoder import Encoder
    from mlops_assets.core.monitor.drift import Dropped, Sample
    from mlops_assets.dataset import DatasetSpec

SEED = 7
ROWS = 30_000  # of a sample, as in assets/drift_basis.py
LEARNT = 150_000  # rows that a model of this benchmark learns from, at most
ROUNDS = {"n_estimators": 150, "learning_rate": 0.15}


@dataclass(frozen=True, eq=False)
class Month:
    columns: Columns
    y: np.ndarray
    dropped: Dropped


@dataclass(frozen=True, eq=False)
class Fitted:
    """XGBoost on thinned rows of some months."""

    spec: DatasetSpec
    encoder: Encoder
    estimator: Any

    def predict(self, columns: Columns) -> np.ndarray:
        from mlops_assets.core.learners.estimators import predict

        return predict(self.estimator, self.encoder.transform(self.spec.features, columns, "dense"))


class History:
    """All months that the source has."""

    def __init__(self, dataset: str, source_uri: str | None) -> None:
        from mlops_assets.core.columns import from_table
        from mlops_assets.core.monitor.drift import Dropped
        from mlops_assets.core.prepare.cleaning import TARGET, clean
        from mlops_assets.dataset import load_dataset
        from mlops_assets.sources import open_source

        self.spec = load_dataset(dataset, {}, source_uri)
        source = open_source(self.spec, Path(tempfile.gettempdir()), timeout=30, retries=0)
        self.months: dict[str, Month] = {}
        for month in sorted(source.partitions()):
            raw = source.read(month)
            cleaned = clean(self.spec, raw, month)
            y = cleaned.table.column(TARGET).to_numpy()
            columns = from_table(cleaned.table, self.spec.inputs())
            self.months[month] = Month(columns, y, Dropped(raw.num_rows, cleaned.dropped))

    def before(self, month: str) -> list[Month]:
        return [known for name, known in self.months.items() if name < month]

    def fit(self, months: Sequence[Month]) -> Fitted:
        from mlops_assets.core.features.encoder import fit_encoder
        from mlops_assets.core.learners.estimators import FitData, fit
        from mlops_assets.core.learners.model_types import resolve_model_type

        columns, y = thinned(months, LEARNT)
        encoded = fit_encoder(self.spec.features, columns, y, SEED)
        xgboost = resolve_model_type("XGBoost")
        params = xgboost.space.adopt(xgboost.space.start) | ROUNDS
        data = FitData(encoded.dense, y, encoded.encoder.dense_categorical)
        how = {"seed": SEED, "threads": os.cpu_count()}
        fitted = fit(xgboost, params, data, rounds=ROUNDS["n_estimators"], **how)
        return Fitted(self.spec, encoded.encoder, fitted.estimator)

    def sample(self, months: Sequence[Month], model: Fitted | None) -> Sample:
        from mlops_assets.core.monitor.drift import Sample, add_up, variables

        columns, y = thinned(months, ROWS)
        prediction = model.predict(columns) if model else None
        return Sample(variables(self.spec, columns, y, prediction), add_up(month.dropped for month in months))


def thinned(months: Sequence[Month], most: int) -> tuple[Columns, np.ndarray]:
    """Rows of all these months, evenly spread, about so many at most."""
    import numpy as np

    from mlops_assets.core.columns import concatenate, take

    step = -(-sum(len(month.y) for month in months) // most)
    columns = concatenate([take(month.columns, slice(None, None, step)) for month in months])
    return columns, np.concatenate([month.y[::step] for month in months])
