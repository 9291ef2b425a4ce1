"""`predict`: rows from a file, answered by the champion."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_assets.errors import InputError, StorageError, TrackingError
from mlops_assets.project import open_project

if TYPE_CHECKING:
    import pandas as pd


def predict_rows(path: Path, output: Path | None, version: int | None) -> None:
    """Print JSON lines with the prediction and the model's version, or write the rows with them as CSV."""
    project = open_project()
    rows = _read(path)
    champion = project.registry.version(version) if version else project.registry.champion()
    if champion is None:
        raise TrackingError(f"{project.spec.name} has no champion yet: run the pipeline first (mlops-assets run)")
    predictions = project.registry.load(champion.number).predict(rows)
    if output:
        _write(_frame(rows).assign(prediction=predictions, model_version=champion.number), output)
        print(f"{len(predictions)} predictions of version {champion.number} ({champion.model_type}) are in {output}")
        return
    for prediction in predictions:
        answer = {"prediction": round(float(prediction), 6), "unit": project.spec.target.unit}
        print(json.dumps(answer | {"model_type": champion.model_type, "model_version": champion.number}))


def _read(path: Path) -> pd.DataFrame | list[dict]:
    """A DataFrame of a CSV file, or a list of objects from JSON."""
    if str(path) != "-" and not path.is_file():
        raise InputError(f"{path} does not exist: give a .json or .csv file, or - for standard input")
    if path.suffix == ".csv":
        import pandas as pd

        try:
            rows = pd.read_csv(path)
        except (ValueError, OSError) as error:
            raise InputError(f"{path} is not a CSV table: {error}") from None
        if not isinstance(rows.index, pd.RangeIndex):  # pandas takes what there is too much for row names
            raise InputError(f"{path} is not a CSV table: its rows have more values than its header has names")
        return rows
    try:
        document = json.loads(sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise InputError(f"{path} is not JSON: {error}") from None
    rows = document if isinstance(document, list) else [document]
    if not rows or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{path} must hold an object, or a list of objects, one a row")
    return rows


def _write(frame: pd.DataFrame, output: Path) -> None:
    unfinished = output.with_name(f".{output.name}.part")
    try:
        frame.to_csv(unfinished, index=False)
        unfinished.replace(output)
    except OSError as error:
        with suppress(OSError):  # there may be no such folder
            unfinished.unlink()
        raise StorageError(f"{output} cannot be written: {error.strerror or error}") from None


def _frame(rows: pd.DataFrame | list[dict]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows)
