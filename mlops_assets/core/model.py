"""A model is one object that derives, encodes and estimates; it is saved without pickle.

MLflow loads it through `_load_pyfunc`, so `models:/<name>@champion` answers everywhere with the same numbers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops_assets.core.columns import Columns, from_frame, from_rows, length
from mlops_assets.core.encoding import Encoder, MatrixKind
from mlops_assets.core.state import DAMAGE
from mlops_assets.dataset import DatasetSpec
from mlops_assets.errors import ModelError

if TYPE_CHECKING:
    import pandas as pd

_FORMAT = 1


@dataclass(frozen=True)
class Model:
    """A fitted estimator with everything it needs to answer from raw rows under their aliases."""

    spec: DatasetSpec
    encoder: Encoder
    estimator: Any
    model_type: str
    matrix: MatrixKind

    def predict(self, rows: pd.DataFrame | Sequence[Mapping[str, Any]]) -> np.ndarray:
        """Predictions (n,) float64, in the target's unit, of a DataFrame or a list of mappings.

        Raises InputError naming the column or value that cannot be used.
        """
        convert = from_rows if isinstance(rows, list | tuple) else from_frame
        return self.predict_columns(convert(rows, self.spec))

    def predict_columns(self, columns: Columns) -> np.ndarray:
        """Predictions (n,) of checked columns; kept within the target's range where the spec gives one."""
        from mlops_assets.core.estimators import predict

        if not length(columns):
            return np.empty(0)  # estimators refuse a matrix without rows
        raw = predict(self.estimator, self.encoder.transform(self.spec.features, columns, self.matrix))
        return np.clip(raw, *self.spec.target.keep) if self.spec.target.keep else raw

    def save(self, folder: Path) -> None:
        """Write the model into an empty folder."""
        from mlops_assets.core.persistence import save_estimator

        self.encoder.save(folder)
        save_estimator(self.estimator, folder)
        about = {
            "format": _FORMAT,
            "model_type": self.model_type,
            "matrix": self.matrix,
            "files": {path.name: _digest(path) for path in sorted(folder.iterdir())},
            "dataset": _public(self.spec),
        }
        (folder / "model.json").write_text(json.dumps(about, indent=1), encoding="utf-8")


def load_model(folder: Path) -> Model:
    """Read a saved model; raises ModelError where it is damaged, foreign or of a later format."""
    from mlops_assets.core.persistence import load_estimator

    try:
        about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        if about["format"] != _FORMAT:
            raise ModelError(f"the saved model has format {about['format']}; this version reads {_FORMAT}")
        for name, digest in about["files"].items():
            if _digest(folder / name) != digest:  # XGBoost ends the process over a damaged file
                raise ModelError(f"the saved model is damaged: {name} is not what was written")
        spec = DatasetSpec.model_validate(about["dataset"])
        names = about["model_type"], about["matrix"]
    except DAMAGE as error:
        raise ModelError(f"the saved model is damaged: {error}") from None
    return Model(spec, Encoder.load(folder), load_estimator(folder), *names)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _public(spec: DatasetSpec) -> dict[str, Any]:
    """The spec as a model carries it: no place, no real column name and nothing from the environment."""
    document = spec.model_dump(mode="json", exclude={"source", "rows"})
    columns = {alias: column | {"source_name": None} for alias, column in document["columns"].items()}
    source = {"kind": "files", "uri": "withheld"}
    return document | {"description": spec.redact(spec.description), "columns": columns, "source": source}


def _load_pyfunc(path: str) -> _PyFunc:
    return _PyFunc(load_model(Path(path)))


class _PyFunc:
    """What MLflow's pyfunc flavour calls."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def predict(self, rows: pd.DataFrame, params: dict[str, Any] | None = None) -> np.ndarray:
        return self.model.predict(rows)
