"""A model that an earlier release logged is loaded by MLflow's own tools, and answers as it did then."""

import json
from pathlib import Path

import mlflow.pyfunc
import numpy as np
import pytest

SAVED = Path(__file__).parents[2] / "core" / "model" / "saved"
FOLDERS = sorted(path.parent for path in SAVED.glob("format_*/*/MLmodel"))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: f"{folder.parent.name}-{folder.name}")
def test_mlflow_loads_a_model_of_an_earlier_release(folder):
    rows = json.loads((folder.parent / "rows.json").read_text(encoding="utf-8"))
    answers = json.loads((folder / "answers.json").read_text(encoding="utf-8"))
    predictions = mlflow.pyfunc.load_model(str(folder)).predict(rows)
    np.testing.assert_allclose(predictions, answers["prediction"], rtol=1e-12)  # sums depend on the processor
