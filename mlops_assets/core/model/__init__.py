"""The model that answers: what it takes, its interval, its golden rows, what moved it. Saved without pickle.

In: an encoder, a fitted estimator, held-out rows. Out: a folder that answers the same numbers wherever it is loaded.
Files in MLflow name this package as their loader: its name stays.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlops_assets.core.model.model import PyfuncModel


def _load_pyfunc(path: str) -> PyfuncModel:
    """What `mlflow.pyfunc.load_model` calls."""
    from mlops_assets.core.model.model import PyfuncModel, load_model

    return PyfuncModel(load_model(Path(path)))
